//! Which errors are retried, and where a failure leads. The States Language cannot share a retrier or a catcher, so
//! each state has its own, and these tests keep them equal.

use std::collections::{BTreeMap, BTreeSet};

use domain::error::{Class, Code};
use domain::source::MAX_FURTHER_DESTINATIONS;
use serde_json::{Value, json};

use crate::functions::timeout_of;
use crate::machine::{Machine, REPORT, function_of, machines};
use crate::numbers::grouped;
use crate::project::{entries, items, statements, texts};

/// The errors of Lambda itself after which the same call may succeed a moment later.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception>
const LAMBDA_TRANSIENT: [&str; 12] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    // A function in a VPC that was not called for some weeks has to be connected again.
    "Lambda.ResourceNotReadyException",
    "Lambda.ResourceConflictException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.ENILimitReachedException",
    "Lambda.ENINotReadyException",
    "Lambda.SubnetIPAddressLimitReachedException",
    // The function's process was killed, or has ended by itself.
    "Runtime.ExitError",
];

/// The error of Lambda if the account has no concurrency left. No function was run.
const LAMBDA_BUSY: &str = "Lambda.TooManyRequestsException";

/// The errors of a function that timed out, from the three services that may notice it.
const OUT_OF_TIME: [&str; 3] = ["States.Timeout", "Sandbox.Timedout", "StageTimedOut"];

/// A function whose timeout is at most this, in seconds, is short: if it timed out, the machine was busy, and it is
/// retried.
const SHORT_SECONDS: u64 = 60;

/// The states that wait for a person. If nobody has decided in time, that is the decision.
const WAITS_FOR_PEOPLE: [&str; 1] = ["Approve"];

/// The functions that wait for other pushes. No other one may return [`Code::DestinationContended`].
const WAITS_FOR_OTHERS: [&str; 1] = ["Upload"];

/// The errors of each service after which the same call may succeed a moment later.
const SERVICES_TRANSIENT: [(&str, &[&str]); 8] = [
    (
        "ssm",
        &[
            "Ssm.InternalServerErrorException",
            "Ssm.SsmException",
            "Ssm.SdkClientException",
        ],
    ),
    (
        "cloudwatch",
        &[
            "CloudWatch.InternalServiceFaultException",
            "CloudWatch.CloudWatchException",
            "CloudWatch.SdkClientException",
        ],
    ),
    (
        "cloudwatchlogs",
        &[
            "CloudWatchLogs.ServiceUnavailableException",
            "CloudWatchLogs.CloudWatchLogsException",
            "CloudWatchLogs.SdkClientException",
        ],
    ),
    // The functions of the application, and their aliases.
    (
        "lambda",
        &[
            "Lambda.ServiceException",
            "Lambda.TooManyRequestsException",
            "Lambda.LambdaException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.ResourceConflictException",
        ],
    ),
    (
        "events",
        &[
            "EventBridge.FailedEntry",
            "EventBridge.InternalException",
            "EventBridge.AmazonEventBridgeException",
            "EventBridge.SdkClientException",
        ],
    ),
    ("sfn", &["Sfn.SfnException", "Sfn.SdkClientException"]),
    (
        "states",
        &[
            "StepFunctions.AWSStepFunctionsException",
            "StepFunctions.SdkClientException",
        ],
    ),
    (
        "sns",
        &[
            "SNS.InternalErrorException",
            "SNS.ThrottledException",
            "SNS.AmazonSNSException",
            "SNS.SdkClientException",
        ],
    ),
];

/// The codes that only the functions of one state machine return.
const ONLY_OF: [(&str, &[Code]); 2] = [
    (
        "push",
        &[
            Code::GitHostUnreachable,
            Code::GitHostTimedOut,
            Code::SecretUnavailable,
            Code::SigningUnavailable,
            Code::DestinationContended,
            Code::CommitStatusUnavailable,
        ],
    ),
    (
        "deploy",
        &[
            Code::BuildUnavailable,
            Code::EvidenceUnavailable,
            Code::StackBusy,
            Code::StackUnavailable,
            Code::WorkflowUnavailable,
        ],
    ),
];

/// The codes that only the function returns that sets the status of commits.
const ONLY_OF_REPORTS: [Code; 1] = [Code::CommitStatusUnavailable];

/// The transient codes of the push machine that the function does not return that sets the status of commits.
const NOT_OF_REPORTS: [Code; 4] = [
    Code::GitHostUnreachable,
    Code::GitHostTimedOut,
    Code::StorageUnavailable,
    Code::SigningUnavailable,
];

/// The states that take back what a deployment has done, and where they lead if that fails too.
const UNDOES: [(&str, &str); 2] = [("RollBack", "RecordFailure"), ("Restore", "RecordFailure")];

/// The errors that single states catch for themselves, and where they lead.
const OWN_CATCHERS: [(&str, &str, &str); 6] = [
    // The commit is packaged after all.
    ("Keep", "ComparisonOutdated", "Package"),
    // People see why without another look.
    ("CheckBuild", "BuildFailed", "ReadBuildLog"),
    ("CheckBuild", "TestsFailed", "ReadBuildLog"),
    // Nothing was executed, so that nothing is to be taken back.
    ("Apply", "PlanOutdated", "NormalizeFailure"),
    ("CheckStack", "StackRolledBack", "NormalizeFailure"),
    // Nothing can be taken back.
    ("CheckStack", "StackStuck", "NormalizeFailure"),
];

/// What fails on purpose: the end of a failed push, and what sends an event until it succeeds or is redriven.
const FAILS_ITSELF: [(&str, &str); 2] = [("push", "Failed"), ("publish", "Publish")];

/// The states that send an event, and where an event goes that could not be sent.
const SENT_LATER: [(&str, &str); 2] = [
    ("Publish", "PublishLater"),
    ("PublishFailure", "PublishFailureLater"),
];

/// An event that cannot be sent is tried for two weeks on average, which is long enough for people to mend what is
/// wrong.
#[test]
fn an_event_is_sent_later_for_weeks() {
    let publish = Machine::read("publish");
    let retrier = retrier_of(publish.state("Publish"), "States.ALL");
    let days = longest_waits(retrier) / 2 / 86_400;
    assert!((14..=21).contains(&days), "{days} days");
    // One that is redriven begins at the state that fails.
    assert!(publish.state("Publish")["Catch"].is_null());
    assert_eq!(publish.state("Publish")["End"], true);
}

/// Returns whether the function's role allows it to read objects that other stages have staged.
fn reads_staged_objects(template: &Value, function: &str) -> bool {
    let properties = &template["Resources"][format!("{function}Function")]["Properties"];
    statements(template, properties).iter().any(|statement| {
        let resource = serde_json::to_string(&statement["Resource"]).unwrap();
        texts(&statement["Action"]).contains("s3:GetObject")
            && resource.contains("StagingBucket.Arn}/pushes/")
    })
}

#[test]
fn every_failure_is_caught() {
    let over = Code::ExecutionOver.as_str();
    let (missing, again) = (Code::StagedObjectMissing.as_str(), "FetchAgain");
    for machine in machines() {
        let after_a_failure = machine.after_a_failure();
        let replaced = match machine.name.as_str() {
            "push" => "IsRedriven",
            _ => "Replaced",
        };
        for (name, task) in machine.failing() {
            if FAILS_ITSELF.contains(&(machine.name.as_str(), name)) {
                continue;
            }
            let catchers: Vec<_> = items(&task["Catch"]).collect();
            let (last, others) = catchers.split_last().unwrap();
            assert_eq!(
                last["ErrorEquals"],
                json!(["States.ALL"]),
                "{} {name}",
                machine.name
            );
            let others: Vec<_> = others
                .iter()
                .flat_map(|catcher| {
                    let next = catcher["Next"].as_str().unwrap();
                    texts(&catcher["ErrorEquals"])
                        .into_iter()
                        .map(move |error| (error, next))
                })
                .collect();
            let elsewhere = match machine.name.as_str() {
                "push" => SENT_LATER,
                _ => UNDOES,
            };
            if let Some((_, next)) = elsewhere.iter().find(|(state, _)| *state == name) {
                assert_eq!(last["Next"], *next, "{} {name}", machine.name);
            } else if after_a_failure.contains(name)
                || machine.name == "publish"
                || RECORDED_AT_THE_END.iter().any(|(_, recorder)| *recorder == name)
                || function_of(task) == Some(REPORT)
            {
                assert_eq!(last["Next"], task["Next"], "{} {name}", machine.name);
            } else {
                assert_eq!(last["Next"], "NormalizeFailure", "{} {name}", machine.name);
            }
            let own = OWN_CATCHERS.iter().filter(|(state, ..)| *state == name);
            let own: Vec<_> = own.map(|(_, error, next)| (*error, *next)).collect();
            let expected = match function_of(task) {
                Some(_) if after_a_failure.contains(name) || name == "RecordAttempts" => vec![],
                // It removes a zip, and needs nothing that was staged.
                Some(_) if name == "Expire" => vec![(over, replaced)],
                Some(function) if reads_staged_objects(&machine.template, function) => {
                    [own, vec![(missing, again), (over, replaced)]].concat()
                }
                Some(_) => [own, vec![(over, replaced)]].concat(),
                None => vec![],
            };
            assert_eq!(others, expected, "{} {name}", machine.name);
        }
    }
}

/// What cannot be taken back is said, and the execution ends as one that has left something to mend.
#[test]
fn what_is_left_to_mend_is_said() {
    for machine in machines().iter().filter(|machine| machine.name == "deploy") {
        for (state, error) in [
            ("CheckStack", "StackStuck"),
            ("RollBack", "States.ALL"),
            ("Restore", "States.ALL"),
        ] {
            let catchers = items(&machine.state(state)["Catch"]);
            let mut catchers = catchers.filter(|catcher| texts(&catcher["ErrorEquals"]).contains(error));
            let left = catchers.next().unwrap()["Assign"]["left"].as_str().unwrap();
            assert!(!left.is_empty(), "{state}");
        }
        let is_clean = machine.state("IsClean");
        assert_eq!(is_clean["Choices"][0]["Condition"], "{% $left != '' %}");
        assert_eq!(is_clean["Choices"][0]["Next"], "FailedDirty");
    }
}

/// A failure that is not kept is not published. The states after a failure have it already, and keep nothing.
#[test]
fn every_catcher_of_the_same_errors_is_the_same() {
    let output = json!({
        "stage": "{% $states.context.State.Name %}",
        "error": "{% $states.errorOutput %}",
    });
    for machine in machines() {
        let after_a_failure = machine.after_a_failure();
        for (name, task) in machine.failing() {
            for catcher in items(&task["Catch"]) {
                let mut expected = json!({ "ErrorEquals": catcher["ErrorEquals"], "Next": catcher["Next"] });
                let sent_later = SENT_LATER.iter().any(|(_, later)| catcher["Next"] == *later);
                if machine.name == "publish" {
                    // The event is passed on.
                    expected["Output"] = json!("{% $states.input %}");
                } else if sent_later {
                    expected["Output"] = json!("{% $states.errorOutput %}");
                } else if function_of(task) == Some(REPORT) && catcher["Next"] == task["Next"] {
                    // The push goes on as if nothing had been shown.
                    if !task["Output"].is_null() {
                        expected["Output"] = task["Output"].clone();
                    }
                } else if catcher["Next"] != "Replaced"
                    && catcher["Next"] != "IsRedriven"
                    && !after_a_failure.contains(name)
                    && name != "RecordAttempts"
                {
                    // A failure that has its log already is passed on.
                    expected["Output"] = match name {
                        "ReadBuildLog" => json!("{% $states.input %}"),
                        _ => output.clone(),
                    };
                }
                // What is left to mend, what is to be taken back, and how many attempts have failed is assigned.
                for name in catcher["Assign"]
                    .as_object()
                    .into_iter()
                    .flat_map(|assign| assign.keys())
                {
                    assert!(
                        ["left", "touched", "failed_attempts"].contains(&name.as_str()),
                        "{} {name}",
                        machine.name
                    );
                    expected["Assign"] = catcher["Assign"].clone();
                }
                assert_eq!(*catcher, expected, "{} {name}", machine.name);
            }
        }
    }
}

/// The choices at the end of a push, and what records the attempts that have failed until then.
const RECORDED_AT_THE_END: &[(&str, &str)] = &[
    ("Close", "RecordAttempts"),
    ("CloseFailure", "RecordFailureAttempts"),
];

/// `Record` and `RecordFailure` record the attempts that have failed, and what has failed after them is recorded at the
/// end. A failed push always has its history read.
#[test]
fn every_task_of_a_push_counts_its_failed_attempts() {
    let machines = machines();
    let machine = machines.iter().find(|machine| machine.name == "push").unwrap();
    let start = machine.definition["StartAt"].as_str().unwrap();
    assert_eq!(machine.state(start)["Assign"]["failed_attempts"], 0);
    let retries = "$states.context.State.RetryCount";
    for (name, task) in machine.tasks().filter(|(name, _)| *name != "Failed") {
        let expected = match name {
            "Record" | "RecordFailure" => json!(format!("{{% {retries} %}}")),
            "RecordAttempts" | "RecordFailureAttempts" => json!(0),
            _ => json!(format!("{{% $failed_attempts + {retries} %}}")),
        };
        assert_eq!(task["Assign"]["failed_attempts"], expected, "{name}");
        for catcher in items(&task["Catch"]) {
            let expected = match catcher["Next"].as_str().unwrap() {
                // The stage has recorded this error, or the push begins again.
                "NormalizeFailure" | "FetchAgain" | "Package" | "IsRedriven" | "PublishFailure" => {
                    Value::Null
                }
                "Close" if name == "RecordAttempts" => json!(0),
                "CloseFailure" if name == "RecordFailureAttempts" => json!(0),
                _ => json!(format!("{{% $failed_attempts + {retries} + 1 %}}")),
            };
            assert_eq!(
                catcher["Assign"]["failed_attempts"], expected,
                "{name}: {catcher}"
            );
        }
    }
    for (choice, recorder) in RECORDED_AT_THE_END {
        let rule = json!({ "Condition": "{% $failed_attempts > 0 %}", "Next": recorder });
        assert!(
            items(&machine.state(choice)["Choices"]).any(|choice| *choice == rule),
            "{choice}"
        );
    }
    for (name, task, function) in machine.stages() {
        let passed = &task["Arguments"]["Payload"]["input"]["failed_attempts"];
        let expected = match function {
            "Record" => json!("{% $failed_attempts %}"),
            _ => Value::Null,
        };
        assert_eq!(*passed, expected, "{name}");
    }
}

/// An error has the same retrier in every state: with the same errors, number of attempts and waits. A push does not
/// wait long for the status of its commit.
#[test]
fn every_retrier_of_the_same_errors_is_the_same() {
    let machines = machines();
    let mut retriers: BTreeMap<(&str, &str), (Value, &str)> = BTreeMap::new();
    for machine in &machines {
        let functions = machine.stages().filter(|(_, _, function)| *function != REPORT);
        let functions = functions.map(|(name, task, _)| (name, task, "functions"));
        for (name, task, service) in functions.chain(machine.calls()) {
            for retrier in items(&task["Retry"]) {
                for error in texts(&retrier["ErrorEquals"]) {
                    let mut waits = retrier.clone();
                    // Each machine has codes of its own.
                    waits.as_object_mut().unwrap().remove("ErrorEquals");
                    let (first, of) = retriers.entry((service, error)).or_insert((waits.clone(), name));
                    assert_eq!(*first, waits, "{error} in {of} and in {} {name}", machine.name);
                }
            }
        }
    }
}

#[test]
fn an_expired_commit_is_fetched_again_once() {
    for machine in machines() {
        if !machine.state("FetchAgain").is_object() {
            continue;
        }
        let start = machine.definition["StartAt"].as_str().unwrap();
        assert_eq!(
            machine.state(start)["Assign"]["fetched_again"],
            "{% false %}",
            "{}",
            machine.name
        );
        let again = machine.state("FetchAgain");
        let choices: Vec<_> = items(&again["Choices"]).collect();
        assert_eq!(choices.len(), 1);
        assert_eq!(choices[0]["Condition"], "{% $fetched_again = false %}");
        assert_eq!(choices[0]["Assign"], json!({"fetched_again": "{% true %}"}));
        assert_eq!(choices[0]["Next"], "Fetch");
        assert_eq!(again["Default"], "NormalizeFailure");
        // No other way leads back.
        let mut without = machine.definition.clone();
        without["States"]["FetchAgain"]["Choices"] = json!([]);
        // Attempts are recorded at the end, and then there are none.
        for (choice, recorder) in RECORDED_AT_THE_END {
            assert_eq!(without["States"][recorder]["Next"], *choice);
            without["States"][recorder] = without["States"]["Delivered"].clone();
        }
        let without = Machine {
            definition: without,
            ..machine
        };
        assert_eq!(without.repeated(), BTreeSet::new(), "{}", without.name);
    }
}

#[test]
fn functions_are_retried_for_transient_errors_and_for_nothing_else() {
    let contended = Code::DestinationContended.as_str();
    for machine in machines() {
        let of_others = || ONLY_OF.iter().filter(|(name, _)| *name != machine.name);
        let codes = || {
            let transient = Code::ALL.iter().filter(|code| code.class() == Class::Transient);
            transient
                .filter(|code| !of_others().any(|(_, codes)| codes.contains(code)))
                .map(|code| code.as_str())
        };
        for (name, task, function) in machine.stages() {
            let mut expected: BTreeSet<_> = codes().chain(LAMBDA_TRANSIENT).chain([LAMBDA_BUSY]).collect();
            if !WAITS_FOR_OTHERS.contains(&function) {
                expected.remove(contended);
            }
            let not_returned: &[_] = match function {
                REPORT => &NOT_OF_REPORTS,
                _ => &ONLY_OF_REPORTS,
            };
            for code in not_returned {
                expected.remove(code.as_str());
            }
            if timeout_of(&machine.template, function) <= SHORT_SECONDS {
                expected.extend(OUT_OF_TIME);
            }
            if WAITS_FOR_PEOPLE.contains(&name) {
                expected.remove("States.Timeout");
            }
            assert_eq!(retried(task), expected, "{} {name}", machine.name);
        }
    }
}

/// A deployment waits longer for the environment than one that has it waits for a person, and less than its execution
/// may take.
#[test]
fn a_deployment_waits_for_the_environment_as_long_as_another_one_for_a_person() {
    for machine in machines().iter().filter(|machine| machine.name == "deploy") {
        let queue = machine.state("Queue");
        let attempts = retrier_of(queue, "States.Timeout")["MaxAttempts"]
            .as_u64()
            .unwrap();
        let waits = (attempts + 1) * queue["TimeoutSeconds"].as_u64().unwrap();
        let for_people = machine.state("Approve")["TimeoutSeconds"].as_u64().unwrap();
        assert!(waits > for_people);
        assert!(waits < machine.definition["TimeoutSeconds"].as_u64().unwrap());
    }
}

#[test]
fn services_are_retried_for_errors_of_their_own() {
    for machine in machines() {
        for (name, task, service) in machine.calls() {
            let (_, transient) = SERVICES_TRANSIENT
                .iter()
                .find(|(known, _)| *known == service)
                .unwrap_or_else(|| panic!("{} {name} calls {service}", machine.name));
            let mut expected: BTreeSet<_> = transient.iter().copied().collect();
            expected.insert("States.Timeout");
            match (machine.name.as_str(), name) {
                // The failure that it ends the execution with may have this name.
                ("push", "Failed") => drop(expected.remove("States.Timeout")),
                ("publish", "Publish") => expected = BTreeSet::from(["States.ALL"]),
                _ => {}
            }
            assert_eq!(retried(task), expected, "{} {name}", machine.name);
        }
    }
}

/// Returns the errors for which a task is retried, each of which has one retrier.
fn retried(task: &Value) -> BTreeSet<&str> {
    let named: Vec<_> = items(&task["Retry"])
        .flat_map(|retrier| texts(&retrier["ErrorEquals"]))
        .collect();
    let errors: BTreeSet<_> = named.iter().copied().collect();
    assert_eq!(
        named.len(),
        errors.len(),
        "an error is in two retriers: {named:?}"
    );
    errors
}

#[test]
fn errors_that_last_longer_are_retried_for_longer() {
    for machine in machines() {
        for (name, task, function) in machine.stages().filter(|(_, _, function)| *function != REPORT) {
            let busy = longest_waits(retrier_of(task, LAMBDA_BUSY)) / 2;
            assert!(
                busy >= 3_600,
                "{} {name}: concurrency is waited for {busy} s on average",
                machine.name
            );
            if WAITS_FOR_OTHERS.contains(&function) {
                let leased = longest_waits(retrier_of(task, Code::DestinationContended.as_str())) / 2;
                assert!(
                    leased > 960 + 3 * 180,
                    "{leased} s on average do not surely outlast a lease of 960 s"
                );
            }
        }
    }
}

/// The status of a commit is not worth more: whatever comes of it, the push goes on.
#[test]
fn a_push_is_held_up_by_the_status_of_its_commit_for_seconds() {
    let machine = Machine::read("push");
    for (name, attempts) in [("ReportPending", 2), ("Report", 4), ("ReportFailure", 4)] {
        let task = machine.state(name);
        assert_eq!(items(&task["Retry"]).count(), 1, "{name}");
        assert_eq!(task["Retry"][0]["MaxAttempts"], attempts - 1, "{name}");
        let seconds = attempts * timeout_of(&machine.template, REPORT) + longest_waits(&task["Retry"][0]);
        assert!(seconds <= 31 || name != "ReportPending", "{name}: {seconds} s");
        assert!(seconds <= 75, "{name}: {seconds} s");
    }
    // What is not to be shown passes none of these states.
    let due = |state: &str, assigned: &str| machine.state(state)["Assign"][assigned].clone();
    assert_eq!(due("Begin", "commit_status_due"), "{% false %}");
    let validated = "{% $type($states.result.Payload.commit_status) = 'object' %}";
    assert_eq!(due("Validate", "commit_status_due"), validated);
    for (state, index) in [("Decide", 3), ("Close", 1), ("CloseFailure", 0)] {
        let choice = &machine.state(state)["Choices"][index];
        assert!(
            choice["Condition"]
                .as_str()
                .unwrap()
                .contains("$commit_status_due"),
            "{state}"
        );
        assert_eq!(
            function_of(machine.state(choice["Next"].as_str().unwrap())),
            Some(REPORT),
            "{state}"
        );
    }
    let once = json!({ "commit_status_due": "{% false %}" });
    for (state, index) in [("Close", 1), ("CloseFailure", 0)] {
        assert_eq!(machine.state(state)["Choices"][index]["Assign"], once, "{state}");
    }
}

#[test]
fn every_task_waits_longer_each_time_and_with_jitter() {
    for machine in machines() {
        for (name, task) in machine.tasks() {
            let retriers: Vec<_> = items(&task["Retry"]).collect();
            assert!(!retriers.is_empty(), "{} {name}", machine.name);
            for retrier in retriers {
                assert_eq!(retrier["BackoffRate"], 2, "{} {name}", machine.name);
                assert_eq!(retrier["JitterStrategy"], "FULL", "{} {name}", machine.name);
                assert!(retrier["MaxDelaySeconds"].is_u64(), "{} {name}", machine.name);
            }
        }
    }
}

#[test]
fn the_timeout_is_more_than_the_worst_case_that_the_comment_states() {
    // A machine that waits for builds and for people is bounded by their limits, not by its own attempts.
    let waits = |machine: &Machine| machine.states().any(|(_, state)| state["Type"] == "Wait");
    let is_limited = |machine: &Machine| machine.definition["TimeoutSeconds"].is_u64();
    for machine in machines()
        .into_iter()
        .filter(|machine| is_limited(machine) && !waits(machine))
    {
        let limit = machine.definition["TimeoutSeconds"].as_u64().unwrap();
        let comment = machine.definition["Comment"].as_str().unwrap();
        let repeated = machine.repeated();
        let mut sum = 0;
        for (name, map) in machine.states().filter(|(_, state)| state["Type"] == "Map") {
            let rounds = (MAX_FURTHER_DESTINATIONS as u64).div_ceil(map["MaxConcurrency"].as_u64().unwrap());
            let tasks = entries(&map["ItemProcessor"]["States"]).filter(|(_, state)| state["Type"] == "Task");
            let seconds = rounds * tasks.map(|(_, task)| worst_case(task).2).sum::<u64>();
            assert!(
                comment.contains(&grouped(seconds)),
                "{name}: the comment lacks {seconds}"
            );
            sum += seconds;
        }
        for (name, task) in machine.tasks() {
            let (tries, waits, seconds) = worst_case(task);
            sum += if repeated.contains(name) {
                2 * seconds
            } else {
                seconds
            };
            for told in [tries, waits, seconds].map(grouped) {
                assert!(
                    comment.contains(&told),
                    "{} {name}: the comment lacks {told}",
                    machine.name
                );
            }
        }
        assert!(
            sum <= limit,
            "{}: the tasks can take {sum} s, the execution only {limit} s",
            machine.name
        );
        for told in [sum, limit].map(grouped) {
            assert!(
                comment.contains(&told),
                "{}: the comment lacks {told}",
                machine.name
            );
        }
    }
}

/// Returns how often a task is attempted at most, and how long it can take with the waits in between.
fn worst_case(task: &Value) -> (u64, u64, u64) {
    let mut tries = 1;
    let mut waits = 0;
    for retrier in items(&task["Retry"]) {
        let attempts = retrier["MaxAttempts"].as_u64().unwrap();
        waits += longest_waits(retrier);
        if texts(&retrier["ErrorEquals"]) != BTreeSet::from([LAMBDA_BUSY]) {
            tries += attempts;
        }
    }
    let seconds = tries * task["TimeoutSeconds"].as_u64().unwrap() + waits;
    (tries, waits, seconds)
}

/// Returns how long all waits of a retrier can take, in seconds. With the jitter, they take half of it on average.
fn longest_waits(retrier: &Value) -> u64 {
    let number = |name: &str| retrier[name].as_u64().unwrap();
    let mut wait = number("IntervalSeconds");
    let mut waits = 0;
    for _ in 0..number("MaxAttempts") {
        waits += wait.min(number("MaxDelaySeconds"));
        wait = (wait * number("BackoffRate")).min(number("MaxDelaySeconds"));
    }
    waits
}

/// Returns the retrier of a task that names `error`.
fn retrier_of<'a>(task: &'a Value, error: &str) -> &'a Value {
    items(&task["Retry"])
        .find(|retrier| texts(&retrier["ErrorEquals"]).contains(error))
        .unwrap()
}
