//! The parameters of the template: what they are, and which value each is to have.

use std::collections::BTreeMap;

use domain::source::{Provider, SourceSettings};
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;

/// What is read of a template.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Template {
    parameters: BTreeMap<String, Parameter>,
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(rename = "AWS::CloudFormation::Interface")]
    interface: Interface,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Interface {
    parameter_groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    label: Label,
    parameters: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Label {
    default: String,
}

/// A parameter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    default: Option<Value>,
    #[serde(rename = "Type")]
    of_type: String,
    #[serde(default)]
    allowed_values: Vec<Value>,
    allowed_pattern: Option<String>,
    min_value: Option<i64>,
    max_value: Option<i64>,
    constraint_description: Option<String>,
    pub description: String,
}

impl Parameter {
    /// Returns the default as text, which is empty for an empty one, or `None` if a value has to be given.
    pub fn default(&self) -> Option<String> {
        self.default.as_ref().map(text)
    }

    /// Checks a value as CloudFormation does, which would refuse it only after the build. What has no default has to
    /// have a value.
    ///
    /// # Errors
    /// Returns what a value has to be.
    pub fn check(&self, value: &str) -> Result<(), String> {
        if value.is_empty() && self.default.is_none() {
            return Err(self.constraint("must be given"));
        }
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|one| text(one) == value) {
            let values: Vec<_> = self.allowed_values.iter().map(text).collect();
            return Err(format!("must be one of {}", values.join(", ")));
        }
        if self.of_type == "Number" {
            let (least, most) = (
                self.min_value.unwrap_or(i64::MIN),
                self.max_value.unwrap_or(i64::MAX),
            );
            if !value
                .parse()
                .is_ok_and(|number: i64| (least..=most).contains(&number))
            {
                return Err(match (self.min_value, self.max_value) {
                    (Some(least), Some(most)) => format!("must be a number from {least} to {most}"),
                    _ => format!("must be a number of at least {least}"),
                });
            }
        }
        if let Some(pattern) = &self.allowed_pattern {
            let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?;
            let matches = match self.of_type.as_str() {
                "CommaDelimitedList" => value.split(',').all(|part| pattern.is_match(part.trim())),
                _ => pattern.is_match(value),
            };
            if !matches {
                return Err(self.constraint(&format!("must match {}", pattern.as_str())));
            }
        }
        Ok(())
    }

    fn constraint(&self, or: &str) -> String {
        self.constraint_description
            .clone()
            .unwrap_or_else(|| or.to_owned())
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Checks that the functions can read the settings of the source that these values make, which would otherwise show
/// with the first push. A value that is not given is one that can be read.
fn check_settings(given: &BTreeMap<String, String>) -> Result<(), Error> {
    let value = |name: &str, or: &'static str| {
        let value = given.get(name).filter(|value| !value.is_empty());
        value.map_or(or, String::as_str)
    };
    let list = |name, or| value(name, or).split(',').map(str::trim).collect::<Vec<_>>();
    let object = |name, or| {
        serde_json::from_str::<Value>(value(name, or))
            .map_err(|error| Error::Usage(format!("{name} is not JSON: {error}")))
    };
    let settings = json!({
        "provider": value("Provider", "gitlab"),
        "repositories": list("AllowedRepositories", "group/**"),
        "submodule_repositories": list("SubmoduleRepositories", "group/**"),
        "refs": list("WantedRefs", "refs/heads/**"),
        "git_hosts": list("GitHosts", "https://gitlab.com"),
        "destination": {
            "bucket": value("DestinationBucketName", "zips"),
            "key_template": value("KeyTemplate", "{source}/{repository}/{ref}.zip"),
        },
        "options": object("SourceOptions", "{}")?,
        "commit_status": object("CommitStatus", "null")?,
    });
    let read = settings.to_string().parse::<SourceSettings>();
    let read = read.map_err(|error| Error::Usage(format!("no source can have these parameters: {error}")));
    read.map(|_| ())
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Returns what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// Returns the parameters by their groups, each with its name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Vec<(&str, &Parameter)>)> {
        self.metadata.interface.parameter_groups.iter().map(|group| {
            let parameters = group.parameters.iter();
            let parameters = parameters.filter_map(|name| Some((name.as_str(), self.parameters.get(name)?)));
            (group.label.default.as_str(), parameters.collect())
        })
    }

    /// Checks the values that are given.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if there is no such parameter, or if it cannot have the value.
    pub fn check(&self, given: &BTreeMap<String, String>) -> Result<(), Error> {
        for (name, value) in given {
            let parameter = self.parameters.get(name).ok_or_else(|| {
                let known: Vec<_> = self.parameters.keys().map(String::as_str).collect();
                Error::Usage(format!(
                    "the template has no parameter {name}, only: {}",
                    known.join(", ")
                ))
            })?;
            let checked = parameter.check(value);
            checked.map_err(|reason| {
                Error::Usage(format!("{name} {}, not {value:?}", reason.trim_end_matches('.')))
            })?;
        }
        check_settings(given)
    }

    /// Returns the kind of git host that calls a new stack.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if there is no such kind.
    pub fn provider(&self, given: &BTreeMap<String, String>) -> Result<Provider, Error> {
        const NAME: &str = "Provider";
        let default = || self.parameters.get(NAME)?.default();
        let provider = given.get(NAME).cloned().or_else(default);
        serde_json::from_value(json!(provider)).map_err(|error| Error::Usage(format!("{NAME}: {error}")))
    }

    /// Returns the parameters that have no default and no given value, with their names.
    pub fn missing(&self, given: &BTreeMap<String, String>) -> Vec<(&str, &Parameter)> {
        let all = self.groups().flat_map(|(_, parameters)| parameters);
        all.filter(|(name, parameter)| parameter.default.is_none() && !given.contains_key(*name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
        Template::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn given(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_default_is_a_value_that_the_parameter_may_have() {
        for (name, parameter) in &template().parameters {
            if let Some(default) = parameter.default() {
                assert_eq!(parameter.check(&default), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn every_parameter_of_the_template_is_asked_for_with_a_description() {
        let template = template();
        let grouped: Vec<_> = template.groups().flat_map(|(_, parameters)| parameters).collect();
        assert_eq!(grouped.len(), template.parameters.len());
        assert!(
            grouped
                .iter()
                .all(|(_, parameter)| parameter.description.ends_with('.'))
        );
        let default = |name: &str| template.parameters[name].default();
        assert_eq!(default("PackageMemoryMiB").as_deref(), Some("3008"));
        assert_eq!(default("DestinationBucketName").as_deref(), Some(""));
        assert_eq!(default("CodeCommit").as_deref(), Some("off"));
    }

    #[test]
    fn parameters_that_make_no_settings_are_refused() {
        let template = template();
        let check = |name: &str, value: &str| template.check(&given(&[(name, value)]));
        let error = |name, value| check(name, value).unwrap_err().to_string();
        assert!(error("SourceOptions", r#"{"atributes":true}"#).contains("unknown: options.atributes"));
        assert!(error("SourceOptions", "{attributes:true}").starts_with("SourceOptions is not JSON"));
        assert!(error("CommitStatus", r#"{"api":"gitlub"}"#).contains("no source can have"));
        check(
            "SourceOptions",
            r#"{"attributes":true,"limits":{"file_bytes":1073741824}}"#,
        )
        .unwrap();
        check("CommitStatus", r#"{"api":"gitlab"}"#).unwrap();
        check("CommitStatus", "").unwrap();
    }

    #[test]
    fn what_has_no_default_is_missing_until_it_is_given() {
        let template = template();
        let missing = |values: &[(&str, &str)]| {
            let missing = template.missing(&given(values));
            missing.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(missing(&[]), ["AllowedRepositories", "NotificationEmail"]);
        assert_eq!(
            missing(&[("AllowedRepositories", "group/**")]),
            ["NotificationEmail"]
        );
        assert_eq!(
            missing(&[("AllowedRepositories", "**"), ("NotificationEmail", "none")]),
            [""; 0]
        );
    }

    #[test]
    fn a_parameter_that_is_unknown_or_cannot_have_its_value_is_named() {
        let template = template();
        let error =
            |name: &str, value: &str| template.check(&given(&[(name, value)])).unwrap_err().to_string();
        assert!(error("Provder", "gitlab").contains("no parameter Provder, only: AllowedRepositories"));
        assert!(error("Provider", "svn").contains("must be one of gitlab, github"));
        assert!(error("NotificationEmail", "").contains("must be an e-mail address, or none"));
        assert!(error("NotificationEmail", "nobody").contains("must be an e-mail address, or none"));
        assert!(error("RolePath", "teams").contains("must begin and end with a slash"));
        assert!(error("PackageMemoryMiB", "100").contains("must be a number from 1024 to 10240"));
        assert!(error("WantedRefs", "refs/heads/main,refs/heads/a b").contains("must be globs"));
        assert!(
            template
                .check(&given(&[
                    ("Provider", "github"),
                    ("GitHosts", "https://github.com")
                ]))
                .is_ok()
        );
    }
}
