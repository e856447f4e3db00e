//! The events of pushes: their schemas in the template and in `docs/events`, the code that makes them, and the guide.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use domain::closed::{Closed, EVENT_SCHEMA};
use domain::samples;
use domain::state::Status;
use serde_json::{Value, json};

use crate::docs::{code_in, table};
use crate::machine::{Machine, machines};
use crate::project::{entries, items, read, resources, root, template, texts};

const GUIDE: &str = "docs/reference/events.md";

/// Returns the schemas in `docs/events`, by the types of the events.
fn schemas() -> BTreeMap<String, Value> {
    let files = fs::read_dir(root().join("docs/events")).unwrap();
    let schemas = files.map(|file| {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        (schema["title"].as_str().unwrap().to_owned(), schema)
    });
    schemas.collect()
}

fn detail(schema: &Value) -> &Value {
    &schema["properties"]["detail"]
}

fn keys(object: &Value) -> BTreeSet<&str> {
    entries(object).map(|(key, _)| key).collect()
}

fn is_valid(schema: &Value, detail_type: &str, detail: &impl serde::Serialize) -> bool {
    let event = json!({ "source": "push-code", "detail-type": detail_type, "detail": detail });
    jsonschema::draft4::new(schema).unwrap().is_valid(&event)
}

/// Returns how a push has ended with a status, with every field that it can have.
fn closed(status: Status) -> Closed {
    let (delivered, failed) = (status == Status::Delivered, status == Status::Failed);
    let push = samples::push("d1", "refs/heads/main");
    Closed {
        schema_version: EVENT_SCHEMA,
        push_id: push.push_id,
        status,
        source: push.source.to_string(),
        repository: push.repository.to_string(),
        ref_name: push.ref_name.to_string(),
        destination: Some("api".to_owned()),
        commit: (status != Status::Expired).then(|| samples::fetched().commit),
        sequence: Some(7),
        delivered: (delivered || failed).then(samples::delivered),
        expired: (status == Status::Expired || failed).then(samples::expired),
        sha256: (delivered || failed).then(|| "0f".repeat(32)),
        reason: (!delivered && !failed && status != Status::Expired).then(|| "it is older".to_owned()),
        failure: failed.then(|| samples::failure("Fetch", "CommitNotFound")),
        remedy: failed.then(|| "Push again.".to_owned()),
    }
}

const ENDS: [Status; 5] = [
    Status::Delivered,
    Status::Ignored,
    Status::Superseded,
    Status::Expired,
    Status::Failed,
];

#[test]
fn the_schemas_of_the_template_are_those_of_the_guide() {
    let template = template();
    let registered: BTreeMap<_, _> = resources(&template, "AWS::EventSchemas::Schema")
        .map(|(name, schema)| {
            let content: Value = serde_json::from_str(schema["Content"].as_str().unwrap()).unwrap();
            let title = content["title"].as_str().unwrap().to_owned();
            let joined = title.replace(' ', "");
            assert_eq!(name, format!("{joined}Schema"));
            // EventBridge names the schema of an event so.
            assert_eq!(schema["SchemaName"], format!("push-code@{joined}"));
            assert_eq!(schema["Type"], "JSONSchemaDraft4");
            assert_eq!(schema["Description"], content["description"]);
            (title, content)
        })
        .collect();
    assert_eq!(registered, schemas());
    assert_eq!(
        registered.into_keys().collect::<BTreeSet<_>>(),
        ENDS.iter().map(|end| format!("Push {end}")).collect()
    );
}

/// A field of the code that no schema describes, or one that is described and never sent, is a mistake in one of them.
#[test]
fn every_field_of_an_event_is_described() {
    for (title, schema) in schemas() {
        let sent = serde_json::to_value(closed(Status::Failed)).unwrap();
        let described = detail(&schema);
        assert_eq!(keys(&described["properties"]), keys(&sent), "{title}");
        assert_eq!(texts(&described["required"]), keys(&sent), "{title}");
        for field in ["delivered", "expired", "failure"] {
            let part = &described["properties"][field];
            if part["type"] != "null" {
                let mut all = sent[field].clone();
                if field == "delivered" {
                    all["provenance"] = json!("key");
                }
                assert_eq!(keys(&part["properties"]), keys(&all), "{title} {field}");
            }
        }
        for (name, field) in entries(&described["properties"]) {
            assert!(field["description"].is_string(), "{title} {name}");
        }
    }
}

#[test]
fn every_end_of_a_push_is_an_event_of_its_schema_and_of_no_other() {
    let schemas = schemas();
    for status in ENDS {
        let sent = closed(status);
        for (title, schema) in &schemas {
            let own = *title == format!("Push {status}");
            assert_eq!(is_valid(schema, title, &sent), own, "{status} as {title}");
        }
        // Each field has to be there, with a value of its type.
        let (title, schema) = schemas.get_key_value(&format!("Push {status}")).unwrap();
        for name in keys(&json!(sent)) {
            let mut without = json!(sent);
            without.as_object_mut().unwrap().remove(name);
            assert!(!is_valid(schema, title, &without), "{title} without {name}");
            without[name] = json!([]);
            assert!(
                !is_valid(schema, title, &without),
                "{title} with {name} as a list"
            );
        }
    }
    // A push fails before anything is known of it, and after anything has become of it.
    let failed = &schemas["Push Failed"];
    for status in ENDS {
        let sent = Closed {
            status,
            commit: None,
            sequence: None,
            delivered: None,
            sha256: None,
            ..closed(Status::Failed)
        };
        assert!(is_valid(failed, "Push Failed", &sent), "{status}");
    }
    let mut next = json!(closed(Status::Failed));
    next["schema_version"] = json!(EVENT_SCHEMA + 1);
    assert!(!is_valid(failed, "Push Failed", &next));
}

/// If the trail cannot be written, the definition itself makes the event, of an input that need not be a push.
#[test]
fn what_the_definition_makes_up_has_the_fields_of_the_schema() {
    let machine = Machine::read("push");
    let made_up = machine.state("NormalizeFailure")["Assign"]["closed"]
        .as_str()
        .unwrap();
    let (_, object) = made_up.rsplit_once("; {").unwrap();
    let mut named: BTreeSet<_> = object
        .split(", ")
        .map(|field| field.split('\'').nth(1).unwrap())
        .collect();
    named.insert("failure");
    let schema = &schemas()["Push Failed"];
    assert_eq!(named, keys(&detail(schema)["properties"]));
    assert!(object.contains(&format!("'schema_version': {EVENT_SCHEMA},")));
    let mut unknown = json!({ "schema_version": EVENT_SCHEMA, "status": "Failed" });
    for name in named {
        if unknown[name].is_null() {
            unknown[name] = Value::Null;
        }
    }
    unknown["failure"] = json!(samples::failure("Validate", "AuditUnavailable"));
    assert!(is_valid(schema, "Push Failed", &unknown));
}

#[test]
fn the_events_of_pushes_are_archived_and_nothing_else() {
    let template = template();
    let (_, archive) = resources(&template, "AWS::Events::Archive").next().unwrap();
    let pattern = &archive["EventPattern"];
    let types: BTreeSet<_> = schemas().into_keys().collect();
    let archived = texts(&pattern["detail-type"]).into_iter().map(str::to_owned);
    assert_eq!(archived.collect::<BTreeSet<_>>(), types);
    assert_eq!(pattern["source"], json!(["push-code"]));
    let bus = archive["SourceArn"]["Fn::Sub"].as_str().unwrap();
    assert!(bus.ends_with(":event-bus/${EventBusName}"), "{bus}");
    // All states that send events send them to this bus.
    for machine in machines().iter().filter(|machine| machine.name != "deploy") {
        for (name, task, _) in machine.calls().filter(|(.., service)| *service == "events") {
            let entry = &task["Arguments"]["Entries"][0];
            assert_eq!(
                (&entry["EventBusName"], &entry["Source"]),
                (&json!("${EventBusName}"), &json!("push-code")),
                "{} {name}",
                machine.name
            );
        }
    }
}

#[test]
fn the_guide_has_every_field_and_an_example_of_every_event() {
    let schemas = schemas();
    let rows: BTreeMap<_, _> = table(GUIDE, "## Fields")
        .into_iter()
        .map(|row| {
            let [field, what, of] = &row[..] else {
                panic!("{row:?}");
            };
            assert!(!what.is_empty(), "{field}");
            let field = code_in(field).pop_first().unwrap();
            (field, code_in(of))
        })
        .collect();
    let mut expected: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (title, schema) in &schemas {
        for (name, field) in entries(&detail(schema)["properties"]) {
            let of = expected.entry(name.to_owned()).or_default();
            if field["type"] != "null" {
                of.insert(title.clone());
            }
        }
    }
    assert_eq!(rows, expected);

    let text = read(GUIDE);
    let examples: Vec<Value> = text
        .split("```json\n")
        .skip(1)
        .map(|example| serde_json::from_str(example.split_once("```").unwrap().0).unwrap())
        .filter(|example: &Value| example["detail-type"].is_string())
        .collect();
    let mut shown = BTreeSet::new();
    for example in &examples {
        let title = example["detail-type"].as_str().unwrap();
        let validator = jsonschema::draft4::new(&schemas[title]).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(example)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{title}: {errors:#?}");
        shown.insert(title.to_owned());
    }
    assert_eq!(shown, schemas.into_keys().collect());
    for file in items(&json!([
        "delivered",
        "ignored",
        "superseded",
        "expired",
        "failed"
    ])) {
        let link = format!("(../events/push-{}.json)", file.as_str().unwrap());
        assert!(text.contains(&link), "{link}");
    }
}
