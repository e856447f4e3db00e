//! The git secret: how to log in at each host of a source, whom to trust, and who may sign.

use std::sync::Arc;

use aws::secrets::{SecretError, Secrets};
use credentials::{Credentials, GitSecretJson, Issuer};
use domain::push::SourceName;
use secrecy::SecretString;
use signatures::Signers;

/// What the secret says.
pub struct GitSecret {
    credentials: Credentials,
    signers: Signers,
}

impl GitSecret {
    /// Reads the git secret of `source` from the store.
    ///
    /// # Errors
    /// Returns a [`SecretError`] if it cannot be read, or does not have the form.
    pub async fn read(
        secrets: &impl Secrets,
        source: &SourceName,
        issuer: &Arc<Issuer>,
    ) -> Result<Self, SecretError> {
        Self::parse(source, &secrets.read(source, "git").await?, issuer)
    }

    /// Parses the git secret of `source`. An error names what is missing and never what is there.
    ///
    /// # Errors
    /// [`SecretError::Invalid`].
    pub fn parse(
        source: &SourceName,
        secret: &SecretString,
        issuer: &Arc<Issuer>,
    ) -> Result<Self, SecretError> {
        let json = GitSecretJson::parse(source, secret)?;
        let allowed_signers = json.allowed_signers.as_deref().unwrap_or_default();
        let openpgp_keys = json.openpgp_keys.as_deref().unwrap_or_default();
        let credentials = Credentials::of(source, &json, issuer)?;
        let signers = Signers::parse(allowed_signers, openpgp_keys);
        let signers = signers.map_err(|reason| SecretError::Invalid {
            name: format!("{source}/git"),
            reason,
        })?;
        Ok(Self { credentials, signers })
    }

    /// How to log in at each host, and whom to trust there.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The keys that may sign commits and tags.
    #[must_use]
    pub fn signers(&self) -> &Signers {
        &self.signers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(json: &str) -> Result<GitSecret, SecretError> {
        GitSecret::parse(
            &"gitlab".parse().unwrap(),
            &json.to_owned().into(),
            &Arc::default(),
        )
    }

    #[test]
    fn an_error_does_not_quote_the_secret() {
        for json in [
            r#"{"credentials":[{"host":"https://h","username":"u","password":7777777}]}"#,
            r#"{"credentials":"hunter2"}"#,
            "hunter2",
        ] {
            let error = secret(json).err().unwrap().to_string();
            assert!(
                !error.contains("hunter2") && !error.contains("7777777"),
                "{error}"
            );
        }
    }

    #[test]
    fn certificates_are_read_when_the_secret_is() {
        for (pem, right) in [
            ("", true),
            (" \n", true),
            ("hunter2", false),
            ("-----BEGIN CERTIFICATE-----\nhunter2", false),
        ] {
            let json = serde_json::json!({"credentials": [], "ca_certificates": pem}).to_string();
            let parsed = secret(&json);
            assert_eq!(parsed.is_ok(), right, "{pem:?}");
            if let Err(error) = parsed {
                assert!(
                    error.to_string().contains("ca_certificates") && !error.to_string().contains("hunter2")
                );
            }
        }
    }

    #[test]
    fn signers_are_read_when_the_secret_is() {
        for (field, list, expected) in [
            ("allowed_signers", "", None),
            ("allowed_signers", "# nobody\n", None),
            ("allowed_signers", "\njo hunter2\n", Some("gitlab/git")),
            (
                "allowed_signers",
                "\njo hunter2\n",
                Some("allowed_signers, line 2: "),
            ),
            ("openpgp_keys", " \n", None),
            ("openpgp_keys", "\n\nhunter2", Some("openpgp_keys, line 3: ")),
        ] {
            let json = serde_json::json!({"credentials": [], field: list}).to_string();
            let told = secret(&json).err().map(|error| error.to_string());
            assert_eq!(told.is_some(), expected.is_some(), "{list:?}: {told:?}");
            if let (Some(told), Some(expected)) = (told, expected) {
                assert!(told.contains(expected) && !told.contains("hunter2"), "{told}");
            }
        }
    }

    /// JSON that is much like a secret, and any text.
    fn any_secret() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"credentials\"",
            "\"ca_certificates\"",
            "\"allowed_signers\"",
            "\"openpgp_keys\"",
            "\"host\"",
            "\"https://h\"",
            "\"username\"",
            "\"password\"",
            "\"private_key\"",
            "\"known_hosts\"",
            "\"-----BEGIN CERTIFICATE-----\"",
            "null",
            "7",
            "\"hunter2\"",
        ]);
        prop_oneof![
            prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat()),
            any::<String>(),
            (any::<String>(), any::<String>()).prop_map(|(host, pem)| {
                serde_json::json!({
                    "credentials": [{"host": host, "username": "u", "password": "hunter2"}], "ca_certificates": pem,
                })
                .to_string()
            }),
        ]
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_word_of_it(text in any_secret()) {
            if let Err(error) = secret(&text) {
                prop_assert!(!error.to_string().contains("hunter2"));
            }
        }
    }
}
