//! The template that `sam build` has written: what it refers to, and the same template with digests instead.

use serde_json::{Value, json};

use crate::Error;

/// How a property refers to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To a folder, which becomes a zip.
    Folder,
    /// To one file.
    File,
}

/// The properties that are packaged, each of which takes a bucket and a key.
const PACKAGED: [(&str, &str, Kind); 3] = [
    ("AWS::Serverless::Function", "CodeUri", Kind::Folder),
    ("AWS::Serverless::LayerVersion", "ContentUri", Kind::Folder),
    ("AWS::Serverless::StateMachine", "DefinitionUri", Kind::File),
];

/// The other properties that `sam package` would upload files of
/// (<https://docs.aws.amazon.com/cli/latest/reference/cloudformation/package.html>). A dot leads to an inner property.
const REFUSED: [(&str, &str); 24] = [
    ("AWS::ApiGateway::RestApi", "BodyS3Location"),
    ("AWS::ApiGatewayV2::Api", "BodyS3Location"),
    ("AWS::AppSync::FunctionConfiguration", "CodeS3Location"),
    (
        "AWS::AppSync::FunctionConfiguration",
        "RequestMappingTemplateS3Location",
    ),
    (
        "AWS::AppSync::FunctionConfiguration",
        "ResponseMappingTemplateS3Location",
    ),
    ("AWS::AppSync::GraphQLSchema", "DefinitionS3Location"),
    ("AWS::AppSync::Resolver", "CodeS3Location"),
    ("AWS::AppSync::Resolver", "RequestMappingTemplateS3Location"),
    ("AWS::AppSync::Resolver", "ResponseMappingTemplateS3Location"),
    ("AWS::CloudFormation::ModuleVersion", "ModulePackage"),
    ("AWS::CloudFormation::ResourceVersion", "SchemaHandlerPackage"),
    ("AWS::CloudFormation::Stack", "TemplateURL"),
    ("AWS::CloudFormation::StackSet", "TemplateURL"),
    ("AWS::ElasticBeanstalk::ApplicationVersion", "SourceBundle"),
    ("AWS::Glue::Job", "Command.ScriptLocation"),
    ("AWS::Lambda::Function", "Code"),
    ("AWS::Lambda::LayerVersion", "Content"),
    ("AWS::Serverless::Api", "DefinitionUri"),
    ("AWS::Serverless::Application", "Location"),
    ("AWS::Serverless::Function", "ImageUri"),
    ("AWS::Serverless::GraphQLApi", "CodeUri"),
    ("AWS::Serverless::GraphQLApi", "SchemaUri"),
    ("AWS::Serverless::HttpApi", "DefinitionUri"),
    ("AWS::StepFunctions::StateMachine", "DefinitionS3Location"),
];

/// The sections of `Globals`, by the resource's type without `AWS::Serverless::`.
const GLOBALS: [(&str, &str); 6] = [
    ("Function", "CodeUri"),
    ("Function", "ImageUri"),
    ("LayerVersion", "ContentUri"),
    ("StateMachine", "DefinitionUri"),
    ("Api", "DefinitionUri"),
    ("HttpApi", "DefinitionUri"),
];

/// A reference to files that the build has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The resource's logical id.
    pub logical_id: String,
    /// The property's name.
    pub property: &'static str,
    /// The path, as the template has it.
    pub path: String,
    /// What it refers to.
    pub kind: Kind,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.logical_id, self.property)
    }
}

impl Reference {
    /// Replaces the path in `template` by a key. The bucket is named when a change set is made, because each account
    /// has its own.
    pub fn replace(&self, template: &mut Value, key: &str) {
        template["Resources"][&self.logical_id]["Properties"][self.property] = json!({ "Key": key });
    }
}

/// Returns the references of a template to what the build has made.
///
/// # Errors
/// Returns an [`Error`] that names the property if one refers to files in a way that is not supported.
pub fn references(template: &Value) -> Result<Vec<Reference>, Error> {
    let resources = template["Resources"].as_object();
    let resources = resources.ok_or_else(|| invalid("Resources", "the template has none"))?;
    for (section, property) in GLOBALS {
        if !template["Globals"][section][property].is_null() {
            let property = format!("Globals.{section}.{property}");
            return Err(invalid(&property, "give each resource its own instead"));
        }
    }
    refuse_includes(template, "")?;
    let mut references = Vec::new();
    for (logical_id, resource) in resources {
        if logical_id.starts_with("Fn::ForEach") {
            return Err(invalid(logical_id, "resources in loops are not supported"));
        }
        let kind = resource["Type"].as_str().unwrap_or_default();
        let properties = &resource["Properties"];
        for (of, property) in REFUSED {
            if of == kind {
                refuse_local(logical_id, property, properties)?;
            }
        }
        for (of, property, kind_of) in PACKAGED {
            if of == kind {
                references.extend(reference(logical_id, property, kind_of, properties)?);
            }
        }
    }
    Ok(references)
}

fn reference(
    logical_id: &str,
    property: &'static str,
    kind: Kind,
    properties: &Value,
) -> Result<Option<Reference>, Error> {
    let reference = |path: &str| Reference {
        logical_id: logical_id.to_owned(),
        property,
        path: path.to_owned(),
        kind,
    };
    match &properties[property] {
        Value::Null => Ok(None),
        Value::String(path) if !is_url(path) => Ok(Some(reference(path))),
        _ => Err(invalid(
            &reference("").to_string(),
            "it must be a path that sam build has written, because only what was built is deployed",
        )),
    }
}

fn refuse_local(logical_id: &str, property: &str, properties: &Value) -> Result<(), Error> {
    let mut value = properties;
    for name in property.split('.') {
        value = &value[name];
    }
    match value {
        Value::String(path) if !is_url(path) => Err(invalid(
            &format!("{logical_id}.{property}"),
            "files of this property are not supported: put its content into the template",
        )),
        _ => Ok(()),
    }
}

/// Refuses `AWS::Include` of files, anywhere in the template, whose depth is limited.
fn refuse_includes(value: &Value, path: &str) -> Result<(), Error> {
    let inner = |name: &str| {
        let dot = if path.is_empty() { "" } else { "." };
        format!("{path}{dot}{name}")
    };
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| refuse_includes(item, path)),
        Value::Object(entries) => entries.iter().try_for_each(|(name, value)| {
            if name == "Fn::Transform" || name == "Transform" {
                let location = &value["Parameters"]["Location"];
                if location.as_str().is_some_and(|location| !is_url(location)) {
                    return Err(invalid(&inner(name), "files cannot be included"));
                }
            }
            refuse_includes(value, &inner(name))
        }),
        _ => Ok(()),
    }
}

fn is_url(text: &str) -> bool {
    ["s3://", "http://", "https://", "arn:"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

/// Creates the error that a property is not accepted.
pub fn invalid(property: &str, reason: &str) -> Error {
    Error::Template {
        property: domain::plain(property, 300),
        reason: reason.to_owned(),
    }
}

/// Returns where `path` leads from `folder`, both without a slash at their ends, or `None` if it leads out of the
/// repository.
pub fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\\') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(kind: &str, properties: &Value) -> Value {
        json!({ "Resources": { "Thing": { "Type": kind, "Properties": properties } } })
    }

    fn refused(template: &Value) -> String {
        references(template).unwrap_err().to_string()
    }

    #[test]
    fn what_is_packaged_is_found_and_replaced_by_a_key() {
        let mut template = json!({ "Resources": {
            "Ask": { "Type": "AWS::Serverless::Function", "Properties": { "CodeUri": "Ask", "Handler": "x" } },
            "Inline": { "Type": "AWS::Serverless::Function", "Properties": { "InlineCode": "x" } },
            "Layer": { "Type": "AWS::Serverless::LayerVersion", "Properties": { "ContentUri": "Layer" } },
            "Machine": { "Type": "AWS::Serverless::StateMachine", "Properties": { "DefinitionUri": "../../a.asl.json" } },
            "Written": { "Type": "AWS::Serverless::StateMachine", "Properties": { "Definition": {} } },
            "Table": { "Type": "AWS::DynamoDB::Table" },
        } });
        let found = references(&template).unwrap();
        let names: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["Ask.CodeUri", "Layer.ContentUri", "Machine.DefinitionUri"]
        );
        assert_eq!(found[2].kind, Kind::File);
        found[0].replace(&mut template, "sha256/abc");
        let properties = &template["Resources"]["Ask"]["Properties"];
        assert_eq!(
            *properties,
            json!({ "CodeUri": { "Key": "sha256/abc" }, "Handler": "x" })
        );
    }

    #[test]
    fn files_of_any_other_property_are_refused_by_name() {
        for (kind, property) in REFUSED {
            let mut value = json!("./file");
            for name in property.rsplit('.') {
                value = json!({ name: value });
            }
            let error = refused(&template(kind, &value));
            assert!(error.contains(&format!("Thing.{property}")), "{error}");
        }
        for (kind, property, _) in PACKAGED {
            for elsewhere in [
                json!("s3://b/k"),
                json!({ "Bucket": "b", "Key": "k" }),
                json!({ "Ref": "P" }),
            ] {
                let error = refused(&template(kind, &json!({ property: elsewhere })));
                assert!(error.contains(&format!("Thing.{property}")), "{error}");
            }
        }
        for (section, property) in GLOBALS {
            let mut template = template("AWS::SQS::Queue", &json!({}));
            template["Globals"] = json!({ section: { property: "x" } });
            assert!(refused(&template).contains(&format!("Globals.{section}.{property}")));
        }
        let include =
            json!({ "Fn::Transform": { "Name": "AWS::Include", "Parameters": { "Location": "a.yaml" } } });
        let error = refused(&template("AWS::SQS::Queue", &json!({ "A": [include] })));
        assert!(
            error.contains("Resources.Thing.Properties.A.Fn::Transform"),
            "{error}"
        );
        let mut looped = template("AWS::SQS::Queue", &json!({}));
        looped["Resources"]["Fn::ForEach::Queues"] = json!([]);
        assert!(refused(&looped).contains("Fn::ForEach::Queues"));
        assert!(refused(&json!({})).contains("Resources"));
        assert!(refused(&json!([])).contains("Resources"));
    }

    #[test]
    fn what_is_elsewhere_in_aws_is_no_file() {
        let stack = json!({ "TemplateURL": "https://b.s3.amazonaws.com/k" });
        assert_eq!(
            references(&template("AWS::CloudFormation::Stack", &stack)).unwrap(),
            []
        );
        let code = json!({ "Code": { "S3Bucket": "b", "S3Key": "k" } });
        assert_eq!(references(&template("AWS::Lambda::Function", &code)).unwrap(), []);
    }

    #[test]
    fn a_path_leads_to_one_place_in_the_repository_or_nowhere() {
        let from = |path| resolve("app/.aws-sam/build", path);
        assert_eq!(from("Ask").as_deref(), Some("app/.aws-sam/build/Ask"));
        assert_eq!(from("./Ask/").as_deref(), Some("app/.aws-sam/build/Ask"));
        assert_eq!(from("../../a.json").as_deref(), Some("app/a.json"));
        assert_eq!(from("../../../a.json").as_deref(), Some("a.json"));
        assert_eq!(from("../../../../a.json"), None);
        assert_eq!(from("/etc/passwd"), None);
        assert_eq!(from("..\\a"), None);
    }

    #[test]
    fn the_same_template_is_the_same_text() {
        let text = json!({ "b": [{ "d": 1, "c": 2 }], "a": null }).to_string();
        assert_eq!(text, r#"{"a":null,"b":[{"c":2,"d":1}]}"#);
    }
}
