//! Webhooks that report several refs, and events of sources without a webhook.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws::AwsFailure;
use domain::source::Provider;
use serde_json::{Value, json};
use webhook::{PushHook, bitbucket_data_center, codecommit};

use super::proofs::passed_on;
use super::scene::{Memory, secrets};
use super::*;
use crate::event::{self, SourceEvent};

const SECRET: &str = r#"{"provider":"bitbucket-data-center","secret":"a secret"}"#;

/// Executions of which that of one ref cannot be started at first.
#[derive(Default)]
struct FailsOnce {
    executions: Memory,
    has_failed: AtomicBool,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Executions for FailsOnce {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if input.contains("refs/heads/1\"") && !self.has_failed.swap(true, Ordering::SeqCst) {
            let code = Some("ThrottlingException");
            return Err(AwsFailure::of_item("states:StartExecution", code, None));
        }
        self.executions.start(name, input).await
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        self.executions.describe(name).await
    }
}

/// Returns a hook with so many refs.
fn request(refs: usize) -> ApiGatewayV2httpRequest {
    let hooks: Vec<PushHook> = (0..refs)
        .map(|number| webhook::sample(&format!("refs/heads/{number}")))
        .collect();
    let payload = bitbucket_data_center::payload(&hooks.iter().collect::<Vec<_>>());
    let secret = "a secret";
    passed_on(&bitbucket_data_center::request(
        "repo:refs_changed",
        payload.to_string(),
        secret,
    ))
}

async fn send(executions: &FailsOnce, request: &ApiGatewayV2httpRequest) -> (i64, Value) {
    let response = handle(executions, &secrets(SECRET), request).await;
    let Some(Body::Text(body)) = response.body else {
        panic!("no body")
    };
    (response.status_code, serde_json::from_str(&body).unwrap())
}

/// The git host sends the hook again after a 503, and must not have to do it for each ref.
#[tokio::test]
async fn a_ref_that_cannot_be_started_holds_up_no_other_one() {
    let executions = FailsOnce::default();
    let request = request(100);
    let (status, answer) = send(&executions, &request).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(executions.executions.names().len(), 99);
    let (status, answer) = send(&executions, &request).await;
    assert_eq!(status, 202, "{answer}");
    let refs = answer["pushes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|push| &push["ref"]);
    let expected: Vec<_> = (0..100)
        .map(|number| json!(format!("refs/heads/{number}")))
        .collect();
    assert!(refs.eq(&expected), "{answer}");
    assert_eq!(executions.executions.names().len(), 100);
    assert_eq!(executions.most_at_once.into_inner(), STARTS_AT_ONCE);
}

#[tokio::test]
async fn an_event_of_codecommit_starts_one_execution_however_often_it_comes() {
    let executions = Memory::default();
    let sent = codecommit::event(&webhook::sample("refs/heads/main"));
    let read = |event: &Value| -> SourceEvent {
        serde_json::from_value(json!({"source_name": "codecommit", "event": event})).unwrap()
    };
    let first = event::handle(&executions, &read(&sent)).await.unwrap();
    assert!(matches!(&first, Response::Accepted { pushes } if pushes.len() == 1));
    assert_eq!(event::handle(&executions, &read(&sent)).await.unwrap(), first);
    let input: Value = serde_json::from_str(&executions.input()).unwrap();
    assert_eq!(input["source"], "codecommit");
    assert_eq!(executions.names().len(), 1);

    let mut malformed = sent.clone();
    malformed["detail"]["commitId"] = json!("HEAD");
    let error = event::handle(&executions, &read(&malformed)).await.unwrap_err();
    assert_eq!(error.error_type, "EventRefused");
    assert!(
        error.error_message.contains("CodeCommit"),
        "{}",
        error.error_message
    );
    // It is the same event with another content.
    let mut other = sent;
    other["detail"]["commitId"] = json!("c".repeat(40));
    assert!(event::handle(&executions, &read(&other)).await.is_err());
    assert_eq!(executions.names().len(), 1);
}

/// A request that comes by the gateway is not from CodeCommit, whatever secret its source has.
#[tokio::test]
async fn no_request_is_from_codecommit() {
    let executions = Memory::default();
    let event = webhook::deliver(Provider::CodeCommit, &webhook::sample("refs/heads/main"), "");
    let secret = r#"{"provider":"codecommit","secret":"a secret"}"#;
    let (status, answer) = super::scene::send_to(secret, &executions, &passed_on(&event)).await;
    assert_eq!(status, 401, "{answer}");
    assert_eq!(executions.names().len(), 0);
}
