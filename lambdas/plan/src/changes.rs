//! What a change set would do, as people are told, and what follows from it.

use std::collections::BTreeSet;

use delivery::application::ApplicationSettings;
use delivery::contract::{Change, Drift};
use serde_json::{Value, json};
use stacks::{ResourceChange, ResourceDrift};

use crate::Error;

/// The longest value of a property that is told, in characters.
const MAX_VALUE: usize = 200;

/// The most changed properties of a resource that are told.
const MAX_PROPERTIES: usize = 20;

/// The most changes by hand that are told.
const MAX_DRIFTS: usize = 50;

/// Returns the changes as people are told.
///
/// If a property depends on a resource that changes, CloudFormation lists it too, though it only changes if the
/// resource is replaced. Such properties are left out.
pub fn describe(changes: &[ResourceChange]) -> Vec<Change> {
    let moved: BTreeSet<_> = changes
        .iter()
        .filter(|change| change.replacement != "False")
        .map(|change| change.logical_id.as_str())
        .collect();
    let changes = changes.iter().map(|change| {
        let changing = change.details.iter().filter(|detail| {
            let cause = detail.cause.as_deref().unwrap_or_default();
            let cause = cause.split('.').next().unwrap_or_default();
            !detail.is_dynamic || moved.contains(cause)
        });
        let properties: BTreeSet<_> = changing.map(|detail| detail.name.clone()).collect();
        Change {
            action: change.action.clone(),
            logical_id: change.logical_id.clone(),
            resource_type: change.resource_type.clone(),
            replacement: change.replacement.clone(),
            properties: properties.into_iter().take(MAX_PROPERTIES).collect(),
        }
    });
    changes.collect()
}

/// Returns whether a change only tells CloudFormation where traffic is already, because the workflow has moved it.
pub fn is_traffic(change: &Change, after: &Value) -> bool {
    let alias = &after["Resources"][&change.logical_id];
    change.action == "Modify"
        && alias["Type"] == "AWS::Lambda::Alias"
        && alias["Properties"]["Name"] == "live"
        && change.properties == ["FunctionVersion"]
}

/// Returns whether new versions may have a share of the traffic: an alias cannot point to two versions with different
/// roles or dead-letter queues.
pub fn allows_canary(changes: &[Change], settings: &ApplicationSettings) -> bool {
    let shared = ["Role", "DeadLetterConfig"];
    !functions(changes, settings).any(|change| {
        change
            .properties
            .iter()
            .any(|property| shared.contains(&property.as_str()))
    })
}

/// Checks that a version is published of each function that changes.
///
/// # Errors
/// Returns [`Error::NothingPublished`] for a function of which none is.
pub fn check_published(
    changes: &[Change],
    settings: &ApplicationSettings,
    after: &Value,
) -> Result<(), Error> {
    for change in functions(changes, settings) {
        let is_published = changes.iter().any(|version| {
            version.action == "Add"
                && version.resource_type == "AWS::Lambda::Version"
                && after["Resources"][&version.logical_id]["Properties"]["FunctionName"]
                    == json!({ "Ref": change.logical_id })
        });
        // Tags are those of the function, not of its versions.
        let changed: Vec<_> = change.properties.iter().filter(|name| *name != "Tags").collect();
        if !changed.is_empty() && !is_published {
            return Err(Error::NothingPublished {
                function: change.logical_id.clone(),
                properties: change.properties.join(", "),
            });
        }
    }
    Ok(())
}

/// Returns the changes of functions that take traffic and were there before.
fn functions<'a>(
    changes: &'a [Change],
    settings: &'a ApplicationSettings,
) -> impl Iterator<Item = &'a Change> {
    changes.iter().filter(|change| {
        change.action == "Modify"
            && change.resource_type == "AWS::Lambda::Function"
            && settings.functions.contains_key(&change.logical_id)
    })
}

/// Returns what was changed by hand. Where traffic goes is the workflow's own doing.
pub fn drift(drifts: Vec<ResourceDrift>) -> Vec<Drift> {
    let mut told = Vec::new();
    for drift in drifts {
        if drift.is_deleted {
            told.push(Drift {
                logical_id: drift.logical_id,
                property: None,
                expected: None,
                actual: None,
            });
            continue;
        }
        let is_live = drift.resource_type == "AWS::Lambda::Alias" && drift.physical_id.ends_with(":live");
        for property in drift.properties {
            let is_traffic = ["/FunctionVersion", "/RoutingConfig"]
                .iter()
                .any(|path| property.path.starts_with(path));
            if is_live && is_traffic {
                continue;
            }
            // The values of variables may be secrets, which the trail must not have.
            let is_secret = property.path.contains("/Variables/");
            let value = |text: &str| (!is_secret).then(|| domain::plain(text, MAX_VALUE));
            told.push(Drift {
                logical_id: drift.logical_id.clone(),
                expected: value(&property.expected),
                actual: value(&property.actual),
                property: Some(property.path),
            });
        }
    }
    told.truncate(MAX_DRIFTS);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::samples;
    use stacks::{Detail, PropertyDrift};

    fn change(action: &str, id: &str, kind: &str, replacement: &str) -> ResourceChange {
        ResourceChange {
            action: action.to_owned(),
            logical_id: id.to_owned(),
            resource_type: kind.to_owned(),
            replacement: replacement.to_owned(),
            details: vec![],
        }
    }

    fn modified(details: &[(&str, Option<&str>)]) -> ResourceChange {
        let details = details.iter().map(|(name, cause)| Detail {
            name: (*name).to_owned(),
            is_dynamic: cause.is_some(),
            cause: cause.map(str::to_owned),
        });
        ResourceChange {
            details: details.collect(),
            ..change("Modify", "Ask", "AWS::Lambda::Function", "False")
        }
    }

    #[test]
    fn what_only_changes_if_its_cause_is_replaced_is_told_only_then() {
        let function = modified(&[("Code", None), ("Role", Some("AskRole.Arn"))]);
        let role = |replacement| change("Modify", "AskRole", "AWS::IAM::Role", replacement);
        let properties = |role| describe(&[function.clone(), role])[0].properties.clone();
        assert_eq!(properties(role("False")), ["Code"]);
        assert_eq!(properties(role("True")), ["Code", "Role"]);
        assert_eq!(properties(role("Conditional")), ["Code", "Role"]);
        assert_eq!(
            properties(change("Add", "AskRole", "AWS::IAM::Role", "")),
            ["Code", "Role"]
        );
    }

    #[test]
    fn a_function_whose_role_changes_gets_all_of_the_traffic_at_once() {
        let settings = samples::settings();
        let allows = |changes: &[ResourceChange]| allows_canary(&describe(changes), &settings);
        assert!(allows(&[modified(&[("Code", None)])]));
        assert!(!allows(&[modified(&[("Role", None)])]));
        assert!(!allows(&[modified(&[("DeadLetterConfig", None)])]));
        let other = ResourceChange {
            logical_id: "Other".to_owned(),
            ..modified(&[("Role", None)])
        };
        assert!(allows(&[other]));
    }

    #[test]
    fn a_function_that_changes_needs_a_new_version_of_its_own() {
        let after = |function: &str| json!({ "Resources": { "AskVersion2": { "Properties": { "FunctionName": { "Ref": function } } } } });
        let version = change("Add", "AskVersion2", "AWS::Lambda::Version", "");
        let check = |changes: &[ResourceChange], after: &Value| {
            check_published(&describe(changes), &samples::settings(), after)
        };
        let code = modified(&[("Code", None)]);
        check(&[code.clone(), version.clone()], &after("Ask")).unwrap();
        for (changes, after) in [
            (vec![code.clone()], after("Ask")),
            (vec![code.clone(), version.clone()], after("Other")),
            (vec![modified(&[("Environment", None)])], after("Ask")),
        ] {
            let error = check(&changes, &after).unwrap_err();
            assert!(error.to_string().contains("function Ask changes"), "{error}");
        }
        for unchanged in [
            modified(&[("Tags", None)]),
            modified(&[("Role", Some("AskRole.Arn"))]),
            version,
        ] {
            check(&[unchanged], &after("Ask")).unwrap();
        }
    }

    #[test]
    fn traffic_that_was_moved_is_no_drift_and_variables_are_not_told() {
        let drift_of = |kind: &str, id: &str, paths: &[&str]| ResourceDrift {
            logical_id: "Thing".to_owned(),
            resource_type: kind.to_owned(),
            physical_id: id.to_owned(),
            is_deleted: paths.is_empty(),
            properties: paths
                .iter()
                .map(|path| PropertyDrift {
                    path: (*path).to_owned(),
                    expected: "1".to_owned(),
                    actual: "2".to_owned(),
                })
                .collect(),
        };
        let alias = "AWS::Lambda::Alias";
        let moved = drift_of(
            alias,
            "arn:f:live",
            &["/FunctionVersion", "/RoutingConfig/AdditionalVersionWeights"],
        );
        assert_eq!(drift(vec![moved]), []);
        let next = drift(vec![drift_of(alias, "arn:f:next", &["/FunctionVersion"])]);
        assert_eq!(next[0].expected.as_deref(), Some("1"));
        let described = drift(vec![drift_of(alias, "arn:f:live", &["/Description"])]);
        assert_eq!(described.len(), 1);
        let variable = drift(vec![drift_of(
            "AWS::Lambda::Function",
            "f",
            &["/Environment/Variables/KEY"],
        )]);
        assert_eq!(
            variable[0].property.as_deref(),
            Some("/Environment/Variables/KEY")
        );
        assert_eq!((&variable[0].expected, &variable[0].actual), (&None, &None));
        assert_eq!(
            drift(vec![drift_of("AWS::S3::Bucket", "b", &[])])[0].property,
            None
        );
    }
}
