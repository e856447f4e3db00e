//! Executions in memory, and deliveries of GitLab.

use std::sync::Mutex;

use aws::AwsFailure;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

/// The call that Step Functions refuses, and its exception.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    Start(&'static str),
    Describe(&'static str),
}

#[derive(Debug)]
struct Execution {
    name: String,
    input: String,
    may_be_followed: bool,
}

/// Executions in memory.
#[derive(Debug, Default)]
pub struct Memory {
    executions: Mutex<Vec<Execution>>,
    refusal: Mutex<Option<Refusal>>,
}

impl Memory {
    pub fn names(&self) -> Vec<String> {
        let executions = self.executions.lock().unwrap();
        executions
            .iter()
            .map(|execution| execution.name.clone())
            .collect()
    }

    /// Returns the input of the first execution.
    pub fn input(&self) -> String {
        self.executions.lock().unwrap()[0].input.clone()
    }

    /// Ends all executions, so that others may follow.
    pub fn end_all(&self) {
        let mut executions = self.executions.lock().unwrap();
        for execution in executions.iter_mut() {
            execution.may_be_followed = true;
        }
    }

    pub fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }
}

impl Executions for Memory {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        if let Some(Refusal::Start(code)) = *self.refusal.lock().unwrap() {
            return Err(AwsFailure::of_item("states:StartExecution", Some(code), None));
        }
        let mut executions = self.executions.lock().unwrap();
        if executions.iter().any(|execution| execution.name == name) {
            return Ok(None);
        }
        executions.push(Execution {
            name: name.to_owned(),
            input: input.to_owned(),
            may_be_followed: false,
        });
        Ok(Some(format!("arn:{name}")))
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        if let Some(Refusal::Describe(code)) = *self.refusal.lock().unwrap() {
            return Err(AwsFailure::of_item("states:DescribeExecution", Some(code), None));
        }
        let executions = self.executions.lock().unwrap();
        let execution = executions
            .iter()
            .find(|execution| execution.name == name)
            .unwrap();
        Ok(ExecutionStatus {
            arn: format!("arn:{name}"),
            input: execution.input.clone(),
            may_be_followed: execution.may_be_followed,
        })
    }
}

/// The webhook secret of every source.
pub struct OneSecret(pub &'static str);

impl Secrets for OneSecret {
    async fn read(&self, _: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
        assert_eq!(kind, "webhook");
        Ok(self.0.into())
    }
}

/// Returns the webhook secrets, which all are this one.
pub fn secrets(json: &'static str) -> SecretCache<OneSecret, WebhookSecret> {
    SecretCache::new(OneSecret(json), "webhook")
}

/// The secret of a source on GitLab.
pub const GITLAB: &str = r#"{"token":"a token"}"#;

pub fn payload() -> Value {
    json!({
        "object_kind": "push",
        "event_name": "push",
        "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
        "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
        "ref": "refs/heads/main",
        "checkout_sha": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
        "user_username": "jsmith",
        "project": {
            "path_with_namespace": "mike/diaspora",
            "git_http_url": "https://gitlab.example.com/mike/diaspora.git",
            "git_ssh_url": "git@gitlab.example.com:mike/diaspora.git",
        },
        "commits": [],
        "total_commits_count": 0,
    })
}

pub fn request(event: Option<&'static str>, key: &'static str, body: &str) -> ApiGatewayV2httpRequest {
    let mut request = ApiGatewayV2httpRequest::default();
    request.path_parameters.insert("source".into(), "gitlab".into());
    if let Some(event) = event {
        request.headers.insert("x-gitlab-event", event.parse().unwrap());
    }
    request
        .headers
        .insert("x-gitlab-token", "a token".parse().unwrap());
    request.headers.insert("idempotency-key", key.parse().unwrap());
    request.body = Some(body.to_owned());
    request
}

/// Sends a request to a source on GitLab.
pub async fn send(executions: &Memory, request: &ApiGatewayV2httpRequest) -> (i64, Value) {
    send_to(GITLAB, executions, request).await
}

/// Sends a request to a source with this webhook secret.
pub async fn send_to(
    secret: &'static str,
    executions: &Memory,
    request: &ApiGatewayV2httpRequest,
) -> (i64, Value) {
    let response = handle(executions, &secrets(secret), request).await;
    let Some(Body::Text(body)) = response.body else {
        panic!("no body")
    };
    (response.status_code, serde_json::from_str(&body).unwrap())
}
