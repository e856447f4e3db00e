//! Secrets of a source, from Secrets Manager. What is read here is never logged: see `secrecy`.

use aws_sdk_secretsmanager::Client;
use domain::error::{Code, Coded};
use domain::push::SourceName;
use secrecy::SecretString;

use crate::aws::AwsFailure;

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

/// Secrets Manager's secrets `{prefix}{source}/{kind}`.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    prefix: String,
}

impl SecretsManager {
    /// The secrets whose names begin with `prefix`, such as `push-code/sources/`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, prefix: String) -> Self {
        Self {
            client: Client::new(config),
            prefix,
        }
    }
}

impl Secrets for SecretsManager {
    async fn read(&self, source: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
        let name = format!("{}{source}/{kind}", self.prefix);
        let response = self.client.get_secret_value().secret_id(&name).send().await;
        match response {
            Ok(output) => output
                .secret_string
                .map(SecretString::from)
                .ok_or_else(|| SecretError::Invalid {
                    name,
                    reason: "it is binary, not text".to_owned(),
                }),
            Err(error) => {
                let source = AwsFailure::new("secretsmanager:GetSecretValue", &error);
                Err(if source.transient {
                    SecretError::Unavailable { name, source }
                } else {
                    SecretError::Refused { name, source }
                })
            }
        }
    }
}
