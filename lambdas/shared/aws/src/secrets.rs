//! The secrets of a source, from Secrets Manager. They are never logged, because they are wrapped by `secrecy`.

mod cache;
#[cfg(feature = "secrets")]
mod manager;

use domain::error::{Code, Coded};
use domain::push::SourceName;
use secrecy::SecretString;

pub use cache::SecretCache;
#[cfg(feature = "secrets")]
pub use manager::SecretsManager;

use crate::AwsFailure;

/// A store of secrets.
pub trait Secrets: Send + Sync {
    /// Returns the text of the secret `kind` (`webhook` or `git`) of `source`.
    fn read(
        &self,
        source: &SourceName,
        kind: &'static str,
    ) -> impl Future<Output = Result<SecretString, SecretError>> + Send;
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager does not respond.
    #[error("the secret {name} could not be read")]
    Unavailable {
        /// The secret's name.
        name: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// Secrets Manager refuses the request.
    #[error("the secret {name} may not be read, or does not exist")]
    Refused {
        /// The secret's name.
        name: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// The secret is malformed. The message never quotes it.
    #[error("the secret {name} does not have the form of such a secret: {reason}")]
    Invalid {
        /// The secret's name.
        name: String,
        /// What is wrong with it.
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
