//! The secrets in Secrets Manager.

use aws_sdk_secretsmanager::Client;
use domain::push::SourceName;
use secrecy::SecretString;

use super::{SecretError, Secrets};
use crate::AwsFailure;

/// The secrets `{prefix}{source}/{kind}` in Secrets Manager.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    prefix: String,
}

impl SecretsManager {
    /// Creates a client of the secrets whose names begin with `prefix`, such as `push-code/sources/`.
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
