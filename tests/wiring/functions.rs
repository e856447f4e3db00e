//! Compares the functions, each of which is a folder, with the template.

use std::collections::BTreeSet;
use std::fs;

use aws_lambda_events::apigw::{ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest};
use delivery::application::ApplicationSettings;
use delivery::contract::{AdmitInput, Tracked};
use delivery::deployment::Cause;
use deployed_stack::webhook_client::Webhook;
use domain::contract::{
    Envelope, ExpireInput, FetchInput, FetchedInput, FindRefInput, RecordInput, ReportInput, StagedObject,
    UploadInput, ValidateInput,
};
use domain::push::Push;
use local_aws::application::{DELIVERY, PUSH_CODE};
use local_aws::containers;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webhook::gitlab::Delivery;

use crate::machine::{Machine, machines};
use crate::project::{capitalised, entries, read, resources, root, template, templates, variants, verbs};

/// Returns the functions that API Gateway runs, such as `Accept`. The others are stages.
pub fn edge(template: &Value) -> BTreeSet<String> {
    resources(template, "AWS::Lambda::Permission")
        .filter(|(_, permission)| permission["Principal"] == "apigateway.amazonaws.com")
        .map(|(_, permission)| {
            let function = permission["FunctionName"]["Ref"].as_str().unwrap();
            function.strip_suffix("Function").unwrap().to_owned()
        })
        .collect()
}

/// Returns the functions that EventBridge Scheduler runs, such as `Sweep`.
pub fn scheduled(template: &Value) -> BTreeSet<String> {
    resources(template, "AWS::Scheduler::Schedule")
        .map(|(_, schedule)| {
            let function = schedule["Target"]["Arn"]["Fn::GetAtt"].as_str().unwrap();
            function.strip_suffix("Function.Arn").unwrap().to_owned()
        })
        .collect()
}

/// Returns the timeout of a function, such as `Fetch`, in seconds.
pub fn timeout_of(template: &Value, function: &str) -> u64 {
    let own = &template["Resources"][format!("{function}Function")]["Properties"]["Timeout"];
    let default = &template["Globals"]["Function"]["Timeout"];
    own.as_u64().or(default.as_u64()).unwrap()
}

/// Returns the functions of all templates, as `fetch`, each with its template.
pub fn functions() -> Vec<(String, Value)> {
    let mut functions = Vec::new();
    for (_, template) in templates() {
        for (name, _) in resources(&template, "AWS::Serverless::Function") {
            let verb = name.strip_suffix("Function").unwrap().to_lowercase();
            if !verbs().contains(&verb) {
                continue;
            }
            functions.push((verb, template.clone()));
        }
    }
    functions
}

#[test]
fn the_simulated_functions_have_the_timeouts_of_the_template() {
    let template = template();
    for (function, seconds) in simulator::TIMEOUTS {
        assert_eq!(seconds, timeout_of(&template, function), "{function}");
    }
}

#[test]
fn every_verb_folder_is_a_function_with_a_log_group() {
    let mut deployed = BTreeSet::new();
    for (verb, template) in functions() {
        assert!(deployed.insert(verb.clone()), "{verb} is in two templates");
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
    assert_eq!(deployed, verbs());
}

#[test]
fn what_is_built_locally_is_what_the_template_runs() {
    for application in [PUSH_CODE, DELIVERY] {
        let (_, template) = templates()
            .into_iter()
            .find(|(file, _)| *file == application.template)
            .unwrap();
        let built: BTreeSet<_> = application
            .functions
            .iter()
            .map(|verb| capitalised(verb) + "Function")
            .collect();
        let run: BTreeSet<_> = resources(&template, "AWS::Serverless::Function")
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(built, run);
        for output in application.buckets {
            assert!(template["Outputs"][output].is_object(), "{output}");
        }
    }
}

#[test]
fn every_function_gets_the_settings_that_it_reads() {
    for (verb, template) in functions() {
        let globals = entries(&template["Globals"]["Function"]["Environment"]["Variables"]);
        assert_eq!(globals.collect::<Vec<_>>(), [("LOCAL_ENDPOINT_URL", &json!(""))]);
        let main = read(&format!("lambdas/{verb}/src/main.rs"));
        let read: BTreeSet<_> = main
            .split("settings::")
            .filter_map(|rest| rest.strip_prefix("required(").or(rest.strip_prefix("optional(")))
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
fn a_function_in_a_container_gets_every_variable_of_the_template() {
    let template = template();
    let globals = &template["Globals"]["Function"]["Environment"]["Variables"];
    let mut declared: BTreeSet<_> = entries(globals).map(|(name, _)| name).collect();
    for (_, function) in resources(&template, "AWS::Serverless::Function") {
        declared.extend(entries(&function["Environment"]["Variables"]).map(|(name, _)| name));
    }
    assert_eq!(declared, BTreeSet::from(containers::VARIABLES));
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
    let (sent, delivery) = (webhook::sample("refs/heads/main"), Delivery::fresh());
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
    let package: Envelope<FetchedInput> = event("package");
    let upload: Envelope<UploadInput> = event("upload");
    let record: Envelope<RecordInput> = event("record");
    let report: Envelope<ReportInput> = event("report");
    assert_eq!(event::<::checkpoint::Request>("checkpoint").settled_seconds, None);
    let sweep: ::sweep::Request = event("sweep");
    assert_eq!(sweep.sources, Some(vec![push.source.clone()]));
    for other in [
        &fetch.push,
        &package.push,
        &upload.push,
        &record.push,
        &report.push,
    ] {
        assert_eq!(*other, push);
    }
    let admit: delivery::contract::Envelope<AdmitInput> = event("admit");
    let settings: ApplicationSettings = admit.input.settings.parse().unwrap();
    assert_eq!(settings.application, admit.deployment.application);
    let track: delivery::contract::Envelope<Tracked> = event("track");
    assert_eq!(track.deployment, admit.deployment);
    let cause = Cause::Push {
        push_id: push.push_id,
    };
    assert_eq!(admit.deployment.cause, cause);
    let fetched = &package.input.fetched;
    for staged in [&fetched.pack, &fetched.index, &upload.input.archive.object] {
        assert!(is_staged_for(staged, &push), "{staged:?}");
    }
}

/// The states of a deployment are given, by the definition, what their functions read.
#[test]
fn every_state_of_a_deployment_is_called_with_just_what_it_reads() {
    use delivery::contract::{
        self, ApproveInput, BuildInput, BuiltInput, PlanInput, PlannedInput, QueueInput, Stage,
    };
    type Reader = fn(&Value) -> Option<Value>;

    /// An event as its function reads it. `None` if it does not.
    fn read_as<T: DeserializeOwned + Serialize>(event: &Value) -> Option<Value> {
        let envelope = contract::Envelope::<T>::deserialize(event).ok()?;
        Some(serde_json::to_value(envelope).unwrap())
    }
    let stored = read("lambdas/shared/delivery/tests/events.json");
    let stored: Vec<Vec<Value>> = serde_json::from_str(&stored).unwrap();
    let data = |name: &Value| {
        let mut events = stored.iter().flatten();
        events.find(|event| event["type"] == *name).unwrap()["data"].clone()
    };
    let admit: contract::Envelope<AdmitInput> = event("admit");
    let build: contract::Envelope<BuildInput> = event("compile");
    let acquire: contract::Envelope<BuildInput> = event("acquire");
    let plan: contract::Envelope<PlanInput> = event("plan");
    let planned: contract::Envelope<PlannedInput> = event("apply");
    for other in [&acquire.deployment, &plan.deployment, &planned.deployment] {
        assert_eq!(*other, build.deployment);
    }
    // What all states read.
    let mut all = json!({
        "build": { "build_id": "p:1", "output_key": "k" },
        "planned": data(&json!("ChangesPlanned")),
        "released": data(&json!("DeploymentReleased")),
        "failure": data(&json!("DeploymentFailed")),
        "task_token": "t",
    });
    for envelope in [json!(admit), json!(build), json!(plan), json!(planned)] {
        for (name, value) in entries(&envelope["input"]) {
            all[name] = value.clone();
        }
    }
    let mut called = BTreeSet::new();
    let machine = Machine::read("deploy");
    for (name, task, function) in machine.stages() {
        let passed = &task["Arguments"]["Payload"];
        let stage: Stage = serde_json::from_value(passed["stage"].clone()).unwrap();
        assert!(name.starts_with(&stage.to_string()), "{name}");
        called.insert(stage.to_string());
        let (expected, read): (&str, Reader) = match stage {
            Stage::Admit => ("Admit", read_as::<AdmitInput>),
            Stage::Queue => ("Admit", read_as::<QueueInput>),
            Stage::Release => ("Admit", read_as::<Value>),
            Stage::Acquire => ("Acquire", read_as::<BuildInput>),
            Stage::Build => ("Compile", read_as::<BuildInput>),
            Stage::CheckBuild | Stage::Collect => ("Compile", read_as::<BuiltInput>),
            Stage::Plan => ("Plan", read_as::<PlanInput>),
            Stage::CheckPlan | Stage::Restore | Stage::Abandon => ("Plan", read_as::<PlannedInput>),
            Stage::Apply | Stage::CheckStack => ("Apply", read_as::<PlannedInput>),
            Stage::Approve => ("Track", read_as::<ApproveInput>),
            Stage::Track => ("Track", read_as::<Tracked>),
            Stage::Record => ("Track", read_as::<contract::RecordInput>),
        };
        assert_eq!(function, expected, "{name}");
        let input = if stage == Stage::Release {
            // It reads nothing.
            json!({})
        } else if stage == Stage::Track {
            let kind = &passed["input"]["type"];
            json!({ "type": kind, "data": data(kind) })
        } else {
            all.clone()
        };
        let event = json!({
            "stage": stage,
            "deployment": build.deployment,
            "execution": build.execution,
            "attempt": 0,
            "input": input,
        });
        let was_read = read(&event).unwrap();
        assert_eq!(keys(passed), keys(&was_read), "{name}");
        assert_eq!(keys(&passed["input"]), keys(&was_read["input"]), "{name}");
        let data = &passed["input"]["data"];
        if data.is_object() {
            assert_eq!(keys(data), keys(&was_read["input"]["data"]), "{name}");
        }
        for key in keys(&was_read["input"]) {
            let mut event = event.clone();
            event["input"].as_object_mut().unwrap().remove(&key);
            assert!(read(&event).is_none(), "{name} without {key}");
        }
    }
    let stages = variants::<Stage>(&json!("none"));
    assert_eq!(called, stages.into_iter().collect());
}

fn keys(value: &Value) -> BTreeSet<String> {
    entries(value).map(|(key, _)| key.to_owned()).collect()
}

/// The outputs of stages are passed whole to later ones, by the names that those read.
#[test]
fn every_stage_is_called_with_just_what_it_reads() {
    /// An event as its function reads it. `None` if it does not.
    fn read_as<T: DeserializeOwned + Serialize>(event: &Value) -> Option<Value> {
        let envelope = Envelope::<T>::deserialize(event).ok()?;
        Some(serde_json::to_value(envelope).unwrap())
    }
    let read_by = |name: &str, function: &str| match (name, function) {
        ("Keep", _) | (_, "Package") => read_as::<FetchedInput>,
        ("FindRef", _) => read_as::<FindRefInput>,
        ("Expire", _) => read_as::<ExpireInput>,
        (_, "Validate") => read_as::<ValidateInput>,
        (_, "Fetch") => read_as::<FetchInput>,
        (_, "Upload") => read_as::<UploadInput>,
        (_, "Record") => read_as::<RecordInput>,
        (_, "Report") => read_as::<ReportInput>,
        (_, other) => panic!("{other} is no stage"),
    };
    for machine in machines().iter().filter(|machine| machine.name == "push") {
        for (name, task, function) in machine.stages() {
            let mut event: Value = event(&function.to_lowercase());
            if ["FindRef", "Expire"].contains(&name) {
                let expire = event["input"]["deliver"].clone();
                event["input"] = json!({ "expire": expire, "found": { "ref_now": null } });
            }
            let read = read_by(name, function)(&event).unwrap();
            let passed = &task["Arguments"]["Payload"];
            assert_eq!(keys(passed), keys(&read), "{} {name}", machine.name);
            assert_eq!(
                keys(&passed["input"]),
                keys(&read["input"]),
                "{} {name}",
                machine.name
            );
            // A stage does not accept its input if any of them is missing.
            for key in keys(&read["input"]) {
                let mut event = event.clone();
                event["input"].as_object_mut().unwrap().remove(&key);
                assert!(read_by(name, function)(&event).is_none(), "{name} without {key}");
            }
        }
    }
}

pub fn event<T: DeserializeOwned>(verb: &str) -> T {
    serde_json::from_str(&read(&format!("tests/events/{verb}.json"))).unwrap()
}

fn is_staged_for(staged: &StagedObject, push: &Push) -> bool {
    staged
        .key
        .as_str()
        .starts_with(&format!("pushes/{}/", push.push_id))
}
