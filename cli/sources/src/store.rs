//! Where the sources of a stack are stored: their settings in Systems Manager, their secrets in Secrets Manager.

use std::fmt;

use aws::AwsFailure;
use aws_sdk_ssm::types::ParameterType;
use deployed_stack::Stack;
use domain::push::SourceName;
use secrecy::{ExposeSecret, SecretString};

use crate::Error;

/// How long a removed secret can be restored, in days.
pub const RECOVERY_DAYS: i64 = 7;

/// A kind of secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What proves that a webhook is from the git host.
    Webhook,
    /// How to log in at the git hosts.
    Git,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Webhook => "webhook",
            Self::Git => "git",
        })
    }
}

/// A secret as it is stored.
#[derive(Debug)]
pub enum Stored {
    /// There is no such secret, or it has no text.
    Missing,
    /// It was deleted, and can be restored.
    Deleted,
    /// It is there.
    Text(SecretString),
}

/// The sources of a stack as they are stored.
#[derive(Debug)]
pub struct Store {
    ssm: aws_sdk_ssm::Client,
    secrets: aws_sdk_secretsmanager::Client,
    /// The path of the parameters.
    path: String,
    /// What the secrets' names begin with.
    prefix: String,
    /// The parameter of the template's own source.
    of_the_template: String,
    /// The URL of the template's own webhook.
    webhook_url: String,
}

impl Store {
    /// Returns the sources of `stack`.
    ///
    /// # Errors
    /// Returns an error if the stack is of another version.
    pub fn of(stack: &Stack) -> Result<Self, Error> {
        Ok(Self {
            ssm: aws_sdk_ssm::Client::new(stack.config()),
            secrets: stack.secrets(),
            path: stack.sources_path()?,
            prefix: stack.secret_prefix()?,
            of_the_template: stack.output("SourceSettingsName")?.to_owned(),
            webhook_url: stack.output("WebhookUrl")?.to_owned(),
        })
    }

    /// Returns the URL that the git host of a source calls.
    #[must_use]
    pub fn webhook_url(&self, name: &SourceName) -> String {
        let base = self.webhook_url.rsplit_once('/').map_or("", |(base, _)| base);
        format!("{base}/{name}")
    }

    /// Returns whether the template has made the source.
    #[must_use]
    pub fn is_of_the_template(&self, name: &SourceName) -> bool {
        self.of_the_template == self.parameter(name)
    }

    fn parameter(&self, name: &SourceName) -> String {
        format!("{}/{name}", self.path)
    }

    /// Returns the name of a secret.
    #[must_use]
    pub(crate) fn secret_name(&self, name: &SourceName, kind: Kind) -> String {
        format!("{}{name}/{kind}", self.prefix)
    }

    /// Reads the settings of a source. Returns `None` if it does not exist.
    pub(crate) async fn settings(&self, name: &SourceName) -> Result<Option<String>, AwsFailure> {
        let read = self.ssm.get_parameter().name(self.parameter(name)).send().await;
        match read.map_err(|error| AwsFailure::new("ssm:GetParameter", &error)) {
            Ok(output) => Ok(output.parameter.and_then(|parameter| parameter.value)),
            Err(failure) if failure.is("ParameterNotFound") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Writes the settings of a new source. Returns `false` if it exists.
    pub(crate) async fn create_settings(&self, name: &SourceName, text: &str) -> Result<bool, AwsFailure> {
        match self.put_settings(name, text, false).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.is("ParameterAlreadyExists") => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Writes the settings of a source over those that it has.
    pub(crate) async fn replace_settings(&self, name: &SourceName, text: &str) -> Result<(), AwsFailure> {
        self.put_settings(name, text, true).await
    }

    async fn put_settings(&self, name: &SourceName, text: &str, overwrite: bool) -> Result<(), AwsFailure> {
        let put = self.ssm.put_parameter().name(self.parameter(name)).value(text);
        let put = put.r#type(ParameterType::String).overwrite(overwrite);
        let put = put.send().await;
        put.map_err(|error| AwsFailure::new("ssm:PutParameter", &error))?;
        Ok(())
    }

    /// Deletes the settings of a source. Returns `false` if there are none.
    pub(crate) async fn delete_settings(&self, name: &SourceName) -> Result<bool, AwsFailure> {
        let delete = self.ssm.delete_parameter().name(self.parameter(name)).send();
        match delete
            .await
            .map_err(|error| AwsFailure::new("ssm:DeleteParameter", &error))
        {
            Ok(_) => Ok(true),
            Err(failure) if failure.is("ParameterNotFound") => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Reads a secret.
    pub(crate) async fn secret(&self, name: &SourceName, kind: Kind) -> Result<Stored, AwsFailure> {
        let read = self
            .secrets
            .get_secret_value()
            .secret_id(self.secret_name(name, kind));
        let read = read.send().await;
        match read.map_err(|error| AwsFailure::new("secretsmanager:GetSecretValue", &error)) {
            Ok(output) => Ok(output
                .secret_string
                .map_or(Stored::Missing, |text| Stored::Text(text.into()))),
            Err(failure) if failure.is("ResourceNotFoundException") => Ok(Stored::Missing),
            Err(failure) if failure.is("InvalidRequestException") => Ok(Stored::Deleted),
            Err(failure) => Err(failure),
        }
    }

    /// Writes a secret, whether there was one or not. One that was deleted is restored.
    pub(crate) async fn write_secret(
        &self,
        name: &SourceName,
        kind: Kind,
        text: &SecretString,
    ) -> Result<(), AwsFailure> {
        let id = self.secret_name(name, kind);
        let create = self.secrets.create_secret().name(&id);
        let created = create.secret_string(text.expose_secret()).send().await;
        let failure = match created {
            Ok(_) => return Ok(()),
            Err(error) => AwsFailure::new("secretsmanager:CreateSecret", &error),
        };
        // The name of a deleted secret is taken until it can no longer be restored.
        if failure.is("InvalidRequestException") || failure.is("ResourceExistsException") {
            self.restore_secret(&id).await?;
            return self.put_secret(name, kind, text).await;
        }
        Err(failure)
    }

    /// Writes a secret that is there.
    pub(crate) async fn put_secret(
        &self,
        name: &SourceName,
        kind: Kind,
        text: &SecretString,
    ) -> Result<(), AwsFailure> {
        let put = self.secrets.put_secret_value();
        let put = put.secret_id(self.secret_name(name, kind));
        let put = put.secret_string(text.expose_secret()).send().await;
        put.map_err(|error| AwsFailure::new("secretsmanager:PutSecretValue", &error))?;
        Ok(())
    }

    async fn restore_secret(&self, id: &str) -> Result<(), AwsFailure> {
        let described = self.secrets.describe_secret().secret_id(id).send().await;
        let described =
            described.map_err(|error| AwsFailure::new("secretsmanager:DescribeSecret", &error))?;
        if described.deleted_date.is_some() {
            let restored = self.secrets.restore_secret().secret_id(id).send().await;
            restored.map_err(|error| AwsFailure::new("secretsmanager:RestoreSecret", &error))?;
        }
        Ok(())
    }

    /// Deletes a secret, so that it can be restored for [`RECOVERY_DAYS`]. Returns `false` if there is none.
    pub(crate) async fn delete_secret(&self, name: &SourceName, kind: Kind) -> Result<bool, AwsFailure> {
        let delete = self
            .secrets
            .delete_secret()
            .secret_id(self.secret_name(name, kind));
        let deleted = delete.recovery_window_in_days(RECOVERY_DAYS).send().await;
        match deleted.map_err(|error| AwsFailure::new("secretsmanager:DeleteSecret", &error)) {
            Ok(_) => Ok(true),
            // It was deleted before.
            Err(failure) if failure.is("InvalidRequestException") => Ok(false),
            Err(failure) if failure.is("ResourceNotFoundException") => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}
