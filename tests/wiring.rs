//! The template, the state machine and the code are three texts that speak of the same things by name. Nothing but AWS
//! itself would notice that they do not fit, so they are read as data here and compared.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot read what it is to check has failed the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use aws_lambda_events::apigw::{ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest};
use domain::contract::{
    Envelope, FetchInput, PackageInput, RecordInput, StagedObject, UploadInput, ValidateInput,
};
use domain::destination::KeyTemplate;
use domain::error::{Class, Code};
use domain::push::Push;
use domain::source::{Limits, Options, SourceSettings};
use local_aws::containers;
use local_aws::webhook_client::Webhook;
use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webhook::gitlab::{Delivery, Person, PushHook};

/// What Lambda itself may answer where the same call may succeed a moment later.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception>
const LAMBDA_TRANSIENT: [&str; 11] = [
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
];

/// What Lambda answers where the account has no concurrency left: no function was run.
const LAMBDA_BUSY: &str = "Lambda.TooManyRequestsException";

/// A function ran out of time, by the words of the three that may notice.
const OUT_OF_TIME: [&str; 3] = ["States.Timeout", "Sandbox.Timedout", "StageTimedOut"];

/// The states whose function is short: it ran out of time because the machine was busy, and may be tried again.
const SHORT: [&str; 3] = ["Validate", "Record", "RecordFailure"];

/// The stages that are run once more if what was staged has expired.
const REPEATED: [&str; 3] = ["Fetch", "Package", "Upload"];

/// The states after a failure: they go on whatever happens, so that the first failure is told and kept.
const AFTER_A_FAILURE: [&str; 3] = ["RecordFailure", "PublishFailure", "Notify"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| format!("{path}: {error}"))
}

fn definition() -> Value {
    serde_json::from_str(&read("statemachine/push.asl.json")).unwrap()
}

fn template() -> Value {
    let documents = YamlOwned::load_from_str(&read("template.yaml")).unwrap();
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
        YamlOwned::Value(ScalarOwned::Boolean(truth)) => json!(truth),
        YamlOwned::Value(ScalarOwned::Null) => Value::Null,
        other => unreachable!("the template has {other:?}"),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    // CloudFormation and IAM take one thing where they take a list.
    let many = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    many.iter().filter(|value| !value.is_null())
}

fn texts(value: &Value) -> BTreeSet<&str> {
    items(value).map(|item| item.as_str().unwrap()).collect()
}

fn resources<'a>(template: &'a Value, of_type: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    entries(&template["Resources"])
        .filter(move |(_, resource)| resource["Type"] == of_type)
        .map(|(name, resource)| (name, &resource["Properties"]))
}

fn tasks(definition: &Value) -> impl Iterator<Item = (&str, &Value)> {
    entries(&definition["States"]).filter(|(_, state)| state["Type"] == "Task")
}

/// The function that a state runs, as `Fetch`; none for a state that runs no function.
fn function_of(state: &Value) -> Option<&str> {
    state["Arguments"]["FunctionName"]
        .as_str()?
        .strip_prefix("${")?
        .strip_suffix("FunctionArn}")
}

/// The folders of the functions, as `fetch`.
fn verbs() -> BTreeSet<String> {
    fs::read_dir(root().join("lambdas"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "shared")
        .collect()
}

/// `fetch` as `Fetch`.
fn capitalised(verb: &str) -> String {
    let (first, rest) = verb.split_at(1);
    first.to_uppercase() + rest
}

/// The statements of a role: a function's, or that of a resource of its own.
fn statements<'a>(template: &'a Value, properties: &'a Value) -> Vec<&'a Value> {
    if let Some(role) = properties["Role"]["Fn::GetAtt"].as_str() {
        let role = &template["Resources"][role.trim_end_matches(".Arn")]["Properties"];
        return items(&role["Policies"])
            .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]))
            .collect();
    }
    items(&properties["Policies"])
        .flat_map(|policy| items(&policy["Statement"]))
        .collect()
}

/// The names in `${...}` anywhere in a value.
fn substitutions(text: &str) -> BTreeSet<&str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .collect()
}

/// How often a task's work is tried at most, and how long it can take with the waits in between.
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

/// How long all waits of a retrier can take, in seconds. With the jitter they take half of it on average.
fn longest_waits(retrier: &Value) -> u64 {
    let number = |name: &str| retrier[name].as_u64().unwrap();
    let mut wait = number("IntervalSeconds");
    let mut waits = 0;
    for _ in 0..number("MaxAttempts") {
        waits += wait.min(number("MaxDelaySeconds"));
        wait *= number("BackoffRate");
    }
    waits
}

/// The retrier of a task that names `error`.
fn retrier_of<'a>(task: &'a Value, error: &str) -> &'a Value {
    items(&task["Retry"])
        .find(|retrier| texts(&retrier["ErrorEquals"]).contains(error))
        .unwrap()
}

/// A number as people write it: `36,000`.
fn grouped(number: u64) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    format!("{},{:03}", grouped(number / 1_000), number % 1_000)
}

#[test]
fn every_verb_folder_is_a_function_with_a_log_group() {
    let template = template();
    let expected: BTreeSet<_> = verbs()
        .iter()
        .map(|verb| capitalised(verb) + "Function")
        .collect();
    let functions: BTreeMap<_, _> = resources(&template, "AWS::Serverless::Function").collect();
    assert_eq!(
        functions
            .keys()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
        expected
    );
    for verb in verbs() {
        let name = capitalised(&verb);
        let resource = &template["Resources"][format!("{name}Function")];
        assert_eq!(resource["Metadata"]["BuildMethod"], "rust-cargolambda", "{name}");
        let function = &resource["Properties"];
        assert_eq!(function["CodeUri"], format!("lambdas/{verb}"), "{name}");
        let log_group = format!("{name}LogGroup");
        assert_eq!(
            template["Resources"][&log_group]["Type"], "AWS::Logs::LogGroup",
            "{name}"
        );
        assert_eq!(
            function["LoggingConfig"]["LogGroup"],
            json!({ "Ref": log_group }),
            "{name}"
        );
        let manifest = read(&format!("lambdas/{verb}/Cargo.toml"));
        assert!(manifest.contains(&format!("name = \"{verb}\"")), "{name}");
    }
}

#[test]
fn every_stage_is_a_state_of_its_name() {
    let definition = definition();
    let stages = verbs()
        .into_iter()
        .filter(|verb| !matches!(verb.as_str(), "accept" | "authorize"));
    for stage in stages.map(|verb| capitalised(&verb)) {
        assert_eq!(
            function_of(&definition["States"][&stage]),
            Some(stage.as_str()),
            "{stage}"
        );
        assert!(
            serde_json::from_value::<domain::contract::Stage>(json!(stage)).is_ok(),
            "{stage}"
        );
    }
}

#[test]
fn the_definition_and_the_template_name_the_same_substitutions() {
    let template = template();
    let text = read("statemachine/push.asl.json");
    let (_, machine) = resources(&template, "AWS::Serverless::StateMachine")
        .next()
        .unwrap();
    assert_eq!(machine["DefinitionUri"], "statemachine/push.asl.json");
    let given: BTreeMap<_, _> = entries(&machine["DefinitionSubstitutions"]).collect();
    assert_eq!(
        substitutions(&text),
        given.keys().copied().collect::<BTreeSet<_>>()
    );
    for (name, value) in given {
        if let Some(function) = name.strip_suffix("FunctionArn") {
            assert_eq!(
                *value,
                json!({ "Fn::GetAtt": format!("{function}Function.Arn") }),
                "{name}"
            );
        }
    }
}

#[test]
fn the_definition_follows_the_states_language() {
    let schema = serde_json::from_str(&read("tests/asl.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&definition())
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");

    let mut wrong = definition();
    wrong["States"]["Fetch"]["ResultPath"] = json!("$.fetched");
    assert!(!validator.is_valid(&wrong), "the schema refuses nothing");
}

#[test]
fn every_state_is_there_and_can_be_reached() {
    let definition = definition();
    let states = &definition["States"];
    let mut open = vec![definition["StartAt"].as_str().unwrap()];
    let mut reached = BTreeSet::new();
    while let Some(name) = open.pop() {
        assert!(states[name].is_object(), "{name} is no state");
        if !reached.insert(name) {
            continue;
        }
        let state = &states[name];
        let branches = items(&state["Choices"]).chain(items(&state["Catch"]));
        let targets = branches
            .map(|branch| &branch["Next"])
            .chain([&state["Next"], &state["Default"]]);
        open.extend(targets.filter_map(Value::as_str));
    }
    let all: BTreeSet<_> = entries(states).map(|(name, _)| name).collect();
    assert_eq!(reached, all);
}

#[test]
fn every_choice_has_an_answer_for_everything() {
    for (name, state) in entries(&definition()["States"]) {
        if state["Type"] == "Choice" {
            let last = items(&state["Choices"]).last().unwrap();
            assert!(
                state["Default"].is_string() || last["Condition"] == "{% true %}",
                "{name}"
            );
        }
    }
}

#[test]
fn every_failure_is_caught() {
    for (name, task) in tasks(&definition()) {
        let catchers: Vec<_> = items(&task["Catch"]).collect();
        let last = catchers.last().unwrap();
        assert_eq!(last["ErrorEquals"], json!(["States.ALL"]), "{name}");
        let others: Vec<_> = catchers[..catchers.len() - 1]
            .iter()
            .map(|catcher| (&catcher["ErrorEquals"][0], &catcher["Next"]))
            .collect();
        if AFTER_A_FAILURE.contains(&name) {
            assert_eq!(last["Next"], task["Next"], "{name}");
        } else {
            assert_eq!(last["Next"], "Explain", "{name}");
        }
        let (over, replaced) = (json!(Code::ExecutionOver.as_str()), json!("Replaced"));
        let (missing, again) = (json!(Code::StagedObjectMissing.as_str()), json!("FetchAgain"));
        let expected = match name {
            "Package" | "Upload" => vec![(&missing, &again), (&over, &replaced)],
            "Validate" | "Fetch" | "Record" => vec![(&over, &replaced)],
            _ => vec![],
        };
        assert_eq!(others, expected, "{name}");
    }
}

#[test]
fn what_has_expired_is_fetched_again_once() {
    let definition = definition();
    let states = &definition["States"];
    assert_eq!(states["ReadSource"]["Assign"]["fetched_again"], "{% false %}");
    let again = &states["FetchAgain"];
    let choices: Vec<_> = items(&again["Choices"]).collect();
    assert_eq!(choices.len(), 1);
    assert_eq!(choices[0]["Condition"], "{% $fetched_again = false %}");
    assert_eq!(choices[0]["Assign"], json!({"fetched_again": "{% true %}"}));
    assert_eq!(choices[0]["Next"], "Fetch");
    assert_eq!(again["Default"], "Explain");
}

#[test]
fn a_failed_execution_bears_the_first_failure() {
    let definition = definition();
    let states = &definition["States"];
    let assigners: Vec<_> = entries(states)
        .filter(|(_, state)| {
            let branches = items(&state["Choices"]).chain(items(&state["Catch"]));
            branches
                .chain([*state])
                .any(|branch| branch["Assign"]["failure"].is_object())
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(assigners, ["Explain"]);
    assert_eq!(states["Failed"]["Error"], "{% $failure.error %}");
    let cause = states["Failed"]["Cause"].as_str().unwrap();
    assert!(
        cause.starts_with("{% $failure.cause & ' (To try again, start a new execution"),
        "{cause}"
    );
}

#[test]
fn functions_are_tried_again_for_what_is_transient_and_for_nothing_else() {
    let contended = Code::DestinationContended.as_str();
    let codes = || {
        let transient = Code::ALL.iter().filter(|code| code.class() == Class::Transient);
        transient.map(|code| code.as_str())
    };
    for (name, task) in tasks(&definition()).filter(|(_, task)| function_of(task).is_some()) {
        let mut expected: BTreeSet<_> = codes().chain(LAMBDA_TRANSIENT).chain([LAMBDA_BUSY]).collect();
        // Only Upload waits for others.
        if name != "Upload" {
            expected.remove(contended);
        }
        if SHORT.contains(&name) {
            expected.extend(OUT_OF_TIME);
        }
        let named: Vec<_> = items(&task["Retry"])
            .flat_map(|retrier| texts(&retrier["ErrorEquals"]))
            .collect();
        assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), expected, "{name}");
        assert_eq!(named.len(), expected.len(), "{name} has an error in two retriers");
    }
}

#[test]
fn what_takes_its_time_is_waited_for_with_patience() {
    let definition = definition();
    for (name, task) in tasks(&definition).filter(|(_, task)| function_of(task).is_some()) {
        let busy = longest_waits(retrier_of(task, LAMBDA_BUSY)) / 2;
        assert!(
            busy >= 3_600,
            "{name}: concurrency is waited for {busy} s on average"
        );
    }
    let upload = &definition["States"]["Upload"];
    let leased = longest_waits(retrier_of(upload, Code::DestinationContended.as_str())) / 2;
    assert!(
        leased > 960 + 3 * 180,
        "{leased} s on average do not surely outlast a lease of 960 s"
    );
}

#[test]
fn services_are_tried_again_for_errors_of_their_own() {
    for (name, task) in tasks(&definition()).filter(|(_, task)| function_of(task).is_none()) {
        let service = match task["Resource"].as_str().unwrap().rsplit(':').nth(1).unwrap() {
            "ssm" => "Ssm.",
            "events" => "EventBridge.",
            "sns" => "SNS.",
            other => unreachable!("{name} calls {other}"),
        };
        let errors = items(&task["Retry"]).flat_map(|retrier| texts(&retrier["ErrorEquals"]));
        for error in errors {
            assert!(
                error.starts_with(service) || error == "States.Timeout",
                "{name} retries {error}"
            );
        }
    }
}

#[test]
fn every_task_waits_longer_each_time_and_not_in_step_with_others() {
    for (name, task) in tasks(&definition()) {
        let retriers: Vec<_> = items(&task["Retry"]).collect();
        assert!(!retriers.is_empty(), "{name}");
        for retrier in retriers {
            assert_eq!(retrier["BackoffRate"], 2, "{name}");
            assert_eq!(retrier["JitterStrategy"], "FULL", "{name}");
            assert!(retrier["MaxDelaySeconds"].is_u64(), "{name}");
        }
    }
}

#[test]
fn a_state_outlasts_its_function() {
    let template = template();
    let default = &template["Globals"]["Function"]["Timeout"];
    for (name, task) in tasks(&definition()) {
        let Some(function) = function_of(task) else {
            continue;
        };
        let own = &template["Resources"][format!("{function}Function")]["Properties"]["Timeout"];
        let function_seconds = own.as_u64().or(default.as_u64()).unwrap();
        assert!(function_seconds <= 900, "{function}: Lambda allows 900 seconds");
        let state_seconds = task["TimeoutSeconds"].as_u64().unwrap();
        assert!(
            state_seconds > function_seconds,
            "{name}: {state_seconds} s, its function {function_seconds} s"
        );
    }
    let fetch = template["Resources"]["FetchFunction"]["Properties"]["Timeout"]
        .as_u64()
        .unwrap();
    assert!(
        Limits::default().fetch_seconds < fetch,
        "fetch cannot say what was too slow"
    );
}

#[test]
fn the_time_limit_leaves_room_for_the_worst_case_that_the_comment_tells() {
    let definition = definition();
    let limit = definition["TimeoutSeconds"].as_u64().unwrap();
    let comment = definition["Comment"].as_str().unwrap();
    let mut sum = 0;
    for (name, task) in tasks(&definition) {
        let (tries, waits, seconds) = worst_case(task);
        sum += if REPEATED.contains(&name) {
            2 * seconds
        } else {
            seconds
        };
        for told in [tries, waits, seconds].map(grouped) {
            assert!(comment.contains(&told), "{name}: the comment lacks {told}");
        }
    }
    assert!(
        sum <= limit,
        "the tasks can take {sum} s, the execution only {limit} s"
    );
    for told in [sum, limit].map(grouped) {
        assert!(comment.contains(&told), "the comment lacks {told}");
    }
}

#[test]
fn the_state_machine_may_call_what_it_calls_and_nothing_else() {
    let template = template();
    let definition = definition();
    let (_, machine) = resources(&template, "AWS::Serverless::StateMachine")
        .next()
        .unwrap();
    let called: BTreeSet<_> = tasks(&definition)
        .map(|(_, task)| {
            let mut parts = task["Resource"].as_str().unwrap().rsplit(':');
            let action = parts.next().unwrap();
            let service = parts.next().unwrap();
            match (service, action) {
                ("lambda", "invoke") => "lambda:InvokeFunction".to_owned(),
                _ => format!("{service}:{}", capitalised(action)),
            }
        })
        .collect();
    let mut allowed = BTreeSet::new();
    for statement in statements(&template, machine) {
        let actions = texts(&statement["Action"]);
        if actions.iter().all(|action| action.starts_with("logs:")) {
            continue;
        }
        assert_ne!(statement["Resource"], "*", "{actions:?}");
        if actions.contains("lambda:InvokeFunction") {
            let invoked: BTreeSet<_> = tasks(&definition)
                .filter_map(|(_, task)| function_of(task))
                .map(|function| format!("{function}Function.Arn"))
                .collect();
            let allowed: BTreeSet<_> = items(&statement["Resource"])
                .map(|resource| resource["Fn::GetAtt"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(allowed, invoked);
        }
        allowed.extend(actions.into_iter().map(str::to_owned));
    }
    assert_eq!(allowed, called);
}

#[test]
fn no_function_may_do_what_no_code_does() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let verb = name.strip_suffix("Function").unwrap().to_lowercase();
        let tree = DependencyTree::of(&verb);
        // What it is built of: its own code, and that of the project's libraries which it names, or they.
        let folders = tree.features.keys().filter_map(|dependency| {
            let path = dependency.split_once('(')?.1.trim_end_matches(')');
            path.contains("/lambdas/").then(|| Path::new(path).join("src"))
        });
        let code = folders
            .flat_map(|folder| rust_files(&folder))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect::<String>();
        for statement in statements(&template, function) {
            assert!(
                items(&statement["Resource"]).all(|resource| resource != "*"),
                "{name}"
            );
            for action in texts(&statement["Action"]) {
                let calls: &[&str] = match action {
                    "dynamodb:Query" => &[".query()"],
                    "dynamodb:GetItem" => &[".get_item()"],
                    "dynamodb:PutItem" => &[".put_item()", "Put::builder()"],
                    "s3:GetObject" => &[".get_object()", ".head_object()", ".upload_part_copy()"],
                    "s3:GetObjectVersion" => &[".set_version_id(", "?versionId="],
                    "s3:PutObject" => &[".put_object()", ".create_multipart_upload()"],
                    "s3:AbortMultipartUpload" => &[".abort_multipart_upload()"],
                    "s3:DeleteObject" => &[".delete_objects()"],
                    // It changes the answer for a missing object too.
                    "s3:ListBucket" => &[".list_objects_v2()", ".get_object()", ".head_object()"],
                    "secretsmanager:GetSecretValue" => &[".get_secret_value()"],
                    "states:StartExecution" => &[".start_execution()"],
                    "states:DescribeExecution" => &[".describe_execution()"],
                    other => unreachable!("{name} is allowed {other}: say here what calls it"),
                };
                let service = match action.split_once(':').unwrap().0 {
                    "states" => "sfn",
                    service => service,
                };
                let sdk = format!("aws-sdk-{service} ");
                assert!(
                    tree.features
                        .keys()
                        .any(|dependency| dependency.starts_with(&sdk))
                        && calls.iter().any(|call| code.contains(call)),
                    "{name} is allowed {action}"
                );
            }
        }
    }
}

#[test]
fn a_function_may_use_a_service_where_it_is_told_its_name() {
    let template = template();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let told: BTreeSet<_> = entries(&function["Environment"]["Variables"])
            .flat_map(|(variable, _)| match variable {
                "TABLE_NAME" => vec!["dynamodb"],
                "STAGING_BUCKET" => vec!["s3"],
                "SECRET_PREFIX" => vec!["secretsmanager"],
                "STATE_MACHINE_ARN" => vec!["states"],
                other => unreachable!("{name} has {other}: say here what it is for"),
            })
            .collect();
        let used: BTreeSet<_> = statements(&template, function)
            .iter()
            .flat_map(|statement| texts(&statement["Action"]))
            .map(|action| action.split_once(':').unwrap().0)
            .collect();
        assert_eq!(used, told, "{name}");
    }
}

#[test]
fn every_function_gets_the_settings_that_it_reads() {
    let template = template();
    let globals = entries(&template["Globals"]["Function"]["Environment"]["Variables"]);
    assert_eq!(globals.collect::<Vec<_>>(), [("LOCAL_ENDPOINT_URL", &json!(""))]);
    for verb in verbs() {
        let main = read(&format!("lambdas/{verb}/src/main.rs"));
        let read: BTreeSet<_> = main
            .split("settings::required(")
            .skip(1)
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'))
            .map(|(name, _)| name)
            .collect();
        let function = &template["Resources"][capitalised(&verb) + "Function"]["Properties"];
        let given: BTreeSet<_> = entries(&function["Environment"]["Variables"])
            .map(|(name, _)| name)
            .collect();
        assert_eq!(read, given, "{verb}");
    }
}

#[test]
fn the_template_makes_settings_that_the_code_reads() {
    let template = template();
    // Which repositories may be delivered, whoever deploys has to say.
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
    let (_, machine) = resources(&template, "AWS::Serverless::StateMachine")
        .next()
        .unwrap();
    let (_, parameter) = resources(&template, "AWS::SSM::Parameter").next().unwrap();
    let path = machine["DefinitionSubstitutions"]["SourcesPath"]["Fn::Sub"]
        .as_str()
        .unwrap();
    assert_eq!(parameter["Name"]["Fn::Sub"], format!("{path}${{SourceName}}"));
}

#[test]
fn no_answer_of_authorize_is_used_twice() {
    let template = template();
    let (_, authorizer) = resources(&template, "AWS::ApiGatewayV2::Authorizer")
        .next()
        .unwrap();
    assert_eq!(authorizer["AuthorizerResultTtlInSeconds"], 0);
    for (name, route) in resources(&template, "AWS::ApiGatewayV2::Route") {
        assert_eq!(route["AuthorizationType"], "CUSTOM", "{name} is open to all");
    }
}

#[test]
fn every_bucket_is_versioned_encrypted_private_and_refuses_plain_http() {
    let template = template();
    let policies: BTreeMap<_, _> = resources(&template, "AWS::S3::BucketPolicy")
        .map(|(_, policy)| (policy["Bucket"]["Ref"].as_str().unwrap(), policy))
        .collect();
    for (name, bucket) in resources(&template, "AWS::S3::Bucket") {
        assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled", "{name}");
        assert!(
            bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"].is_array(),
            "{name}"
        );
        let block = &bucket["PublicAccessBlockConfiguration"];
        assert_eq!(
            entries(block).filter(|(_, on)| **on == json!(true)).count(),
            4,
            "{name}"
        );
        let refuses = items(&policies[name]["PolicyDocument"]["Statement"]).any(|statement| {
            statement["Effect"] == "Deny"
                && statement["Action"] == "s3:*"
                && statement["Principal"] == "*"
                && statement["Condition"] == json!({ "Bool": { "aws:SecureTransport": "false" } })
                && items(&statement["Resource"]).count() == 2
        });
        assert!(refuses, "{name}");
    }
    let staging = &template["Resources"]["StagingBucket"]["Properties"];
    let rule = &staging["LifecycleConfiguration"]["Rules"][0];
    assert_eq!(rule["Prefix"], "pushes/");
    assert_eq!(rule["ExpirationInDays"], json!({ "Ref": "StagedObjectDays" }));
}

#[test]
fn every_parameter_and_output_is_described_and_every_parameter_has_its_group() {
    let template = template();
    for part in ["Parameters", "Outputs"] {
        for (name, value) in entries(&template[part]) {
            assert!(value["Description"].is_string(), "{name}");
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
    assert_eq!(grouped, all);
    assert_eq!(labelled, all);
}

#[test]
fn the_operations_guide_has_every_parameter_as_the_template_has_it() {
    let template = template();
    let guide = read("docs/operations.md");
    for (name, parameter) in entries(&template["Parameters"]) {
        let default = match &parameter["Default"] {
            Value::Null => "none: it has to be given".to_owned(),
            Value::String(text) if text.is_empty() => "empty".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let row = format!(
            "| `{name}` | {default} | {} |",
            parameter["Description"].as_str().unwrap()
        );
        assert!(guide.contains(&row), "docs/operations.md lacks: {row}");
    }
}

#[test]
fn every_function_has_an_event_that_it_can_read() {
    let names: BTreeSet<_> = fs::read_dir(root().join("tests/events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<_> = verbs().iter().map(|verb| format!("{verb}.json")).collect();
    assert_eq!(names, expected);

    let accepted: ApiGatewayV2httpRequest = event("accept");
    assert_eq!(accepted.path_parameters["source"], "gitlab");
    let hook: Value = serde_json::from_str(&accepted.body.unwrap()).unwrap();
    let authorized: ApiGatewayV2CustomAuthorizerV2Request = event("authorize");
    assert_eq!(authorized.path_parameters["source"], "gitlab");
    assert_eq!(authorized.headers, accepted.headers);

    // So can be those that `local invoke` makes.
    let webhook = Webhook::new("https://example.com/hooks/gitlab".to_owned(), "token".to_owned());
    let (sent, delivery) = (push_hook(), Delivery::fresh());
    let made: ApiGatewayV2httpRequest = serde_json::from_value(webhook.event(&sent, &delivery)).unwrap();
    assert_eq!(made.path_parameters, accepted.path_parameters);
    assert_eq!(made.route_key, accepted.route_key);
    assert_eq!(made.body.unwrap(), sent.payload().to_string());
    let made = webhook.authorizer_event(&sent, &delivery);
    let made: ApiGatewayV2CustomAuthorizerV2Request = serde_json::from_value(made).unwrap();
    assert_eq!(made.headers["x-gitlab-token"], "token");

    let validate: Envelope<ValidateInput> = event("validate");
    validate.input.parse().unwrap();
    let push = validate.push;
    push.check_identity().unwrap();
    assert_eq!(accepted.headers["idempotency-key"], push.delivery_id.as_str());
    assert_eq!(hook["ref"], push.ref_name.as_str());
    assert_eq!(hook["after"], push.after.as_ref().unwrap().as_str());

    let fetch: Envelope<FetchInput> = event("fetch");
    let package: Envelope<PackageInput> = event("package");
    let upload: Envelope<UploadInput> = event("upload");
    let record: Envelope<RecordInput> = event("record");
    for other in [&fetch.push, &package.push, &upload.push, &record.push] {
        assert_eq!(*other, push);
    }
    let fetched = &package.input.fetched;
    for staged in [&fetched.pack, &fetched.index, &upload.input.archive.object] {
        assert!(is_staged_for(staged, &push), "{staged:?}");
    }
}

#[test]
fn what_runs_in_a_container_is_given_every_variable_of_the_template() {
    let template = template();
    let globals = &template["Globals"]["Function"]["Environment"]["Variables"];
    let mut declared: BTreeSet<_> = entries(globals).map(|(name, _)| name).collect();
    for (_, function) in resources(&template, "AWS::Serverless::Function") {
        declared.extend(entries(&function["Environment"]["Variables"]).map(|(name, _)| name));
    }
    assert_eq!(declared, BTreeSet::from(containers::VARIABLES));
}

/// The outputs of the stages go whole to the next ones: what the definition passes has the names of what is read.
#[test]
fn every_stage_is_called_with_just_what_it_reads() {
    /// An event as its function reads it; none if it does not.
    fn read_as<T: DeserializeOwned + Serialize>(event: &Value) -> Option<Value> {
        let envelope = Envelope::<T>::deserialize(event).ok()?;
        Some(serde_json::to_value(envelope).unwrap())
    }
    let read_by = |function: &str| match function {
        "Validate" => read_as::<ValidateInput>,
        "Fetch" => read_as::<FetchInput>,
        "Package" => read_as::<PackageInput>,
        "Upload" => read_as::<UploadInput>,
        "Record" => read_as::<RecordInput>,
        other => panic!("{other} is no stage"),
    };
    let keys = |value: &Value| {
        entries(value)
            .map(|(key, _)| key.to_owned())
            .collect::<BTreeSet<_>>()
    };
    let definition = definition();
    for (_, task) in tasks(&definition) {
        let Some(function) = function_of(task) else {
            continue;
        };
        let event: Value = event(&function.to_lowercase());
        let read = read_by(function)(&event).unwrap();
        let passed = &task["Arguments"]["Payload"];
        assert_eq!(keys(passed), keys(&read), "{function}");
        assert_eq!(keys(&passed["input"]), keys(&read["input"]), "{function}");
        // Without any one of them it is not run.
        for key in keys(&read["input"]) {
            let mut event = event.clone();
            event["input"].as_object_mut().unwrap().remove(&key);
            assert!(read_by(function)(&event).is_none(), "{function} without {key}");
        }
    }
}

#[test]
fn the_table_of_errors_in_the_operations_guide_is_the_catalogue() {
    let guide = read("docs/operations.md");
    let (_, section) = guide.split_once("\n## Error codes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), Code::ALL.len());
    for (row, code) in rows.into_iter().zip(Code::ALL) {
        let begin = format!("| `{code}` | {:?} | ", code.class());
        let end = format!(" | {} |", code.remedy());
        let when = row.strip_prefix(&begin).and_then(|row| row.strip_suffix(&end));
        assert!(
            when.is_some_and(|when| !when.is_empty()),
            "{row}\nis not {begin}...{end}"
        );
    }
}

fn push_hook() -> PushHook {
    PushHook {
        repository: "group/project".to_owned(),
        git_http_url: "https://example.com/group/project.git".to_owned(),
        git_ssh_url: "git@example.com:group/project.git".to_owned(),
        ref_name: "refs/heads/main".to_owned(),
        before: None,
        after: Some("a".repeat(40)),
        commit: Some("a".repeat(40)),
        commits: vec![],
        total_commits: 0,
        user: Person {
            name: "Jo".to_owned(),
            email: "jo@example.com".to_owned(),
        },
    }
}

fn event<T: DeserializeOwned>(verb: &str) -> T {
    serde_json::from_str(&read(&format!("tests/events/{verb}.json"))).unwrap()
}

fn is_staged_for(staged: &StagedObject, push: &Push) -> bool {
    staged
        .key
        .as_str()
        .starts_with(&format!("pushes/{}/", push.push_id))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
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

/// `sam build` builds one function at a time. A dependency whose features differ from function to function is compiled
/// again for each, with all that stands on it. Where that is the SDK or the runtime it costs minutes.
#[test]
fn every_function_has_the_same_features_of_what_the_sdk_stands_on() {
    // A dependency to its features in each function: more than one set of them where build scripts use it too.
    let mut features: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for function in verbs() {
        let tree = DependencyTree::of(&function);
        for dependency in tree.below(|name| name.starts_with("aws-") || name.starts_with("lambda_runtime")) {
            for enabled in &tree.features[&dependency] {
                let by_function = features.entry(dependency.clone()).or_default();
                by_function
                    .entry(function.clone())
                    .or_default()
                    .insert(enabled.clone());
            }
        }
    }
    features.retain(|_, by_function| by_function.values().collect::<BTreeSet<_>>().len() > 1);
    assert!(
        features.is_empty(),
        "name these in lambdas/shared/workspace-hack/Cargo.toml with all their features: {features:#?}"
    );
}

/// libgit2 speaks TLS and SSH in `remote` alone: what only reads objects does not carry the libraries for it.
#[test]
fn only_fetch_is_built_with_openssl_and_libssh2() {
    let speaks = |verb: &String| {
        let tree = DependencyTree::of(verb);
        ["openssl-sys ", "libssh2-sys "]
            .map(|library| tree.features.keys().any(|name| name.starts_with(library)))
    };
    for verb in verbs() {
        assert_eq!(speaks(&verb), [verb == "fetch"; 2], "{verb}");
    }
}

/// Tests, benches and fuzz targets stand on libraries. The command is for people, and changes as they need it.
#[test]
fn nothing_stands_on_the_command() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--workspace", "--invert", "push-code"])
        .args([
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, BTreeSet::from(["push-code"]));
}

/// `cargo run`, `cargo build` and `cargo test` share what they build. A dependency whose features are others for tests is
/// compiled again for them, with all that stands on it.
#[test]
fn tests_have_the_same_features_of_what_the_command_stands_on() {
    let features = |edges: &str| {
        let output = std::process::Command::new(env!("CARGO"))
            .args([
                "tree",
                "--locked",
                "--workspace",
                "--edges",
                edges,
                "--prefix",
                "none",
            ])
            .args(["--format", "{p} {f}"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        // What has been listed with its dependencies before ends with a star.
        let lines = text.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
        lines.collect::<BTreeSet<_>>()
    };
    let (command, tests) = (features("normal,build"), features("normal,build,dev"));
    let others: Vec<_> = command.difference(&tests).collect();
    assert!(
        others.is_empty(),
        "name the features of these for tests in tests/Cargo.toml: {others:#?}"
    );
}

/// What `cargo tree` says of a package: dependencies by name and version.
#[derive(Default)]
struct DependencyTree {
    features: BTreeMap<String, BTreeSet<String>>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl DependencyTree {
    fn of(package: &str) -> Self {
        let output = std::process::Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "depth"])
            .args(["--format", "|{p}|{f}|", "--target", "x86_64-unknown-linux-gnu"])
            .args(["--package", package])
            .current_dir(root())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut tree = Self::default();
        let mut path: Vec<String> = Vec::new();
        for line in text.lines() {
            let [depth, dependency, features, _] = line.split('|').collect::<Vec<_>>()[..] else {
                unreachable!("{line}");
            };
            path.truncate(depth.parse().unwrap());
            if let Some(parent) = path.last() {
                tree.edges
                    .entry(parent.clone())
                    .or_default()
                    .insert(dependency.to_owned());
            }
            tree.features
                .entry(dependency.to_owned())
                .or_default()
                .insert(features.to_owned());
            path.push(dependency.to_owned());
        }
        tree
    }

    /// All that the packages of these names stand on, and they themselves.
    fn below(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&String> = self.features.keys().filter(|name| wanted(name)).collect();
        while let Some(dependency) = open.pop() {
            if found.insert(dependency.clone()) {
                open.extend(self.edges.get(dependency).into_iter().flatten());
            }
        }
        found
    }
}

#[test]
fn an_execution_that_was_stopped_is_reported_to_record() {
    let template = template();
    let (name, rule) = resources(&template, "AWS::Events::Rule").next().unwrap();
    assert_eq!(rule["EventPattern"]["source"], json!(["aws.states"]));
    assert_eq!(
        rule["EventPattern"]["detail-type"],
        json!(["Step Functions Execution Status Change"])
    );
    let detail = &rule["EventPattern"]["detail"];
    assert_eq!(detail["stateMachineArn"], json!([{ "Ref": "PushStateMachine" }]));
    assert_eq!(detail["status"], json!(["ABORTED", "TIMED_OUT"]));
    let function = json!({ "Fn::GetAtt": "RecordFunction.Arn" });
    assert_eq!(rule["Targets"][0]["Arn"], function);
    let allowed = resources(&template, "AWS::Lambda::Permission").any(|(_, permission)| {
        permission["FunctionName"] == json!({ "Ref": "RecordFunction" })
            && permission["Principal"] == "events.amazonaws.com"
            && permission["SourceArn"] == json!({ "Fn::GetAtt": format!("{name}.Arn") })
    });
    assert!(allowed);
}

#[test]
fn a_refused_webhook_is_told_of() {
    let template = template();
    webhooks_are_counted_in(&template, "WebhookRefusals", &["400", "409", "413", "429"]);
    webhooks_are_counted_in(&template, "WebhooksAccepted", &["200", "202"]);
    let format = &template["Resources"]["WebhookStage"]["Properties"]["AccessLogSettings"]["Format"];
    assert!(
        format
            .as_str()
            .unwrap()
            .contains("\"status\":\"$context.status\"")
    );
    let refusals = alarm_on(&template, "WebhookRefusals");
    assert_eq!(refusals["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
    assert_eq!(refusals["TreatMissingData"], "notBreaching");
    // The alarm of silence has no data just then.
    let silence = alarm_on(&template, "WebhooksAccepted");
    assert_eq!(silence["ComparisonOperator"], "LessThanThreshold");
    assert_eq!(silence["TreatMissingData"], "breaching");
    assert_eq!(silence["Period"], 3600);
    assert_eq!(silence["EvaluationPeriods"], json!({ "Ref": "SilenceHours" }));
}

/// Asserts that a metric filter of this name counts these answers of the webhook, and no others.
fn webhooks_are_counted_in(template: &Value, metric: &str, statuses: &[&str]) {
    let filter = &template["Resources"][metric]["Properties"];
    assert_eq!(filter["LogGroupName"], json!({ "Ref": "WebhookLogGroup" }));
    let any: Vec<_> = statuses
        .iter()
        .map(|status| format!("($.status = \"{status}\")"))
        .collect();
    assert_eq!(filter["FilterPattern"], format!("{{ {} }}", any.join(" || ")));
    assert_eq!(filter["MetricTransformations"][0]["MetricName"], metric);
}

/// The alarm on a metric filter of this name, which tells the failure topic.
fn alarm_on<'a>(template: &'a Value, metric: &str) -> &'a Value {
    let (_, alarm) = resources(template, "AWS::CloudWatch::Alarm")
        .find(|(_, alarm)| alarm["MetricName"] == metric)
        .unwrap();
    let counted = &template["Resources"][metric]["Properties"]["MetricTransformations"][0];
    assert_eq!(alarm["Namespace"], counted["MetricNamespace"]);
    assert_eq!(alarm["Statistic"], "Sum");
    assert_eq!(alarm["Threshold"], 1);
    assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "FailureTopic" }]));
    alarm
}

#[test]
fn the_destination_bucket_is_of_the_account_that_was_named() {
    let template = template();
    let upload = &template["Resources"]["UploadFunction"]["Properties"];
    let mut statements = statements(&template, upload);
    statements.retain(|statement| {
        let resources = serde_json::to_string(&statement["Resource"]).unwrap();
        resources.contains("DestinationBucket")
    });
    assert_eq!(statements.len(), 2, "of objects and of the list");
    for statement in statements {
        let account = &statement["Condition"]["StringEqualsIfExists"]["aws:ResourceAccount"];
        let expected = json!({
            "Fn::If": ["InOwnAccount", { "Ref": "AWS::AccountId" }, { "Ref": "DestinationAccount" }]
        });
        assert_eq!(*account, expected);
    }
}

#[test]
fn a_burst_of_webhooks_is_no_refusal_and_takes_what_is_reserved() {
    let template = template();
    let stage = &template["Resources"]["WebhookStage"]["Properties"]["DefaultRouteSettings"];
    assert!(stage["ThrottlingBurstLimit"].as_u64().unwrap() >= 500);
    let reserved = |condition: &str, parameter: &str| json!({ "Fn::If": [condition, { "Ref": parameter }, { "Ref": "AWS::NoValue" }] });
    for (verbs, expected) in [
        (
            &["authorize", "accept"][..],
            reserved("ReserveForWebhook", "WebhookConcurrency"),
        ),
        (
            &["fetch", "package", "upload"],
            reserved("ReserveForStages", "StageConcurrency"),
        ),
        // What is always to be had: the first and the last word about a push.
        (&["validate", "record"], Value::Null),
    ] {
        for verb in verbs {
            let function = &template["Resources"][capitalised(verb) + "Function"]["Properties"];
            assert_eq!(function["ReservedConcurrentExecutions"], expected, "{verb}");
        }
    }
}
