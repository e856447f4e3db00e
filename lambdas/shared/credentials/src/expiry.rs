//! Logins and tokens that end soon. No git host tells of it: pushes fail from one day on.

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::secret::GitSecretJson;

/// How long before the end of a login or token it is told of, in days.
pub const WARNING_DAYS: u64 = 30;

/// A login or token of a git secret that ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiring {
    /// `scheme://host[:port]`.
    pub host: String,
    /// The day on which it ends, in UTC.
    pub expires: NaiveDate,
}

impl GitSecretJson {
    /// Returns the logins and tokens that end in [`WARNING_DAYS`] from `today` on, or have ended.
    #[must_use]
    pub fn expiring(&self, today: NaiveDate) -> Vec<Expiring> {
        let by = today
            .checked_add_days(Days::new(WARNING_DAYS))
            .unwrap_or(NaiveDate::MAX);
        let logins = self.credentials.iter().map(|login| (&login.host, login.expires));
        let tokens = self.api_tokens.iter().map(|token| (&token.host, token.expires));
        let ending = logins.chain(tokens).filter_map(|(host, expires)| {
            Some(Expiring {
                host: host.as_str().trim_end_matches('/').to_owned(),
                expires: expires.filter(|expires| *expires <= by)?,
            })
        });
        ending.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_within_thirty_days_or_has_ended_is_named() {
        let secret: GitSecretJson = serde_json::from_str(
            r#"{"credentials":[
                {"host":"https://a","username":"u","password":"p","expires":"2027-01-01"},
                {"host":"https://b","username":"u","password":"p","expires":"2027-01-31"},
                {"host":"https://c","username":"u","password":"p","expires":"2027-02-01"},
                {"host":"https://d","username":"u","password":"p"}],
            "api_tokens":[{"host":"https://e","token":"t","expires":"2026-01-31"}]}"#,
        )
        .unwrap();
        let today = NaiveDate::from_ymd_opt(2027, 1, 1).unwrap();
        let expiring = secret.expiring(today);
        let hosts: Vec<_> = expiring.iter().map(|one| one.host.as_str()).collect();
        assert_eq!(hosts, ["https://a", "https://b", "https://e"]);
    }
}
