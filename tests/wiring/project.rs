//! The project's files, read as data.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| format!("{path}: {error}"))
}

/// All pages: the README, what is below `docs`, and the pages of the examples.
pub fn pages() -> Vec<PathBuf> {
    let mut pages = files(&["docs", "examples"], "md");
    let of_the_root = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    pages.extend(of_the_root.map(|page| root().join(page)));
    pages
}

/// All files with this extension below these folders.
pub fn files(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files
}

/// The template of the pushes.
pub fn template() -> Value {
    parse("template.yaml")
}

/// The templates, by their files: that of the pushes, and that of the deployments of one application.
pub fn templates() -> [(&'static str, Value); 2] {
    ["template.yaml", "delivery.yaml"].map(|file| (file, parse(file)))
}

/// A YAML file, such as a template.
pub fn parse(file: &str) -> Value {
    let documents = YamlOwned::load_from_str(&read(file)).unwrap();
    plain(&documents[0])
}

/// YAML as JSON, with CloudFormation's short forms as the long ones: `!Ref A` is `{"Ref": "A"}`.
fn plain(yaml: &YamlOwned) -> Value {
    match yaml {
        YamlOwned::Tagged(tag, node) => {
            let name = match tag.suffix.as_str() {
                "Ref" | "Condition" => tag.suffix.clone(),
                function => format!("Fn::{function}"),
            };
            json!({ name: plain(node) })
        }
        YamlOwned::Sequence(items) => items.iter().map(plain).collect(),
        YamlOwned::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_str().unwrap().to_owned(), plain(value)))
            .collect(),
        YamlOwned::Value(ScalarOwned::String(text)) => json!(text),
        YamlOwned::Value(ScalarOwned::Integer(number)) => json!(number),
        YamlOwned::Value(ScalarOwned::FloatingPoint(number)) => json!(number.into_inner()),
        YamlOwned::Value(ScalarOwned::Boolean(truth)) => json!(truth),
        YamlOwned::Value(ScalarOwned::Null) => Value::Null,
        other => unreachable!("the template has {other:?}"),
    }
}

pub fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    // CloudFormation and IAM take one thing where they take a list.
    let many = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    many.iter().filter(|value| !value.is_null())
}

pub fn texts(value: &Value) -> BTreeSet<&str> {
    items(value).map(|item| item.as_str().unwrap()).collect()
}

pub fn resources<'a>(template: &'a Value, of_type: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    entries(&template["Resources"])
        .filter(move |(_, resource)| resource["Type"] == of_type)
        .map(|(name, resource)| (name, &resource["Properties"]))
}

/// The folders of the functions, as `fetch`.
pub fn verbs() -> BTreeSet<String> {
    fs::read_dir(root().join("lambdas"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "shared")
        .collect()
}

/// `fetch` as `Fetch`.
pub fn capitalised(verb: &str) -> String {
    let (first, rest) = verb.split_at(1);
    first.to_uppercase() + rest
}

/// The statements of a role: a function's, or that of a resource of its own. One that depends on a condition is one of
/// them.
pub fn statements<'a>(template: &'a Value, properties: &'a Value) -> Vec<&'a Value> {
    if let Some(role) = properties["Role"]["Fn::GetAtt"].as_str() {
        return role_statements(template, role.trim_end_matches(".Arn"));
    }
    items(&properties["Policies"])
        .flat_map(|policy| items(&policy["Statement"]))
        .map(unconditional)
        .collect()
}

/// The statements of a role that is a resource of its own.
pub fn role_statements<'a>(template: &'a Value, role: &str) -> Vec<&'a Value> {
    items(&template["Resources"][role]["Properties"]["Policies"])
        .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]))
        .map(unconditional)
        .collect()
}

/// What a value is if its condition holds.
fn unconditional(value: &Value) -> &Value {
    value["Fn::If"].get(1).unwrap_or(value)
}

/// The names in `${...}` anywhere in a value.
pub fn substitutions(text: &str) -> BTreeSet<&str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .collect()
}

pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The names of an enum's variants, by what serde says where it meets a name that is not one of them.
pub fn variants<T: DeserializeOwned>(unknown: &Value) -> Vec<String> {
    let error = match T::deserialize(unknown) {
        Ok(_) => unreachable!("{unknown} is a variant"),
        Err(error) => error.to_string(),
    };
    let (_, names) = error.split_once(", expected ").unwrap();
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
