//! The packaged template of an artifact, and the template of a change set that is made of it.

use delivery::application::ApplicationSettings;
use delivery::artifact::Artifact;
use serde_json::{Value, json};

use crate::Error;

/// Checks that each function of the settings has an alias `live` whose version is kept by a parameter, and an alias
/// `next` that SAM moves to each new version.
///
/// # Errors
/// Returns [`Error::LiveAlias`], which says what a function lacks.
pub fn check_aliases(template: &Value, settings: &ApplicationSettings) -> Result<(), Error> {
    for function in settings.functions.keys() {
        check(template, function).map_err(|reason| Error::LiveAlias {
            function: function.clone(),
            reason,
        })?;
    }
    Ok(())
}

fn check(template: &Value, function: &str) -> Result<(), String> {
    let resource = &template["Resources"][function];
    if resource["Type"] != "AWS::Serverless::Function" {
        return Err("the template has no AWS::Serverless::Function of this name".to_owned());
    }
    let globals = &template["Globals"]["Function"];
    let property = |name: &str| match &resource["Properties"][name] {
        Value::Null => globals[name].clone(),
        own => own.clone(),
    };
    if property("AutoPublishAlias") != "next" {
        return Err("its AutoPublishAlias is not next".to_owned());
    }
    // Without it SAM publishes a version for new code alone, and nothing for a new variable or layer.
    if property("AutoPublishAliasAllProperties") != true {
        return Err("its AutoPublishAliasAllProperties is not true".to_owned());
    }
    let resources = template["Resources"].as_object().into_iter().flatten();
    let mut aliases = resources.filter(|(_, alias)| {
        let properties = &alias["Properties"];
        alias["Type"] == "AWS::Lambda::Alias"
            && properties["Name"] == "live"
            && properties["FunctionName"] == json!({ "Ref": function })
    });
    let Some((_, alias)) = aliases.next() else {
        return Err("the template has no AWS::Lambda::Alias with the Name live of it".to_owned());
    };
    let parameter = ApplicationSettings::live_version_parameter(function);
    if template["Parameters"][&parameter].is_null() {
        return Err(format!("the template has no parameter {parameter}"));
    }
    if !refers_to(&alias["Properties"]["FunctionVersion"], &parameter) {
        return Err(format!(
            "the FunctionVersion of its alias live does not use {parameter}"
        ));
    }
    Ok(())
}

/// Returns whether a value has a `Ref` to a name, anywhere in it.
fn refers_to(value: &Value, name: &str) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| refers_to(item, name)),
        Value::Object(entries) => {
            entries.get("Ref").is_some_and(|of| of == name)
                || entries.values().any(|value| refers_to(value, name))
        }
        _ => false,
    }
}

/// Names the bucket of each object, and the permissions boundary of each role.
pub fn fill(template: &mut Value, artifact: &Artifact, bucket: &str, boundary: &str) {
    for object in &artifact.objects {
        let Some((logical_id, property)) = object.property.split_once('.') else {
            continue;
        };
        let place = template
            .get_mut("Resources")
            .and_then(|resources| resources.get_mut(logical_id))
            .and_then(|resource| resource.get_mut("Properties"))
            .and_then(|properties| properties.get_mut(property));
        if let Some(place) = place {
            *place = json!({ "Bucket": bucket, "Key": object.sha256.key() });
        }
    }
    let resources = template.get_mut("Resources").and_then(Value::as_object_mut);
    for resource in resources.into_iter().flat_map(|resources| resources.values_mut()) {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let makes_role = matches!(
            kind,
            "AWS::Serverless::Function" | "AWS::Serverless::StateMachine"
        );
        let has_role = makes_role && !resource["Properties"]["Role"].is_null();
        if !(makes_role || kind == "AWS::IAM::Role") || has_role || !resource.is_object() {
            continue;
        }
        let properties = &mut resource["Properties"];
        if (properties.is_null() || properties.is_object()) && properties["PermissionsBoundary"].is_null() {
            properties["PermissionsBoundary"] = json!(boundary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::samples;

    fn template() -> Value {
        json!({
            "Parameters": { "AskLiveVersion": { "Type": "String", "Default": "" } },
            "Resources": {
                "Ask": { "Type": "AWS::Serverless::Function", "Properties": {
                    "CodeUri": { "Key": "sha256/x" },
                    "AutoPublishAlias": "next",
                    "AutoPublishAliasAllProperties": true,
                } },
                "AskLive": { "Type": "AWS::Lambda::Alias", "Properties": {
                    "Name": "live",
                    "FunctionName": { "Ref": "Ask" },
                    "FunctionVersion": { "Fn::If": ["HasAskLiveVersion", { "Ref": "AskLiveVersion" }, { "Fn::GetAtt": ["Ask.Version", "Version"] }] },
                } },
            },
        })
    }

    #[test]
    fn a_function_that_the_workflow_can_move_traffic_of_is_accepted() {
        check_aliases(&template(), &samples::settings()).unwrap();
        let mut by_globals = template();
        for name in ["AutoPublishAlias", "AutoPublishAliasAllProperties"] {
            let properties = &mut by_globals["Resources"]["Ask"]["Properties"];
            let own = properties.as_object_mut().unwrap().remove(name).unwrap();
            by_globals["Globals"]["Function"][name] = own;
        }
        check_aliases(&by_globals, &samples::settings()).unwrap();
    }

    #[test]
    fn what_a_function_lacks_is_named() {
        for (path, value, named) in [
            (
                "/Resources/Ask/Type",
                json!("AWS::Lambda::Function"),
                "AWS::Serverless::Function",
            ),
            (
                "/Resources/Ask/Properties/AutoPublishAlias",
                json!("live"),
                "AutoPublishAlias",
            ),
            (
                "/Resources/Ask/Properties/AutoPublishAliasAllProperties",
                json!(false),
                "AllProperties",
            ),
            (
                "/Resources/AskLive/Properties/Name",
                json!("prod"),
                "AWS::Lambda::Alias",
            ),
            (
                "/Resources/AskLive/Properties/FunctionName",
                json!({ "Ref": "Other" }),
                "AWS::Lambda::Alias",
            ),
            ("/Parameters", json!({}), "no parameter AskLiveVersion"),
            (
                "/Resources/AskLive/Properties/FunctionVersion",
                json!("1"),
                "does not use AskLiveVersion",
            ),
        ] {
            let mut template = template();
            *template.pointer_mut(path).unwrap() = value;
            let error = check_aliases(&template, &samples::settings())
                .unwrap_err()
                .to_string();
            assert!(error.contains("function Ask") && error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_bucket_and_the_boundary_are_filled_in() {
        let mut template = template();
        template["Resources"]["Own"] =
            json!({ "Type": "AWS::Serverless::Function", "Properties": { "Role": "arn" } });
        template["Resources"]["Machine"] = json!({ "Type": "AWS::Serverless::StateMachine" });
        template["Resources"]["Role"] =
            json!({ "Type": "AWS::IAM::Role", "Properties": { "PermissionsBoundary": "own" } });
        fill(&mut template, &samples::artifact(), "artifacts", "arn:boundary");
        let resources = &template["Resources"];
        let key = samples::digest('2').key();
        assert_eq!(
            resources["Ask"]["Properties"]["CodeUri"],
            json!({ "Bucket": "artifacts", "Key": key })
        );
        let boundary = |name: &str| &resources[name]["Properties"]["PermissionsBoundary"];
        assert_eq!(boundary("Ask"), "arn:boundary");
        assert_eq!(boundary("Machine"), "arn:boundary");
        assert_eq!(boundary("Role"), "own");
        assert!(boundary("Own").is_null() && boundary("AskLive").is_null());
    }
}
