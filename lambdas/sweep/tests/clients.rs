//! The requests to SSM and Step Functions, and what their responses mean. The real clients run against a server whose
//! responses a test sets.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use serde_json::{Value, json};
use sweep::{Executions as _, Sources as _, StateMachine, StoredSource, StoredSources};
use testkit::aws::{AwsResponse, Service, json_of, operation};
use workflow::Ended;

const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:stack-push";
const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:stack-push:8751";

/// Returns the error document of a service that speaks JSON.
fn exception(name: &str) -> AwsResponse {
    AwsResponse::json(&json!({ "__type": name, "message": "so it is" })).status(400)
}

#[tokio::test]
async fn the_sources_are_all_parameters_below_the_path_on_every_page() {
    let service = Service::answering(|request| match json_of(request)["NextToken"].as_str() {
        None => AwsResponse::json(&json!({
            "Parameters": [{ "Name": "/stack/sources/gitlab", "Value": "{}" }],
            "NextToken": "more",
        })),
        Some("more") => AwsResponse::json(&json!({
            "Parameters": [{ "Name": "/stack/sources/other", "Value": "{\"a\":1}" }],
        })),
        Some(other) => panic!("{other}"),
    })
    .await;
    let sources = StoredSources::new(&service.config(), "/stack/sources".to_owned());
    let source = |name: &str, settings: &str| StoredSource {
        name: name.to_owned(),
        settings: settings.to_owned(),
    };
    let expected = [source("gitlab", "{}"), source("other", "{\"a\":1}")];
    assert_eq!(sources.list().await.unwrap(), expected);
    for request in service.requests() {
        assert_eq!(operation(&request), "GetParametersByPath");
        assert_eq!(json_of(&request)["Path"], "/stack/sources");
    }
    let service = Service::always(exception("AccessDeniedException")).await;
    let sources = StoredSources::new(&service.config(), "/stack/sources".to_owned());
    assert!(!sources.list().await.unwrap_err().transient);
}

async fn started(response: AwsResponse) -> Result<bool, aws::AwsFailure> {
    let service = Service::always(response).await;
    let machine = StateMachine::new(&service.config(), MACHINE.to_owned());
    let started = machine.start("8751", "{}").await;
    let request = json_of(&service.requests()[0]);
    assert_eq!(
        request,
        json!({ "stateMachineArn": MACHINE, "name": "8751", "input": "{}" })
    );
    started
}

#[tokio::test]
async fn an_execution_that_exists_already_is_no_error() {
    let new = AwsResponse::json(&json!({ "executionArn": EXECUTION, "startDate": 1.0 }));
    assert!(started(new).await.unwrap());
    assert!(!started(exception("ExecutionAlreadyExists")).await.unwrap());
    let refused = started(exception("StateMachineDoesNotExist")).await.unwrap_err();
    assert_eq!(
        (refused.operation, refused.transient),
        ("states:StartExecution", false)
    );
}

async fn ended(response: AwsResponse) -> Option<Ended> {
    let service = Service::always(response).await;
    let machine = StateMachine::new(&service.config(), MACHINE.to_owned());
    let ended = machine.ended(EXECUTION).await.unwrap();
    assert_eq!(json_of(&service.requests()[0])["executionArn"], EXECUTION);
    ended
}

fn described(status: &str, more: &Value) -> AwsResponse {
    let mut described = json!({
        "executionArn": EXECUTION, "stateMachineArn": MACHINE, "startDate": 1.0, "status": status,
    });
    for (name, value) in more.as_object().unwrap() {
        described[name] = value.clone();
    }
    AwsResponse::json(&described)
}

#[tokio::test]
async fn an_execution_has_ended_unless_it_runs() {
    for running in ["RUNNING", "PENDING_REDRIVE"] {
        assert_eq!(ended(described(running, &json!({}))).await, None, "{running}");
    }
    let said = json!({ "error": "Not.Now", "cause": "Later." });
    for (status, more, error, cause) in [
        (
            "ABORTED",
            json!({}),
            "ExecutionAborted",
            "The execution was stopped.",
        ),
        (
            "ABORTED",
            said.clone(),
            "ExecutionAborted",
            "The execution was stopped. Later.",
        ),
        (
            "TIMED_OUT",
            json!({}),
            "ExecutionTimedOut",
            "The execution reached its time limit.",
        ),
        ("FAILED", said, "Not.Now", "The execution failed. Later."),
        ("FAILED", json!({}), "ExecutionFailed", "The execution failed."),
        (
            "SUCCEEDED",
            json!({}),
            "ExecutionAborted",
            "The execution has ended, and the trail lacks its last events.",
        ),
    ] {
        let found = ended(described(status, &more)).await.unwrap();
        assert_eq!(
            (found.error.as_str(), found.cause.as_str()),
            (error, cause),
            "{status}"
        );
    }
    let gone = ended(exception("ExecutionDoesNotExist")).await.unwrap();
    assert_eq!(gone.error, "ExecutionAborted");
    let service = Service::always(exception("AccessDeniedException")).await;
    let machine = StateMachine::new(&service.config(), MACHINE.to_owned());
    assert!(machine.ended(EXECUTION).await.is_err(), "it may still run");
}
