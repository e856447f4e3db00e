//! The packaged template of an artifact, and the template of a change set that is made of it.

use std::collections::BTreeMap;

use delivery::application::ApplicationSettings;
use delivery::artifact::{Artifact, Digest};
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
    if property(template, function, "AutoPublishAlias") != "next" {
        return Err("its AutoPublishAlias is not next".to_owned());
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

/// Returns a property of a function, by itself or by the template's `Globals`.
fn property<'a>(template: &'a Value, function: &str, name: &str) -> &'a Value {
    match &template["Resources"][function]["Properties"][name] {
        Value::Null => &template["Globals"]["Function"][name],
        own => own,
    }
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

/// Retains the values of parameters that a template has. Those of a template that was released before may be of
/// settings that were made for a newer one, and CloudFormation refuses a value of a parameter that there is not.
pub fn retain_declared(parameters: &mut BTreeMap<String, String>, template: &Value) {
    parameters.retain(|name, _| !template["Parameters"][name].is_null());
}

/// Has SAM publish a version of each function whenever anything of it changes, by these parameters too.
///
/// SAM names a version by a digest, and publishes another one if that differs. Its own digest is of the template's
/// text, in which a parameter is a name: a function would change without a version if only the parameter's value did.
/// The digest here is of all that a function can consist of, except which versions are live
/// (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html#sam-function-autopublishcodesha256>).
pub fn name_versions(
    template: &mut Value,
    settings: &ApplicationSettings,
    parameters: &BTreeMap<String, String>,
) {
    let is_live_version = |name: &str| {
        let mut functions = settings.functions.keys();
        functions.any(|function| ApplicationSettings::live_version_parameter(function) == name)
    };
    let declared = template["Parameters"].as_object().into_iter().flatten();
    let values: BTreeMap<_, _> = declared
        .filter(|(name, _)| !is_live_version(name))
        .map(|(name, parameter)| {
            let given = parameters.get(name).map(|value| json!(value));
            (name, given.unwrap_or_else(|| parameter["Default"].clone()))
        })
        .collect();
    let resources = template["Resources"].as_object().into_iter().flatten();
    let layers: BTreeMap<_, _> = resources
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::LayerVersion")
        .collect();
    let names: Vec<_> = settings
        .functions
        .keys()
        .filter(|function| property(template, function, "AutoPublishCodeSha256").is_null())
        .map(|function| {
            let properties = &template["Resources"][function]["Properties"];
            let all = json!([properties, template["Globals"]["Function"], values, layers]);
            let digest = Digest::of(all.to_string());
            (function.clone(), digest.to_string())
        })
        .collect();
    for (function, digest) in names {
        let properties = &mut template["Resources"][&function]["Properties"];
        if properties.is_object() {
            properties["AutoPublishCodeSha256"] = json!(digest);
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
        let properties = &mut by_globals["Resources"]["Ask"]["Properties"];
        let own = properties
            .as_object_mut()
            .unwrap()
            .remove("AutoPublishAlias")
            .unwrap();
        by_globals["Globals"]["Function"]["AutoPublishAlias"] = own;
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

    /// The name of a function's version, for a template that is changed in a place, and these parameters.
    fn version(change: Option<(&str, Value)>, parameters: &[(&str, &str)]) -> String {
        let mut template = template();
        template["Parameters"]["Url"] = json!({ "Type": "String", "Default": "a" });
        template["Globals"]["Function"]["Timeout"] = json!(3);
        template["Resources"]["Layer"] =
            json!({ "Type": "AWS::Serverless::LayerVersion", "Properties": { "ContentUri": "l" } });
        if let Some((path, value)) = change {
            *template.pointer_mut(path).unwrap() = value;
        }
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        name_versions(&mut template, &samples::settings(), &parameters);
        let name = &template["Resources"]["Ask"]["Properties"]["AutoPublishCodeSha256"];
        name.as_str().unwrap().to_owned()
    }

    #[test]
    fn whatever_a_function_can_consist_of_makes_another_version_and_what_is_live_does_not() {
        let same = version(None, &[]);
        assert_eq!(same, version(None, &[("Url", "a")]));
        assert_eq!(same, version(None, &[("AskLiveVersion", "7")]));
        let live = "/Resources/AskLive/Properties/FunctionVersion";
        assert_eq!(same, version(Some((live, json!("7"))), &[]));
        assert_ne!(same, version(None, &[("Url", "b")]));
        for (path, value) in [
            ("/Parameters/Url/Default", "b"),
            ("/Resources/Ask/Properties/CodeUri/Key", "sha256/y"),
            ("/Resources/Ask/Properties/CodeUri", "z"),
            ("/Resources/Layer/Properties/ContentUri", "m"),
            ("/Globals/Function/Timeout", "4"),
        ] {
            assert_ne!(same, version(Some((path, json!(value))), &[]), "{path}");
        }
    }

    #[test]
    fn a_version_that_the_template_names_itself_keeps_its_name() {
        let mut template = template();
        template["Globals"]["Function"]["AutoPublishCodeSha256"] = json!("own");
        name_versions(&mut template, &samples::settings(), &BTreeMap::new());
        assert!(template["Resources"]["Ask"]["Properties"]["AutoPublishCodeSha256"].is_null());
    }

    #[test]
    fn a_parameter_that_a_template_does_not_have_is_given_no_value() {
        let names = ["AskLiveVersion", "Farewell"].map(|name| (name.to_owned(), "v".to_owned()));
        let mut parameters = BTreeMap::from(names);
        retain_declared(&mut parameters, &template());
        assert_eq!(parameters.into_keys().collect::<Vec<_>>(), ["AskLiveVersion"]);
    }
}
