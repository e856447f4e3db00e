//! The settings of an application in one environment, which are an SSM parameter.

use std::collections::BTreeMap;

use domain::git::{RefName, RepositoryPath};
use domain::push::SourceName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::deployment::{ApplicationName, EnvironmentName};

/// What is deployed, where to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationSettings {
    /// The application.
    pub application: ApplicationName,
    /// The environment that it is deployed to.
    pub environment: EnvironmentName,
    /// The source whose pushes are deployed.
    pub source: SourceName,
    /// The repository whose pushes are deployed.
    pub repository: RepositoryPath,
    /// The ref whose pushes are deployed.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The folder of `buildspec.yml` and the template in the repository, without a slash at either end. Empty for the
    /// repository itself.
    pub directory: String,
    /// The name of the application's CloudFormation stack.
    pub stack: String,
    /// The values of the template's parameters that are not the default.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The functions that take traffic by an alias `live`, by their logical ids in the template.
    pub functions: BTreeMap<String, FunctionSettings>,
    /// How traffic is moved to a new version.
    #[serde(default)]
    pub canary: Canary,
    /// The names of the CloudWatch alarms that judge a new version.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// When a person has to approve a deployment.
    #[serde(default)]
    pub approval: Approval,
    /// What is done about an alarm that has no data while a new version has a share of the traffic.
    #[serde(default)]
    pub no_data: NoData,
}

/// A function that takes traffic by an alias `live`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSettings {
    /// How a new version is tested before it gets traffic. `None` if it is not.
    #[serde(default)]
    pub probe: Option<Probe>,
}

/// A call of a function, and what is expected of its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The event that the function is called with.
    pub payload: Value,
    /// The fields that the response must have, with these values. The response may have others.
    #[serde(default)]
    pub expect: Map<String, Value>,
}

/// How traffic is moved to a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The shares of the traffic that the new version gets, in percent, one after the other. If there are none, it gets
    /// all at once.
    pub steps: Vec<u8>,
    /// How long each share is kept before it is judged, in seconds.
    pub bake_seconds: u32,
}

impl Default for Canary {
    /// Returns 10 % and then 50 % for five minutes each.
    fn default() -> Self {
        Self {
            steps: vec![10, 50],
            bake_seconds: 300,
        }
    }
}

/// When a person has to approve a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// If the plan has a risk, because the push itself was the approval of everything else.
    #[default]
    Dangerous,
    /// Always.
    Always,
    /// Never. A plan that has a risk is refused.
    Never,
}

/// What is done about an alarm that has no data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// The probes decide.
    #[default]
    Pass,
    /// The new version is taken back.
    Fail,
}

/// Why settings cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The text is no JSON, or lacks a field, or has an unknown one.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    /// A value breaks a rule.
    #[error("{field} {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

impl std::str::FromStr for ApplicationSettings {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let settings: Self = serde_json::from_str(text)?;
        settings.check()?;
        Ok(settings)
    }
}

impl ApplicationSettings {
    fn check(&self) -> Result<(), SettingsError> {
        let invalid = |field, rule| Err(SettingsError::Invalid { field, rule });
        let parts = || self.directory.split('/');
        if !self.directory.is_empty() && parts().any(|part| matches!(part, "" | "." | "..")) {
            return invalid(
                "directory",
                "must be a path in the repository, without a slash at either end",
            );
        }
        if self.functions.is_empty() {
            return invalid("functions", "must name at least one function of the template");
        }
        if self.canary.steps.len() > 10 {
            return invalid("canary.steps", "may have at most 10 steps");
        }
        let rises = self.canary.steps.windows(2).all(|pair| pair[0] < pair[1]);
        if !rises || self.canary.steps.iter().any(|step| !(1..=99).contains(step)) {
            return invalid("canary.steps", "must rise, from 1 to 99");
        }
        if self.canary.bake_seconds > 86_400 {
            return invalid("canary.bake_seconds", "may be at most 86400");
        }
        Ok(())
    }

    /// Returns the template's parameter that keeps the alias `live` of a function at a version.
    #[must_use]
    pub fn live_version_parameter(logical_id: &str) -> String {
        format!("{logical_id}LiveVersion")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings() -> Value {
        json!({
            "application": "deepest-thread",
            "environment": "dev",
            "source": "gitlab",
            "repository": "group/project",
            "ref": "refs/heads/main",
            "directory": "examples/deepest-thread",
            "stack": "deepest-thread",
            "functions": { "AskFunction": { "probe": { "payload": {}, "expect": { "statusCode": 200 } } } },
        })
    }

    fn parse(settings: &Value) -> Result<ApplicationSettings, SettingsError> {
        settings.to_string().parse()
    }

    #[test]
    fn what_is_not_set_is_safe() {
        let settings = parse(&settings()).unwrap();
        assert_eq!(settings.canary.steps, [10, 50]);
        assert_eq!(settings.canary.bake_seconds, 300);
        assert_eq!(settings.approval, Approval::Dangerous);
        assert_eq!(settings.no_data, NoData::Pass);
    }

    #[test]
    fn a_value_that_breaks_a_rule_is_named() {
        for (field, value) in [
            ("directory", json!("a/../b")),
            ("directory", json!("/a")),
            ("directory", json!("a/")),
            ("functions", json!({})),
            ("canary", json!({ "steps": [50, 10], "bake_seconds": 1 })),
            ("canary", json!({ "steps": [10, 10], "bake_seconds": 1 })),
            ("canary", json!({ "steps": [0], "bake_seconds": 1 })),
            ("canary", json!({ "steps": [100], "bake_seconds": 1 })),
            (
                "canary",
                json!({ "steps": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], "bake_seconds": 1 }),
            ),
            ("canary", json!({ "steps": [], "bake_seconds": 86_401 })),
            ("approval", json!("sometimes")),
            ("unknown", json!(1)),
        ] {
            let mut settings = settings();
            settings[field] = value.clone();
            let error = parse(&settings).unwrap_err().to_string();
            let named = if field == "approval" { "sometimes" } else { field };
            assert!(error.contains(named), "{field} {value}: {error}");
        }
        let mut empty = settings();
        empty["directory"] = json!("");
        empty["canary"] = json!({ "steps": [], "bake_seconds": 0 });
        parse(&empty).unwrap();
    }
}
