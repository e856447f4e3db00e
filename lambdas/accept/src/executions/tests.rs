//! The requests to Step Functions, and what its responses mean.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};
use testkit::Request;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

const STATE_MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:stack-push";
const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:stack-push:8751";

/// A server in place of Step Functions, whose test sets the response to each request.
struct Service(TcpListener);

impl Service {
    async fn start() -> (Self, StepFunctions) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let credentials = Credentials::new("test", "test", None, None, "tests");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .build();
        let executions = StepFunctions::new(&config, STATE_MACHINE.to_owned());
        (Self(listener), executions)
    }

    /// Responds to one request. Returns its operation and its body.
    async fn answer(&self, status: u16, body: Value) -> (String, Value) {
        let (connection, _) = timeout(Duration::from_secs(10), self.0.accept())
            .await
            .expect("no request has come")
            .unwrap();
        let mut connection = BufReader::new(connection);
        let request = Request::read(&mut connection).await.unwrap();
        let body = body.to_string();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(answer.as_bytes()).await.unwrap();
        let operation = request.headers["x-amz-target"].clone();
        (operation, serde_json::from_slice(&request.body).unwrap())
    }
}

/// Returns the body of an exception of Step Functions.
fn exception(name: &str) -> Value {
    json!({"__type": format!("com.amazonaws.swf.service.v2.model#{name}"), "message": "so it is"})
}

/// Starts an execution, with this response. Returns the result.
async fn start(status: u16, body: Value) -> Result<Option<String>, AwsFailure> {
    let (service, executions) = Service::start().await;
    let (asked, started) = tokio::join!(service.answer(status, body), executions.start("8751", "{}"));
    assert_eq!(
        asked,
        (
            "AWSStepFunctions.StartExecution".to_owned(),
            json!({"stateMachineArn": STATE_MACHINE, "name": "8751", "input": "{}"})
        )
    );
    started
}

#[tokio::test]
async fn an_execution_is_started_once() {
    let answer = json!({"executionArn": EXECUTION, "startDate": 1_767_476_190});
    assert_eq!(start(200, answer).await.unwrap().as_deref(), Some(EXECUTION));
    assert_eq!(
        start(400, exception("ExecutionAlreadyExists")).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_failure_to_start_is_distinguished_from_an_existing_execution() {
    for (status, name, transient) in [
        (400, "StateMachineDoesNotExist", false),
        (400, "ThrottlingException", true),
        (500, "InternalFailure", true),
    ] {
        let failure = start(status, exception(name)).await.unwrap_err();
        assert_eq!(
            (failure.operation, failure.transient),
            ("states:StartExecution", transient)
        );
        assert!(failure.is(name), "{failure}");
    }
}

/// Describes an execution, with this response. Returns the result.
async fn describe(status: u16, body: Value) -> Result<ExecutionStatus, AwsFailure> {
    let (service, executions) = Service::start().await;
    let (asked, described) = tokio::join!(service.answer(status, body), executions.describe("8751"));
    assert_eq!(
        asked,
        (
            "AWSStepFunctions.DescribeExecution".to_owned(),
            json!({"executionArn": EXECUTION})
        )
    );
    described
}

#[tokio::test]
async fn an_execution_is_described_by_its_input_and_how_it_has_ended() {
    for (status, output, may_be_followed) in [
        ("RUNNING", Value::Null, false),
        ("FAILED", Value::Null, true),
        ("SUCCEEDED", json!(r#"{"status":"Delivered"}"#), false),
        ("SUCCEEDED", json!(r#"{"status":"Ignored"}"#), true),
    ] {
        let answer = json!({
            "executionArn": EXECUTION,
            "stateMachineArn": STATE_MACHINE,
            "status": status,
            "startDate": 1_767_476_190,
            "input": "{}",
            "output": output,
        });
        let expected = ExecutionStatus {
            arn: EXECUTION.to_owned(),
            input: "{}".to_owned(),
            may_be_followed,
        };
        assert_eq!(describe(200, answer).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_execution_that_cannot_be_described_is_an_error() {
    let failure = describe(400, exception("ExecutionDoesNotExist"))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.operation, failure.transient),
        ("states:DescribeExecution", false)
    );
}

#[test]
fn an_execution_that_has_failed_or_delivered_nothing_may_be_followed() {
    let ended = |status: &str| Some(format!(r#"{{"status":"{status}"}}"#));
    for (status, output, expected) in [
        ("FAILED", None, true),
        ("TIMED_OUT", None, true),
        ("ABORTED", None, true),
        ("RUNNING", None, false),
        ("PENDING_REDRIVE", None, false),
        ("SUCCEEDED", ended("Ignored"), true),
        ("SUCCEEDED", ended("Replaced"), true),
        ("SUCCEEDED", ended("Delivered"), false),
        ("SUCCEEDED", ended("Superseded"), false),
        ("SUCCEEDED", None, false),
        ("SUCCEEDED", Some("no JSON".to_owned()), false),
        ("RUNNING", ended("Ignored"), false),
    ] {
        assert_eq!(
            may_be_followed(status, output.as_deref()),
            expected,
            "{status} {output:?}"
        );
    }
}
