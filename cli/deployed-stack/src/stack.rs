//! A deployed stack: its outputs, and clients for its resources. It may be in the local AWS or in AWS.

use std::collections::BTreeMap;

use audit::DynamoTrail;
use aws::failure::chain;
use aws_config::SdkConfig;
use aws_sdk_s3::config::ProvideCredentials as _;
use credentials::{Credential, GitSecretJson};
use secrecy::ExposeSecret as _;
use stacks::{Phase, Stacks};
use webhook::WebhookSecret;

use crate::Error;
use crate::console::Console;
use crate::login;
use crate::webhook_client::Webhook;

/// How the endpoint of a local AWS begins.
const LOOPBACK: &str = "http://127.0.0.1:";

/// A handle for a deployed stack.
#[derive(Debug, Clone)]
pub struct Stack {
    name: String,
    outputs: BTreeMap<String, String>,
    config: SdkConfig,
}

impl Stack {
    /// Returns a handle for the stack `name` that has these outputs. `config` has its region or endpoint, and the
    /// caller's credentials.
    #[must_use]
    pub fn new(name: impl Into<String>, outputs: BTreeMap<String, String>, config: SdkConfig) -> Self {
        Self {
            name: name.into(),
            outputs,
            config,
        }
    }

    /// Returns a handle for the stack `name`, whose outputs are read from CloudFormation with `config`. In a local AWS,
    /// the URLs of its APIs are those on this machine.
    ///
    /// # Errors
    /// Returns an error if there is no such stack, or its outputs cannot be read.
    pub async fn deployed(name: &str, config: SdkConfig) -> Result<Self, Error> {
        let found = find(&config, name).await?;
        let found = found.filter(|stack| stack.phase() != Phase::Empty);
        let mut stack = found.ok_or_else(|| Error::NoStack {
            stack: name.to_owned(),
            region: region_of(&config),
        })?;
        let local = config
            .endpoint_url()
            .filter(|endpoint| endpoint.starts_with(LOOPBACK));
        if let Some(endpoint) = local {
            for value in stack.outputs.values_mut() {
                if let Some(url) = local_url(value, endpoint) {
                    *value = url;
                }
            }
        }
        Ok(Self::new(name, stack.outputs, config))
    }

    /// Returns the ARN of the caller, by the credentials.
    ///
    /// # Errors
    /// Returns an error if the credentials are not valid.
    pub(crate) async fn caller(&self) -> Result<String, Error> {
        login::caller(&self.config).await
    }

    /// Returns the SDK's configuration that it was given.
    #[must_use]
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Returns the stack's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns all outputs.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// Returns the output `name`.
    ///
    /// # Errors
    /// Returns [`Error::OutputMissing`] if the stack does not have it.
    pub fn output(&self, name: &str) -> Result<&str, Error> {
        let value = self.outputs.get(name).map(String::as_str);
        value.ok_or_else(|| Error::OutputMissing {
            stack: self.name.clone(),
            name: name.to_owned(),
        })
    }

    /// Returns a client of Step Functions.
    #[must_use]
    pub fn step_functions(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    /// Returns a client of S3.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config);
        // Only in AWS do buckets have host names.
        let local = self.config.endpoint_url().is_some();
        aws_sdk_s3::Client::from_conf(config.force_path_style(local).build())
    }

    /// Returns a client of Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// Returns the audit trail.
    ///
    /// # Errors
    /// Returns [`Error::OutputMissing`] if an output does not name its table.
    pub fn trail(&self) -> Result<DynamoTrail, Error> {
        Ok(DynamoTrail::new(
            &self.config,
            self.output("TableName")?.to_owned(),
        ))
    }

    /// Returns the console of the stack's region, or `None` if the stack is in a local AWS, which has none.
    #[must_use]
    pub fn console(&self) -> Option<Console> {
        if self.config.endpoint_url().is_some() {
            return None;
        }
        Console::of(self.output("DashboardUrl").ok()?, &*self.name)
    }

    /// Returns the ARN of the execution `name` of the state machine.
    ///
    /// # Errors
    /// Returns [`Error::OutputMissing`] if an output does not name the state machine.
    pub fn execution_arn(&self, name: &str) -> Result<String, Error> {
        let arn = self
            .output("StateMachineArn")?
            .replace(":stateMachine:", ":execution:");
        Ok(format!("{arn}:{name}"))
    }

    /// Returns the webhook of the template's own source, with the token that it requires.
    ///
    /// # Errors
    /// Returns an error if the webhook's secret cannot be read.
    pub async fn webhook(&self) -> Result<Webhook, Error> {
        let name = self.output("WebhookSecretName")?;
        let secret = self.secrets().get_secret_value().secret_id(name).send().await;
        let secret = secret.map_err(Error::aws(format!("read the secret {name}")))?;
        let text = secret.secret_string.unwrap_or_default();
        let secret: WebhookSecret = serde_json::from_str(&text).map_err(|error| Error::Aws {
            action: format!("read the secret {name}"),
            message: format!(
                "it is not JSON with a token: see line {}, column {}",
                error.line(),
                error.column()
            ),
        })?;
        let url = self.output("WebhookUrl")?.to_owned();
        let webhook = Webhook::new(url, secret.secret.expose_secret().to_owned());
        Ok(match self.local_account().await {
            Some(account) => webhook.in_account(account, region_of(&self.config)),
            None => webhook,
        })
    }

    /// Returns the account of a stack in the local AWS that is not in its own account.
    async fn local_account(&self) -> Option<String> {
        self.config.endpoint_url()?;
        let credentials = self.config.credentials_provider()?.provide_credentials().await;
        let access_key = credentials.ok()?.access_key_id().to_owned();
        let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
        is_account.then_some(access_key)
    }

    /// Writes the credentials for git hosts to the git secret of the template's own source.
    ///
    /// # Errors
    /// Returns an error if Secrets Manager refuses it.
    pub async fn put_git_secret(&self, credentials: Vec<Credential>) -> Result<(), Error> {
        self.write_git_secret(&GitSecretJson::of(credentials)).await
    }

    /// Writes the git secret of the template's own source.
    ///
    /// # Errors
    /// Returns an error if Secrets Manager refuses it.
    pub async fn write_git_secret(&self, secret: &GitSecretJson) -> Result<(), Error> {
        let name = self.output("GitSecretName")?;
        let text = secret
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

    /// Returns the path of the SSM parameters of all sources.
    ///
    /// # Errors
    /// Returns [`Error::OutputMissing`] if an output does not name the settings of a source.
    pub fn sources_path(&self) -> Result<String, Error> {
        let name = self.output("SourceSettingsName")?;
        Ok(name
            .rsplit_once('/')
            .map_or_else(String::new, |(path, _)| path.to_owned()))
    }

    /// Returns the prefix of the names of all sources' secrets.
    ///
    /// # Errors
    /// Returns [`Error::OutputMissing`] if an output does not name the git secret.
    pub fn secret_prefix(&self) -> Result<String, Error> {
        let name = self.output("GitSecretName")?;
        let prefix = name.strip_suffix("/git").and_then(|name| name.rsplit_once('/'));
        Ok(prefix.map_or_else(String::new, |(prefix, _)| format!("{prefix}/")))
    }
}

/// Returns the region of a configuration, which is empty if it has none.
fn region_of(config: &SdkConfig) -> String {
    config.region().map(ToString::to_string).unwrap_or_default()
}

/// Returns the URL at which the local AWS serves what is at `url`, whose host is that of an API on the internet, or
/// `None` if it is not.
fn local_url(url: &str, endpoint: &str) -> Option<String> {
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let (api, _) = host.split_once(".execute-api.")?;
    Some(format!("{endpoint}/_aws/execute-api/{api}/$default/{path}"))
}

/// Returns what CloudFormation knows of the stack `name`, or `None` if there is no such stack.
///
/// # Errors
/// Returns an error if there is no region, or if CloudFormation cannot be asked.
pub async fn find(config: &SdkConfig, name: &str) -> Result<Option<stacks::Stack>, Error> {
    if config.region().is_none() {
        return Err(Error::NoRegion);
    }
    // Missing ones are told as such, and not as a request that has failed.
    login::credentials(config).await?;
    let found = Stacks::new(config).stack(name).await;
    found.map_err(|error| {
        // The outer error is worded for the functions.
        let message = std::error::Error::source(&error).map_or_else(|| error.to_string(), chain);
        login::error_of(&message).unwrap_or_else(|| Error::Aws {
            action: format!("find the stack {name}"),
            message,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_an_api_is_that_on_this_machine() {
        let local = |url| local_url(url, "http://127.0.0.1:1");
        assert_eq!(
            local("https://a1.execute-api.us-east-1.amazonaws.com/hooks/x").as_deref(),
            Some("http://127.0.0.1:1/_aws/execute-api/a1/$default/hooks/x")
        );
        for other in [
            "push-code/sources",
            "https://console.aws.amazon.com/x",
            "https://a",
        ] {
            assert_eq!(local(other), None, "{other}");
        }
    }
}
