//! The sources, whose settings are SSM parameters below one path.

use aws_sdk_ssm::Client;
use domain::push::SourceName;

use crate::AwsFailure;

/// A source as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSource {
    /// Its name, which is the last part of the parameter's.
    pub name: String,
    /// Its settings, as JSON text.
    pub settings: String,
}

impl StoredSource {
    /// Returns whether the source is called `name`.
    #[must_use]
    pub fn is(&self, name: &SourceName) -> bool {
        self.name == name.as_str()
    }
}

/// The sources of a stack.
pub trait Sources: Send + Sync {
    /// Returns all of them.
    fn list(&self) -> impl Future<Output = Result<Vec<StoredSource>, AwsFailure>> + Send;
}

/// The SSM parameters below a path.
#[derive(Debug, Clone)]
pub struct StoredSources {
    client: Client,
    path: String,
}

impl StoredSources {
    /// Creates a client of the parameters below `path`, such as `/push-code/sources`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, path: String) -> Self {
        Self {
            client: Client::new(config),
            path,
        }
    }
}

impl Sources for StoredSources {
    async fn list(&self) -> Result<Vec<StoredSource>, AwsFailure> {
        let request = self.client.get_parameters_by_path().path(&self.path);
        let mut pages = request.into_paginator().send();
        let mut sources = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsFailure::new("ssm:GetParametersByPath", &error))?;
            sources.extend(page.parameters.unwrap_or_default().into_iter().map(|parameter| {
                let name = parameter.name.unwrap_or_default();
                StoredSource {
                    name: name.rsplit('/').next().unwrap_or_default().to_owned(),
                    settings: parameter.value.unwrap_or_default(),
                }
            }));
        }
        Ok(sources)
    }
}
