//! The parameters of the template: what they are, and which value each is to have.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

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
    #[serde(default)]
    allowed_values: Vec<Value>,
    constraint_description: Option<String>,
    pub description: String,
}

impl Parameter {
    /// Returns the default as text, which is empty for an empty one, or `None` if a value has to be given.
    pub fn default(&self) -> Option<String> {
        self.default.as_ref().map(text)
    }

    /// Returns what a value has to be, if the template says it.
    pub fn constraint(&self) -> Option<String> {
        if self.allowed_values.is_empty() {
            return self.constraint_description.clone();
        }
        let values: Vec<_> = self.allowed_values.iter().map(text).collect();
        Some(format!("must be one of {}", values.join(", ")))
    }

    /// Returns whether a value is among those that the template lists, if it lists any. CloudFormation checks everything else.
    pub fn allows(&self, value: &str) -> bool {
        self.allowed_values.is_empty() || self.allowed_values.iter().any(|allowed| text(allowed) == value)
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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
            if !parameter.allows(value) {
                let constraint = parameter.constraint().unwrap_or_default();
                return Err(Error::Usage(format!("{name} {constraint}, not {value:?}")));
            }
        }
        Ok(())
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
