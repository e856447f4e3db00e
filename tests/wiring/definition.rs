//! The definitions: their language, their states, and what they name in the template.

use std::collections::{BTreeMap, BTreeSet};

use delivery::state::DeploymentStatus;
use domain::contract::Stage;
use domain::execution::Execution;
use domain::source::Limits;
use domain::state::Status;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::functions::{edge, scheduled, timeout_of};
use crate::machine::{Machine, REPORT, function_of, machines};
use crate::project::{
    capitalised, entries, items, parse, read, resources, substitutions, template, texts, variants, verbs,
};

#[test]
fn every_stage_is_a_state_of_its_name() {
    let machines = machines();
    let edge = edge(&template());
    let verbs: BTreeSet<_> = verbs().iter().map(|verb| capitalised(verb)).collect();
    let scheduled = scheduled(&template());
    let stages = verbs
        .iter()
        .filter(|verb| !edge.contains(*verb) && !scheduled.contains(*verb));
    for stage in stages {
        let runs = machines
            .iter()
            .flat_map(Machine::stages)
            .any(|(_, _, function)| function == stage);
        assert!(runs, "{stage}");
    }
    let push = machines.iter().find(|machine| machine.name == "push").unwrap();
    for (name, _, function) in push.stages() {
        let stage = Stage::of_state(name).unwrap();
        assert_eq!(capitalised(stage.function()), function, "{name}");
        let own = stage.to_string();
        assert!(own == function || own == name, "{name}: {own}");
    }
    for (name, _) in push.calls().map(|(name, task, _)| (name, task)) {
        assert_eq!(Stage::of_state(name), None, "{name}");
    }
    for machine in &machines {
        for (name, task, function) in machine.stages() {
            // A function of several states is told which one calls it. Some states share one.
            let stage = &task["Arguments"]["Payload"]["stage"];
            let known = match machine.name.as_str() {
                "push" => stage.is_null() && serde_json::from_value::<Stage>(json!(function)).is_ok(),
                _ => serde_json::from_value::<delivery::contract::Stage>(stage.clone()).is_ok(),
            };
            assert!(known, "{} {name}: {stage}", machine.name);
            let declared = &machine.template["Resources"][format!("{function}Function")];
            assert!(declared.is_object(), "{} {name}: {function}", machine.name);
            assert!(!edge.contains(function), "{} {name}: {function}", machine.name);
        }
    }
}

#[test]
fn every_definition_and_the_template_name_the_same_substitutions() {
    for machine in machines() {
        let properties = machine.properties();
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
fn every_complete_status_ends_the_execution_under_its_name() {
    let of_push = complete::<Status>(Status::is_complete);
    let of_deployment = complete::<DeploymentStatus>(DeploymentStatus::is_complete);
    for machine in machines() {
        let endings = match machine.name.as_str() {
            "publish" => continue,
            "push" => &of_push,
            "deploy" => &of_deployment,
            other => panic!("{other}: say here how it ends"),
        };
        let (unknown, known) = {
            let choices: Vec<_> = items(&machine.state("Close")["Choices"]).cloned().collect();
            let (last, others) = choices.split_last().unwrap();
            // A redriven execution begins again, what has failed since is recorded first, and the commit shows how the
            // push ended.
            let before = ["Begin", "Report", "RecordAttempts"];
            let known = others
                .iter()
                .filter(|choice| before.iter().all(|before| choice["Next"] != *before));
            (last.clone(), known.cloned().collect::<Vec<_>>())
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
        assert_eq!(compared, *endings);
    }
}

/// The names of an enum's variants that are a good end.
fn complete<T: DeserializeOwned>(is_complete: fn(T) -> bool) -> BTreeSet<String> {
    let all = variants::<T>(&json!("?"));
    let is_complete = |name: &String| is_complete(serde_json::from_value(json!(name)).unwrap());
    all.into_iter().filter(is_complete).collect()
}

#[test]
fn a_failed_execution_has_the_first_failure() {
    // What only sends an event fails by itself.
    for machine in machines().into_iter().filter(|machine| machine.name != "publish") {
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
        let failing: BTreeMap<_, _> = machine
            .states()
            .filter(|(_, state)| state["Type"] == "Fail")
            .collect();
        // What a deployment has left to mend has an ending of its own.
        let expected = match machine.name.as_str() {
            "deploy" => vec![
                ("Failed", "(To try again, start a new execution"),
                ("FailedDirty", "(Mend this first: "),
            ],
            _ => vec![("FailedForGood", "(To try again: push-code retry ")],
        };
        assert_eq!(failing.len(), expected.len(), "{}", machine.name);
        for (name, remedy) in expected {
            let failed = failing[name];
            assert_eq!(failed["Error"], "{% $failure.error %}", "{} {name}", machine.name);
            let cause = failed["Cause"].as_str().unwrap();
            let begins = format!("{{% $failure.cause & ' {remedy}");
            assert!(cause.starts_with(&begins), "{} {name}: {cause}", machine.name);
            let names_stack = cause.contains("--stack ${StackName}");
            assert_eq!(names_stack, cause.contains("push-code retry"), "{cause}");
        }
    }
}

/// A redrive begins at the state that has ended the execution. In whichever one that is, it leads back to the
/// beginning, where the execution takes over the push.
#[test]
fn a_redriven_execution_of_a_push_begins_again() {
    let machine = Machine::read("push");
    let redriven = "$sum([$states.context.Execution.RedriveCount]) > $redrive_count";
    let begin = machine.state("Begin");
    assert_eq!(machine.definition["StartAt"], "Begin");
    assert!(begin["Assign"]["redrive_count"].is_string());
    let failed = &machine.state("Failed");
    let cause = failed["Arguments"]["Cause"].as_str().unwrap();
    assert!(
        cause
            .contains("push-code retry ' & $states.context.Execution.Input.push_id & ' --stack ${StackName}"),
        "{cause}"
    );
    assert_eq!(
        failed["Arguments"]["Error"],
        format!("{{% {redriven} ? 'Redriven' : $failure.error %}}")
    );
    let caught: Vec<_> = items(&failed["Catch"]).collect();
    assert_eq!(
        *caught[0],
        json!({ "ErrorEquals": ["Redriven"], "Next": "Begin" })
    );
    // What Step Functions says itself of the call is not taken for the failure of the push.
    for error in texts(&caught[1]["ErrorEquals"]) {
        assert!(error.starts_with("Sfn."), "{error}");
    }
    assert_eq!(caught[1]["Next"], "FailedForGood");
    for choice in ["IsRedriven", "Close"] {
        let first = &machine.state(choice)["Choices"][0];
        let expected = json!({ "Condition": format!("{{% {redriven} %}}"), "Next": "Begin" });
        assert_eq!(*first, expected, "{choice}");
    }
    assert_eq!(machine.state("IsRedriven")["Default"], "Replaced");
    // Each stage is told which redrive calls it, so that the trail can tell them apart.
    for (name, task, _) in machine.stages() {
        // The stage that takes the push over does so only with the settings that were read since the redrive, and a
        // failure is of the run that had it.
        let count = match name {
            "Validate" | "RecordFailure" | "RecordAttempts" | "RecordFailureAttempts" | "ReportFailure" => {
                "$redrive_count"
            }
            _ => "$states.context.Execution.RedriveCount",
        };
        let id =
            format!("{{% $states.context.Execution.Id & ({count} > 0 ? '#' & $string({count}) : '') %}}");
        assert_eq!(task["Arguments"]["Payload"]["execution"]["id"], id, "{name}");
    }
    let id = Execution::redriven("arn".to_owned(), 2);
    assert_eq!((id.as_str(), Execution::arn(&id)), ("arn#2", "arn"));
}

#[test]
fn a_state_outlasts_its_function() {
    for machine in machines() {
        for (name, task, function) in machine.stages() {
            let function_seconds = timeout_of(&machine.template, function);
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
        Limits::default().fetch_seconds < timeout_of(&template(), "Fetch"),
        "fetch cannot say what was too slow"
    );
}

/// An execution that was stopped or has timed out cannot record that itself, so a rule calls the function that records
/// failures.
#[test]
fn an_execution_that_was_stopped_is_reported() {
    // What only sends an event has nothing in the trail.
    for machine in machines().into_iter().filter(|machine| machine.name != "publish") {
        let template = &machine.template;
        let machine_ref = json!({ "Ref": machine.resource() });
        let rules: Vec<_> = resources(template, "AWS::Events::Rule")
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
        let statuses = match machine.name.as_str() {
            // One that has failed outside its states has not given the environment back.
            "deploy" => json!(["ABORTED", "FAILED", "TIMED_OUT"]),
            _ => json!(["ABORTED", "TIMED_OUT"]),
        };
        assert_eq!(pattern["detail"]["status"], statuses, "{name}");
        let after = machine.after_a_failure();
        let recorder = called_by(template, name, 0);
        let runs_after_a_failure = machine
            .stages()
            .any(|(name, _, function)| after.contains(name) && recorder == format!("{function}Function"));
        assert!(runs_after_a_failure, "{name}: {recorder}");
    }
}

/// The commit of a push whose execution was stopped would be shown as pending for ever.
#[test]
fn the_commit_of_an_execution_that_was_stopped_is_shown_as_failed() {
    let template = template();
    assert_eq!(called_by(&template, "StoppedExecutionRule", 1), "ReportFunction");
}

/// Returns the function that a rule calls at this place of its targets, and may call wherever there is the rule.
fn called_by<'a>(template: &'a Value, name: &str, target: usize) -> &'a str {
    let rule = &template["Resources"][name];
    let target = rule["Properties"]["Targets"][target]["Arn"]["Fn::GetAtt"]
        .as_str()
        .unwrap();
    let function = target.strip_suffix(".Arn").unwrap();
    let allowed = resources(template, "AWS::Lambda::Permission").any(|(permitted, permission)| {
        template["Resources"][permitted]["Condition"] == rule["Condition"]
            && permission["Action"] == "lambda:InvokeFunction"
            && permission["FunctionName"] == json!({ "Ref": function })
            && permission["Principal"] == "events.amazonaws.com"
            && permission["SourceArn"] == json!({ "Fn::GetAtt": format!("{name}.Arn") })
    });
    assert!(allowed, "{name}");
    function
}

/// The rule asks for the events that CloudWatch publishes of alarms
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html>). The local AWS
/// has none.
#[test]
fn alarms_after_a_release_are_reported() {
    let template = parse("delivery.yaml");
    let rule = &template["Resources"]["AlarmRule"];
    assert_eq!(
        rule["Properties"]["EventPattern"],
        json!({
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "detail": { "alarmName": { "Ref": "Alarms" }, "state": { "value": ["ALARM"] } },
        })
    );
    assert_eq!(template["Parameters"]["Alarms"]["Type"], "CommaDelimitedList");
    assert_eq!(called_by(&template, "AlarmRule", 0), "AdmitFunction");
    // Without the rule, nobody calls the function.
    assert_eq!(
        template["Conditions"]["RollsBackByAlarm"],
        json!({ "Fn::And": [
            { "Condition": "HasAlarms" },
            { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "AlarmRollbackMinutes" }, 0] }] },
        ] })
    );
}

/// Each failed execution publishes its failure. The alarms are for failures that are not published.
#[test]
fn every_state_machine_has_its_alarms() {
    for machine in machines() {
        let template = &machine.template;
        // The stack of the pushes makes the topic, and the others are given it.
        let topic = match template["Resources"]["FailureTopic"].is_object() {
            true => "FailureTopic",
            false => "FailureTopicArn",
        };
        let dimensions = json!([{ "Name": "StateMachineArn", "Value": { "Ref": machine.resource() } }]);
        let metrics: BTreeSet<_> = resources(template, "AWS::CloudWatch::Alarm")
            .map(|(_, alarm)| alarm)
            .filter(|alarm| alarm["Dimensions"] == dimensions)
            .map(|alarm| {
                assert_eq!(alarm["Namespace"], "AWS/States");
                assert_eq!(alarm["Statistic"], "Sum");
                assert_eq!(alarm["Threshold"], 1);
                assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
                assert_eq!(alarm["AlarmActions"], json!([{ "Ref": topic }]));
                alarm["MetricName"].as_str().unwrap()
            })
            .collect();
        let expected: &[_] = match machine.name.as_str() {
            // It has no time limit, and whoever stops it knows.
            "publish" => &["ExecutionsFailed"],
            _ => &["ExecutionsAborted", "ExecutionsFailed", "ExecutionsTimedOut"],
        };
        assert_eq!(metrics, expected.iter().copied().collect(), "{}", machine.name);
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

/// The estimate of a push's cost counts its stages' attempts, and these states besides.
#[test]
fn a_delivered_push_passes_as_many_other_states_as_its_cost_says() {
    let machines = machines();
    let machine = machines.iter().find(|machine| machine.name == "push").unwrap();
    let mut name = machine.definition["StartAt"].as_str().unwrap();
    // No attempt has failed, the source has one destination, and the push is neither a deletion nor a rollback, and has
    // changed something.
    let not_passed = ["RecordAttempts", "StartFurther", "FindRef", "FindVersion", "Keep"];
    let (mut passed, mut others) = (BTreeSet::from(not_passed), 0);
    // A choice goes on to the first state that was not passed: back leads only what is fetched again or redriven. Most
    // sources show no status of commits.
    loop {
        passed.insert(name);
        let state = machine.state(name);
        let is_stage = function_of(state).is_some_and(|function| function != "Record");
        others += u64::from(!is_stage);
        let choices = items(&state["Choices"]).map(|choice| &choice["Next"]);
        let mut next = choices
            .chain([&state["Next"], &state["Default"]])
            .filter_map(Value::as_str);
        match next.find(|next| !passed.contains(next) && function_of(machine.state(next)) != Some(REPORT)) {
            Some(next) => name = next,
            None => break,
        }
    }
    assert_eq!((name, others), ("Delivered", domain::cost::OTHER_STATES));
}
