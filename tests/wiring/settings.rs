//! The first source, which the template makes, and the names that sources are found by.

use std::collections::BTreeSet;

use domain::commit_status::StatusApi;
use domain::destination::KeyTemplate;
use domain::source::{Options, SourceSettings};
use serde_json::{Value, json};

use crate::machine::machines;
use crate::project::{entries, items, resources, substitutions, template, templates, texts};

#[test]
fn the_template_makes_settings_that_the_code_reads() {
    let template = template();
    // The parameter for the repositories that may be delivered has no default.
    let default = |name: &str| match template["Parameters"][name]["Default"].as_str() {
        None if name == "AllowedRepositories" => "group/project,group/**",
        default => default.unwrap(),
    };
    let (_, parameter) = resources(&template, "AWS::SSM::Parameter").next().unwrap();
    let substitution = parameter["Value"]["Fn::Sub"].as_array().unwrap();
    let mut text = substitution[0].as_str().unwrap().to_owned();
    let submodules = &substitution[1]["Submodules"]["Fn::If"];
    assert_eq!(submodules[0], "AllowSubmodules");
    assert_eq!(submodules[1]["Fn::Sub"][0], r#""${Globs}""#);
    assert_eq!(submodules[2], "");
    text = text.replace("${Submodules}", r#""third-party/**""#);
    let status = &substitution[1]["Status"]["Fn::If"];
    assert_eq!(status[0], "ShowCommitStatus");
    let shown = status[1]["Fn::Sub"].as_str().unwrap();
    assert_eq!(status[2], "");
    text = text.replace(
        "${Status}",
        &shown.replace("${CommitStatus}", r#"{"api":"gitlab"}"#),
    );
    for name in substitutions(&text.clone()) {
        let given = &substitution[1][name];
        let value = match given["Fn::Join"].as_array() {
            Some(join) => default(join[1]["Ref"].as_str().unwrap())
                .split(',')
                .collect::<Vec<_>>()
                .join(join[0].as_str().unwrap()),
            None if given.is_null() => default(name).to_owned(),
            None => "zips".to_owned(),
        };
        text = text.replace(&format!("${{{name}}}"), &value);
    }
    let settings: SourceSettings = text.parse().unwrap();
    assert_eq!(settings.destination.bucket, "zips");
    assert_eq!(settings.destination.key_template, KeyTemplate::default());
    assert_eq!(settings.options, Options::default());
    assert_eq!(settings.commit_status.unwrap().api, StatusApi::GitLab);
    assert_eq!(settings.repositories, ["group/project", "group/**"]);
    assert_eq!(settings.submodule_repositories, ["third-party/**"]);
    assert_eq!(settings.refs, ["refs/heads/**", "refs/tags/**"]);
    assert_eq!(settings.git_hosts[0].as_str(), "https://gitlab.com");
}

#[test]
fn secrets_and_settings_are_found_by_the_names_that_the_functions_are_given() {
    let template = template();
    let prefix = "${AWS::StackName}/sources/";
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let given = &function["Environment"]["Variables"]["SECRET_PREFIX"];
        assert!(
            given.is_null() || *given == json!({ "Fn::Sub": prefix }),
            "{name}"
        );
    }
    let named: BTreeSet<_> = resources(&template, "AWS::SecretsManager::Secret")
        .map(|(_, secret)| secret["Name"]["Fn::Sub"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["git", "webhook"].map(|kind| format!("{prefix}${{SourceName}}/{kind}"));
    assert_eq!(named, BTreeSet::from(expected));
    let (_, parameter) = resources(&template, "AWS::SSM::Parameter").next().unwrap();
    for machine in machines().iter().filter(|machine| machine.name == "push") {
        let path = &machine.properties()["DefinitionSubstitutions"]["SourcesPath"];
        let expected = format!("{}${{SourceName}}", path["Fn::Sub"].as_str().unwrap());
        assert_eq!(parameter["Name"]["Fn::Sub"], expected, "{}", machine.name);
    }
}

#[test]
fn every_parameter_and_output_is_described_and_every_parameter_has_its_group() {
    for (file, template) in templates() {
        for part in ["Parameters", "Outputs"] {
            for (name, value) in entries(&template[part]) {
                assert!(value["Description"].is_string(), "{file}: {name}");
            }
        }
        let interface = &template["Metadata"]["AWS::CloudFormation::Interface"];
        let grouped: BTreeSet<_> = items(&interface["ParameterGroups"])
            .flat_map(|group| texts(&group["Parameters"]))
            .collect();
        let labelled: BTreeSet<_> = entries(&interface["ParameterLabels"])
            .map(|(name, _)| name)
            .collect();
        let all: BTreeSet<_> = entries(&template["Parameters"]).map(|(name, _)| name).collect();
        assert_eq!(grouped, all, "{file}");
        assert_eq!(labelled, all, "{file}");
    }
}

/// Nobody is notified only if somebody has said so, or a stack is older than the choice.
#[test]
fn an_address_is_notified_unless_there_is_none() {
    let template = template();
    let email = &template["Parameters"]["NotificationEmail"];
    assert_eq!(email["Default"], Value::Null);
    let is = |value: &str| json!({ "Fn::Equals": [{ "Ref": "NotificationEmail" }, value] });
    assert_eq!(
        template["Conditions"]["SendEmail"],
        json!({ "Fn::Not": [{ "Fn::Or": [is(""), is("none")] }] })
    );
    let (_, subscription) = resources(&template, "AWS::SNS::Subscription").next().unwrap();
    assert_eq!(subscription["Endpoint"], json!({ "Ref": "NotificationEmail" }));
}
