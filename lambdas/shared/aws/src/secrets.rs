//! Secrets of a source, from Secrets Manager. What is read here is never logged: see `secrecy`.

#[cfg(feature = "secrets")]
mod manager;

use domain::error::{Code, Coded};
use domain::push::SourceName;
use secrecy::SecretString;

#[cfg(feature = "secrets")]
pub use manager::SecretsManager;

use crate::AwsFailure;

/// Reads secrets.
pub trait Secrets: Send + Sync {
    /// The text of the secret `kind` (`webhook` or `git`) of `source`.
    fn read(
        &self,
        source: &SourceName,
        kind: &'static str,
    ) -> impl Future<Output = Result<SecretString, SecretError>> + Send;
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager does not answer.
    #[error("the secret {name} could not be read")]
    Unavailable {
        /// The secret's name.
        name: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// Secrets Manager refuses.
    #[error("the secret {name} may not be read, or is not there")]
    Refused {
        /// The secret's name.
        name: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// The secret is not what it should be. What it holds is not said.
    #[error("the secret {name} is not in the form that docs/operations.md shows: {reason}")]
    Invalid {
        /// The secret's name.
        name: String,
        /// Where it differs.
        reason: String,
    },
}

impl Coded for SecretError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::SecretUnavailable,
            Self::Refused { .. } | Self::Invalid { .. } => Code::SecretInvalid,
        }
    }
}
