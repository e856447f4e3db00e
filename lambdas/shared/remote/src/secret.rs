//! The part of a git secret that a transfer needs: how to log in at each host of a source, and whom to trust.

use aws::secrets::SecretError;
use credentials::{Credentials, GitSecretJson};
use domain::push::SourceName;
use openssl::x509::X509;
use secrecy::{ExposeSecret, SecretString};

/// How to log in at each host of a source, and whom to trust.
pub struct HostSecret {
    /// The logins.
    pub credentials: Credentials,
    /// The certificates of authorities that are trusted besides the system's.
    pub authorities: Vec<X509>,
}

impl HostSecret {
    /// Parses the JSON of the git secret of `source`. An error names what is missing and never what is there.
    ///
    /// # Errors
    /// Returns [`SecretError::Invalid`].
    pub fn parse_json(source: &SourceName, secret: &SecretString) -> Result<GitSecretJson, SecretError> {
        serde_json::from_str(secret.expose_secret()).map_err(|error| {
            // serde's own message may quote what it met.
            invalid(
                source,
                format!("see line {}, column {}", error.line(), error.column()),
            )
        })
    }

    /// Takes from the git secret of `source` what a transfer needs.
    ///
    /// # Errors
    /// Returns [`SecretError::Invalid`] if the certificates are not in PEM form.
    pub fn of(source: &SourceName, json: GitSecretJson) -> Result<Self, SecretError> {
        let pem = json.ca_certificates.unwrap_or_default();
        let authorities = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
        if authorities.is_empty() && !pem.trim().is_empty() {
            let reason = "ca_certificates is not certificates in PEM form".to_owned();
            return Err(invalid(source, reason));
        }
        Ok(Self {
            credentials: json.credentials.into(),
            authorities,
        })
    }
}

fn invalid(source: &SourceName, reason: String) -> SecretError {
    SecretError::Invalid {
        name: format!("{source}/git"),
        reason,
    }
}
