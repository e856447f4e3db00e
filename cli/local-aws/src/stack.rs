//! A deployed stack: its outputs, and clients for what is in it. A stack in the local AWS and one in AWS are handled alike.

use std::collections::BTreeMap;

use audit::DynamoTrail;
use aws_config::SdkConfig;
use credentials::{Credential, GitSecretJson};
use secrecy::ExposeSecret as _;
use webhook::WebhookSecret;

use crate::Error;
use crate::sam;
use crate::tools::Tools;
use crate::webhook_client::Webhook;

/// A handle for a deployed stack.
#[derive(Debug, Clone)]
pub struct Stack {
    name: String,
    outputs: BTreeMap<String, String>,
    config: SdkConfig,
}

impl Stack {
    /// A handle for the stack `name` that has these outputs. `config` says where it is, and who calls it.
    #[must_use]
    pub fn new(name: impl Into<String>, outputs: BTreeMap<String, String>, config: SdkConfig) -> Self {
        Self {
            name: name.into(),
            outputs,
            config,
        }
    }

    /// A handle for the stack `name`, whose outputs are read from the CloudFormation of `config`.
    ///
    /// # Errors
    /// If there is no such stack, or its outputs cannot be read.
    pub async fn deployed(name: &str, config: SdkConfig, tools: &Tools) -> Result<Self, Error> {
        let outputs = sam::outputs(tools, &config, name).await?;
        Ok(Self::new(name, outputs, config))
    }

    /// The stack's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All outputs.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// The output `name`.
    ///
    /// # Errors
    /// [`Error::OutputMissing`].
    pub fn output(&self, name: &str) -> Result<&str, Error> {
        let value = self.outputs.get(name).map(String::as_str);
        value.ok_or_else(|| Error::OutputMissing {
            stack: self.name.clone(),
            name: name.to_owned(),
        })
    }

    /// A client of Step Functions.
    #[must_use]
    pub fn step_functions(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    /// A client of S3.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config);
        // Buckets have host names in AWS alone.
        let local = self.config.endpoint_url().is_some();
        aws_sdk_s3::Client::from_conf(config.force_path_style(local).build())
    }

    /// A client of Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// The audit trail.
    ///
    /// # Errors
    /// [`Error::OutputMissing`].
    pub fn trail(&self) -> Result<DynamoTrail, Error> {
        Ok(DynamoTrail::new(
            &self.config,
            self.output("TableName")?.to_owned(),
        ))
    }

    /// The ARN of the execution `name` of the state machine.
    ///
    /// # Errors
    /// [`Error::OutputMissing`].
    pub fn execution_arn(&self, name: &str) -> Result<String, Error> {
        let arn = self
            .output("StateMachineArn")?
            .replace(":stateMachine:", ":execution:");
        Ok(format!("{arn}:{name}"))
    }

    /// The webhook of the template's own source, with the token that it wants.
    ///
    /// # Errors
    /// If its secret cannot be read.
    pub async fn webhook(&self) -> Result<Webhook, Error> {
        let name = self.output("WebhookSecretName")?;
        let secret = self.secrets().get_secret_value().secret_id(name).send().await;
        let secret = secret.map_err(Error::aws(format!("read the secret {name}")))?;
        let text = secret.secret_string.unwrap_or_default();
        let secret: WebhookSecret = serde_json::from_str(&text).map_err(|error| Error::Aws {
            action: format!("read the secret {name}"),
            message: format!("it is not JSON with a token: {error}"),
        })?;
        let url = self.output("WebhookUrl")?.to_owned();
        Ok(Webhook::new(url, secret.token.expose_secret().to_owned()))
    }

    /// Puts the credentials for git hosts into the git secret of the template's own source.
    ///
    /// # Errors
    /// If Secrets Manager refuses.
    pub async fn put_git_secret(&self, credentials: Vec<Credential>) -> Result<(), Error> {
        let name = self.output("GitSecretName")?;
        let text = GitSecretJson::of(credentials)
            .expose()
            .map_err(Error::aws(format!("write the secret {name}")))?;
        let put = self
            .secrets()
            .put_secret_value()
            .secret_id(name)
            .secret_string(text.expose_secret());
        put.send()
            .await
            .map_err(Error::aws(format!("write the secret {name}")))?;
        Ok(())
    }

    /// What the names of all sources' secrets begin with.
    ///
    /// # Errors
    /// [`Error::OutputMissing`].
    pub fn secret_prefix(&self) -> Result<String, Error> {
        let name = self.output("GitSecretName")?;
        let prefix = name.strip_suffix("/git").and_then(|name| name.rsplit_once('/'));
        Ok(prefix.map_or_else(String::new, |(prefix, _)| format!("{prefix}/")))
    }
}
