use std::sync::Mutex;

use platform::aws::AwsFailure;
use serde_json::{Value, json};

use super::*;

/// Executions in memory: name, input, whether another one may follow.
#[derive(Default)]
struct Memory(Mutex<Vec<(String, String, bool)>>);

impl Memory {
    fn names(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|execution| execution.0.clone())
            .collect()
    }

    fn fail_all(&self) {
        self.0
            .lock()
            .unwrap()
            .iter_mut()
            .for_each(|execution| execution.2 = true);
    }
}

impl Executions for Memory {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        let mut executions = self.0.lock().unwrap();
        if executions.iter().any(|execution| execution.0 == name) {
            return Ok(None);
        }
        executions.push((name.to_owned(), input.to_owned(), false));
        Ok(Some(format!("arn:{name}")))
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        let executions = self.0.lock().unwrap();
        let (name, input, may_be_followed) = executions.iter().find(|execution| execution.0 == name).unwrap();
        Ok(ExecutionStatus {
            arn: format!("arn:{name}"),
            input: input.clone(),
            may_be_followed: *may_be_followed,
        })
    }
}

fn payload() -> Value {
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

fn request(event: Option<&'static str>, key: &'static str, body: &str) -> ApiGatewayV2httpRequest {
    let mut request = ApiGatewayV2httpRequest::default();
    request.path_parameters.insert("source".into(), "gitlab".into());
    if let Some(event) = event {
        request.headers.insert("x-gitlab-event", event.parse().unwrap());
    }
    request.headers.insert("idempotency-key", key.parse().unwrap());
    request.body = Some(body.to_owned());
    request
}

async fn send(executions: &Memory, request: &ApiGatewayV2httpRequest) -> (i64, Value) {
    let response = handle(executions, request).await;
    let Some(Body::Text(body)) = response.body else {
        panic!("no body")
    };
    (response.status_code, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_push_hook_starts_an_execution_whose_input_is_the_push() {
    let executions = Memory::default();
    let (status, answer) = send(
        &executions,
        &request(Some("Push Hook"), "d1", &payload().to_string()),
    )
    .await;
    assert_eq!(status, 202, "{answer}");
    let input: Value = serde_json::from_str(&executions.0.lock().unwrap()[0].1).unwrap();
    insta::assert_json_snapshot!((answer, input));
}

#[tokio::test]
async fn a_tag_that_was_deleted_has_no_after() {
    let mut payload = payload();
    payload["object_kind"] = json!("tag_push");
    payload["ref"] = json!("refs/tags/v1");
    payload["after"] = json!("0".repeat(40));
    let executions = Memory::default();
    let (status, _) = send(
        &executions,
        &request(Some("Tag Push Hook"), "d1", &payload.to_string()),
    )
    .await;
    assert_eq!(status, 202);
    let input: Value = serde_json::from_str(&executions.0.lock().unwrap()[0].1).unwrap();
    assert_eq!(
        (&input["ref"], &input["after"]),
        (&json!("refs/tags/v1"), &Value::Null)
    );
}

#[tokio::test]
async fn an_execution_is_not_given_more_than_it_takes() {
    let mut payload = payload();
    payload["user_username"] = json!("x".repeat(1 << 20));
    payload["project"]["git_http_url"] = json!(format!("https://{}", "x".repeat(1 << 20)));
    let executions = Memory::default();
    let request = request(Some("Push Hook"), "d1", &payload.to_string());
    let (status, answer) = send(&executions, &request).await;
    assert_eq!(status, 202, "{answer}");
    let input = executions.0.lock().unwrap()[0].1.clone();
    assert!(input.len() < 2_000, "{} bytes", input.len());
    let input: Value = serde_json::from_str(&input).unwrap();
    assert_eq!(
        input["clone_urls"],
        json!(["git@gitlab.example.com:mike/diaspora.git"])
    );
}

#[tokio::test]
async fn the_same_delivery_twice_is_one_execution() {
    let executions = Memory::default();
    let request = request(Some("Push Hook"), "d1", &payload().to_string());
    let first = send(&executions, &request).await;
    assert_eq!(send(&executions, &request).await, first);
    assert_eq!(executions.names().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_after_a_failure_starts_another_execution() {
    let executions = Memory::default();
    let request = request(Some("Push Hook"), "d1", &payload().to_string());
    send(&executions, &request).await;
    executions.fail_all();
    let (status, _) = send(&executions, &request).await;
    assert_eq!(status, 202);
    let names = executions.names();
    assert_eq!(names[1], format!("{}-2", names[0]));
}

#[tokio::test]
async fn a_delivery_id_that_comes_with_another_content_is_refused() {
    let executions = Memory::default();
    send(
        &executions,
        &request(Some("Push Hook"), "d1", &payload().to_string()),
    )
    .await;
    let mut other = payload();
    other["after"] = json!("1".repeat(40));
    let (status, answer) = send(&executions, &request(Some("Push Hook"), "d1", &other.to_string())).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(executions.names().len(), 1);
}

#[tokio::test]
async fn other_events_are_answered_with_200_and_a_reason() {
    let executions = Memory::default();
    for (event, body) in [
        ("Issue Hook", r#"{"object_kind":"issue"}"#),
        ("System Hook", r#"{"event_name":"project_create"}"#),
        ("Push Hook", "{}"),
    ] {
        let (status, answer) = send(&executions, &request(Some(event), "d1", body)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer["reason"].as_str().unwrap().contains(event));
    }
    assert_eq!(executions.names().len(), 0);
}

#[tokio::test]
async fn a_request_that_cannot_be_used_starts_nothing_and_says_why() {
    let executions = Memory::default();
    let changed = |field: &str, value: Value| {
        let mut payload = payload();
        payload[field] = value;
        payload.to_string()
    };
    let cases = [
        (None, payload().to_string(), 400, "X-Gitlab-Event"),
        (Some("Push Hook"), "not json".to_owned(), 400, "not the JSON"),
        (Some("Push Hook"), "[".repeat(100_000), 400, "not the JSON"),
        (
            Some("Push Hook"),
            r#"{"object_kind":"push"}"#.to_owned(),
            400,
            "missing field",
        ),
        (
            Some("Push Hook"),
            changed("ref", json!("../../x")),
            400,
            "ref name",
        ),
        (
            Some("Push Hook"),
            changed("after", json!("HEAD")),
            400,
            "object id",
        ),
        (
            Some("Push Hook"),
            changed("project", json!({"path_with_namespace": "a/../b"})),
            400,
            "repository path",
        ),
        (Some("Push Hook"), " ".repeat(BODY_BYTES + 1), 413, "bytes"),
    ];
    for (event, body, expected, reason) in cases {
        let (status, answer) = send(&executions, &request(event, "d1", &body)).await;
        assert_eq!(status, expected, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
    }
    assert_eq!(executions.names().len(), 0);
}

#[tokio::test]
async fn a_base64_body_is_read() {
    let executions = Memory::default();
    let mut request = request(Some("Push Hook"), "d1", &STANDARD.encode(payload().to_string()));
    request.is_base64_encoded = true;
    assert_eq!(send(&executions, &request).await.0, 202);
    request.body = Some("***".into());
    assert_eq!(send(&executions, &request).await.0, 400);
}
