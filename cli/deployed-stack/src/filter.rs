//! Which pushes are listed, as people write it.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::git::RefName;

/// Parses a ref, which is a branch if it is no full name.
///
/// # Errors
/// Returns the rule that the text violates.
pub fn ref_name(text: &str) -> Result<RefName, String> {
    let full = if text.starts_with("refs/") {
        text.to_owned()
    } else {
        format!("refs/heads/{text}")
    };
    full.parse()
        .map_err(|invalid: domain::Invalid| invalid.to_string())
}

/// Parses a time, or how long ago it was.
///
/// # Errors
/// Returns what a time has to be.
pub fn since(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let since = chrono::TimeDelta::from_std(ago).ok();
        let since = since.and_then(|ago| Utc::now().checked_sub_signed(ago));
        return since.ok_or_else(|| "this is before all times that can be named".to_owned());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|_| "it is neither a duration such as 12h or 7d, nor a date such as 2026-01-31, nor a time such as 2026-01-31T10:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_a_date_or_a_time() {
        let minutes = |text| {
            let since = since(text).unwrap();
            (Utc::now() - since).num_minutes()
        };
        assert_eq!(
            (minutes("90min"), minutes("12h"), minutes("7d")),
            (90, 720, 10_080)
        );
        let time = |text: &str| since(text).unwrap().to_rfc3339();
        assert_eq!(time("2026-01-31"), "2026-01-31T00:00:00+00:00");
        assert_eq!(time("2026-01-31T10:00:00+02:00"), "2026-01-31T08:00:00+00:00");
        assert!(since("yesterday").unwrap_err().contains("12h"));
        assert!(since("999999999999999y").is_err());
    }

    #[test]
    fn a_ref_without_its_full_name_is_a_branch() {
        assert_eq!(ref_name("main").unwrap().as_str(), "refs/heads/main");
        assert_eq!(
            ref_name("feature/refs").unwrap().as_str(),
            "refs/heads/feature/refs"
        );
        assert_eq!(ref_name("refs/tags/v1").unwrap().as_str(), "refs/tags/v1");
        assert!(ref_name("a..b").is_err());
    }
}
