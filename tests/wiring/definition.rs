//! The definitions: their language, their states, and what they name in the template.

use std::collections::{BTreeMap, BTreeSet};

use domain::contract::Stage;
use domain::source::Limits;
use domain::state::Status;
use serde_json::{Value, json};

use crate::functions::{edge, timeout_of};
use crate::machine::{Machine, machines};
use crate::project::{
    capitalised, entries, items, read, resources, substitutions, template, variants, verbs,
};

#[test]
fn every_stage_is_a_state_of_its_name() {
    let (template, machines) = (template(), machines());
    let edge = edge(&template);
    let verbs: BTreeSet<_> = verbs().iter().map(|verb| capitalised(verb)).collect();
    for stage in verbs.iter().filter(|verb| !edge.contains(*verb)) {
        let runs = machines
            .iter()
            .flat_map(Machine::stages)
            .any(|(name, _, function)| (name, function) == (stage, stage));
        assert!(runs, "{stage}");
        assert!(serde_json::from_value::<Stage>(json!(stage)).is_ok(), "{stage}");
    }
    for machine in &machines {
        for (name, _, function) in machine.stages() {
            assert!(verbs.contains(function), "{} {name}: {function}", machine.name);
            assert!(!edge.contains(function), "{} {name}: {function}", machine.name);
        }
    }
}

#[test]
fn every_definition_and_the_template_name_the_same_substitutions() {
    let template = template();
    for machine in machines() {
        let properties = machine.properties(&template);
        let given: BTreeMap<_, _> = entries(&properties["DefinitionSubstitutions"]).collect();
        assert_eq!(
            substitutions(&machine.text),
            given.keys().copied().collect::<BTreeSet<_>>(),
            "{}",
            machine.name
        );
        for (name, value) in given {
            if let Some(function) = name.strip_suffix("FunctionArn") {
                assert_eq!(
                    *value,
                    json!({ "Fn::GetAtt": format!("{function}Function.Arn") }),
                    "{} {name}",
                    machine.name
                );
            }
        }
    }
}

#[test]
fn every_definition_follows_the_states_language() {
    let schema = serde_json::from_str(&read("tests/asl.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for machine in machines() {
        let errors: Vec<_> = validator
            .iter_errors(&machine.definition)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", machine.name);

        let mut wrong = machine.definition.clone();
        let task = machine.tasks().next().unwrap().0;
        wrong["States"][task]["ResultPath"] = json!("$.result");
        assert!(!validator.is_valid(&wrong), "the schema refuses nothing");
    }
}

#[test]
fn every_state_exists_and_can_be_reached() {
    for machine in machines() {
        let start = machine.definition["StartAt"].as_str().unwrap();
        let mut reached = machine.after(start);
        reached.insert(start);
        for name in &reached {
            assert!(
                machine.state(name).is_object(),
                "{}: {name} is no state",
                machine.name
            );
        }
        let all: BTreeSet<_> = machine.states().map(|(name, _)| name).collect();
        assert_eq!(reached, all, "{}", machine.name);
    }
}

#[test]
fn every_choice_handles_every_value() {
    for machine in machines() {
        for (name, state) in machine.states().filter(|(_, state)| state["Type"] == "Choice") {
            let last = items(&state["Choices"]).last().unwrap();
            assert!(
                state["Default"].is_string() || last["Condition"] == "{% true %}",
                "{} {name}",
                machine.name
            );
        }
    }
}

/// The execution ends according to the status that `Record` returns: every status has an ending of its own name.
#[test]
fn every_ending_of_a_push_ends_its_execution_under_its_name() {
    let endings: BTreeSet<_> = variants::<Status>(&json!("?"))
        .into_iter()
        .filter(|name| {
            let status: Status = serde_json::from_value(json!(name)).unwrap();
            status.is_complete()
        })
        .collect();
    let closing: Vec<_> = machines()
        .into_iter()
        .filter(|machine| machine.state("Close").is_object())
        .collect();
    assert!(!closing.is_empty());
    for machine in closing {
        let (unknown, known) = {
            let choices: Vec<_> = items(&machine.state("Close")["Choices"]).cloned().collect();
            let (last, others) = choices.split_last().unwrap();
            (last.clone(), others.to_vec())
        };
        assert_eq!(unknown["Condition"], "{% true %}");
        assert_eq!(unknown["Next"], "NormalizeFailure");
        let mut compared = BTreeSet::new();
        for choice in known {
            let name = choice["Next"].as_str().unwrap();
            assert_eq!(
                choice["Condition"],
                format!("{{% $closed.status = '{name}' %}}"),
                "{name}"
            );
            assert_eq!(machine.state(name)["Type"], "Succeed", "{name}");
            assert!(compared.insert(name.to_owned()), "{name} twice");
        }
        assert_eq!(compared, endings);
    }
}

#[test]
fn a_failed_execution_has_the_first_failure() {
    for machine in machines() {
        let assigners: Vec<_> = machine
            .states()
            .filter(|(_, state)| {
                let branches = items(&state["Choices"]).chain(items(&state["Catch"]));
                branches
                    .chain([*state])
                    .any(|branch| branch["Assign"]["failure"].is_object())
            })
            .map(|(name, _)| name)
            .collect();
        assert_eq!(assigners, ["NormalizeFailure"], "{}", machine.name);
        let failing = machine.states().filter(|(_, state)| state["Type"] == "Fail");
        assert_eq!(
            failing.map(|(name, _)| name).collect::<Vec<_>>(),
            ["Failed"],
            "{}",
            machine.name
        );
        let failed = machine.state("Failed");
        assert_eq!(failed["Error"], "{% $failure.error %}", "{}", machine.name);
        let cause = failed["Cause"].as_str().unwrap();
        assert!(
            cause.starts_with("{% $failure.cause & ' (To try again, start a new execution"),
            "{}: {cause}",
            machine.name
        );
    }
}

#[test]
fn a_state_outlasts_its_function() {
    let template = template();
    for machine in machines() {
        for (name, task, function) in machine.stages() {
            let function_seconds = timeout_of(&template, function);
            assert!(function_seconds <= 900, "{function}: Lambda allows 900 seconds");
            let state_seconds = task["TimeoutSeconds"].as_u64().unwrap();
            assert!(
                state_seconds > function_seconds,
                "{} {name}: {state_seconds} s, its function {function_seconds} s",
                machine.name
            );
        }
    }
    assert!(
        Limits::default().fetch_seconds < timeout_of(&template, "Fetch"),
        "fetch cannot say what was too slow"
    );
}

/// An execution that was stopped or has timed out cannot record that itself, so a rule calls the function that records
/// failures.
#[test]
fn an_execution_that_was_stopped_is_reported() {
    let template = template();
    for machine in machines() {
        let machine_ref = json!({ "Ref": machine.resource() });
        let rules: Vec<_> = resources(&template, "AWS::Events::Rule")
            .filter(|(_, rule)| {
                items(&rule["EventPattern"]["detail"]["stateMachineArn"]).any(|arn| *arn == machine_ref)
            })
            .collect();
        let [(name, rule)] = rules[..] else {
            panic!("{} has {} rules", machine.name, rules.len());
        };
        let pattern = &rule["EventPattern"];
        assert_eq!(pattern["source"], json!(["aws.states"]), "{name}");
        assert_eq!(
            pattern["detail-type"],
            json!(["Step Functions Execution Status Change"]),
            "{name}"
        );
        assert_eq!(
            pattern["detail"]["status"],
            json!(["ABORTED", "TIMED_OUT"]),
            "{name}"
        );
        let after = machine.after_a_failure();
        let recorder = machine
            .stages()
            .find_map(|(name, _, function)| after.contains(name).then(|| format!("{function}Function")))
            .unwrap();
        assert_eq!(
            rule["Targets"][0]["Arn"],
            json!({ "Fn::GetAtt": format!("{recorder}.Arn") }),
            "{name}"
        );
        let allowed = resources(&template, "AWS::Lambda::Permission").any(|(_, permission)| {
            permission["FunctionName"] == json!({ "Ref": recorder })
                && permission["Principal"] == "events.amazonaws.com"
                && permission["SourceArn"] == json!({ "Fn::GetAtt": format!("{name}.Arn") })
        });
        assert!(allowed, "{name}");
    }
}

/// Each failed execution publishes its failure. The alarms are for failures that are not published.
#[test]
fn every_state_machine_has_its_alarms() {
    let template = template();
    for machine in machines() {
        let dimensions = json!([{ "Name": "StateMachineArn", "Value": { "Ref": machine.resource() } }]);
        let metrics: BTreeSet<_> = resources(&template, "AWS::CloudWatch::Alarm")
            .map(|(_, alarm)| alarm)
            .filter(|alarm| alarm["Dimensions"] == dimensions)
            .map(|alarm| {
                assert_eq!(alarm["Namespace"], "AWS/States");
                assert_eq!(alarm["Statistic"], "Sum");
                assert_eq!(alarm["Threshold"], 1);
                assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
                assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "FailureTopic" }]));
                alarm["MetricName"].as_str().unwrap()
            })
            .collect();
        assert_eq!(
            metrics,
            BTreeSet::from(["ExecutionsAborted", "ExecutionsFailed", "ExecutionsTimedOut"]),
            "{}",
            machine.name
        );
    }
}

#[test]
fn the_start_of_every_state_machine_is_a_state() {
    for machine in machines() {
        let start = machine.definition["StartAt"].as_str();
        assert!(
            start.is_some_and(|start| machine.state(start).is_object()),
            "{}",
            machine.name
        );
        assert_eq!(machine.definition["QueryLanguage"], "JSONata", "{}", machine.name);
        assert!(
            machine.states().all(|(_, state)| state["Comment"] != Value::Null),
            "{}",
            machine.name
        );
    }
}
