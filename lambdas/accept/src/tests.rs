//! Which executions a delivery starts, and what the response is.

mod proofs;
mod scene;
mod several;

use domain::push::{DeliveryId, PushId};
use serde_json::{Value, json};

use super::*;
use scene::{GITLAB, Memory, Refusal, payload, request, secrets, send};

#[tokio::test]
async fn a_push_hook_starts_an_execution_whose_input_is_the_push() {
    let executions = Memory::default();
    let (status, answer) = send(
        &executions,
        &request(Some("Push Hook"), "d1", &payload().to_string()),
    )
    .await;
    assert_eq!(status, 202, "{answer}");
    let input: Value = serde_json::from_str(&executions.input()).unwrap();
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
    let input: Value = serde_json::from_str(&executions.input()).unwrap();
    assert_eq!(
        (&input["ref"], &input["after"]),
        (&json!("refs/tags/v1"), &Value::Null)
    );
}

#[tokio::test]
async fn the_input_of_an_execution_stays_within_its_limit() {
    let mut payload = payload();
    payload["user_username"] = json!("x".repeat(1 << 20));
    payload["project"]["git_http_url"] = json!(format!("https://{}", "x".repeat(1 << 20)));
    let executions = Memory::default();
    let request = request(Some("Push Hook"), "d1", &payload.to_string());
    let (status, answer) = send(&executions, &request).await;
    assert_eq!(status, 202, "{answer}");
    let input = executions.input();
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
    executions.end_all();
    let (status, _) = send(&executions, &request).await;
    assert_eq!(status, 202);
    let names = executions.names();
    assert_eq!(names[1], format!("{}-2", names[0]));
}

#[tokio::test]
async fn a_delivery_id_with_another_content_is_refused() {
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
async fn other_events_get_the_status_200_and_a_reason() {
    let executions = Memory::default();
    for (event, body) in [
        ("Issue Hook", r#"{"object_kind":"issue"}"#),
        ("System Hook", r#"{"event_name":"project_create"}"#),
        ("Pipeline Hook", "no JSON at all"),
    ] {
        let (status, answer) = send(&executions, &request(Some(event), "d1", body)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(answer["reason"].as_str().unwrap().contains(event));
    }
    // A push whose payload template lacks something is no other event: nobody would see that it is not delivered.
    for (event, body) in [
        ("Push Hook", "{}"),
        ("Tag Push Hook", r#"{"object_kind":"issue"}"#),
    ] {
        let (status, answer) = send(&executions, &request(Some(event), "d1", body)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .contains("missing field `before`")
        );
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
        (Some("Push Hook"), " ".repeat(MAX_BODY_BYTES + 1), 413, "bytes"),
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

/// Returns GitLab's delivery of `payload`.
fn delivery(payload: &Value) -> ApiGatewayV2httpRequest {
    request(Some("Push Hook"), "d1", &payload.to_string())
}

#[tokio::test]
async fn a_delivery_that_comes_again_while_its_execution_runs_or_has_delivered_starts_nothing() {
    let executions = Memory::default();
    let (_, first) = send(&executions, &delivery(&payload())).await;
    let (status, again) = send(&executions, &delivery(&payload())).await;
    assert_eq!((status, &again), (202, &first));
    let name = &executions.names()[0];
    assert_eq!(again["pushes"][0]["execution"], json!(format!("arn:{name}")));
    assert_eq!(executions.names().len(), 1);
}

#[tokio::test]
async fn each_execution_that_may_be_followed_is_followed_by_one() {
    let executions = Memory::default();
    let first = executions_after_each_end(&executions, 3).await;
    let names = executions.names();
    assert_eq!(first, names[0]);
    assert_eq!(names[1..], [format!("{first}-2"), format!("{first}-3")]);
    // The last one is still running.
    let (_, again) = send(&executions, &delivery(&payload())).await;
    assert_eq!(again["pushes"][0]["execution"], json!(format!("arn:{first}-3")));
    assert_eq!(executions.names().len(), 3);
}

/// Sends a delivery `count` times, each time after its last execution has ended. Returns the first execution's name.
async fn executions_after_each_end(executions: &Memory, count: usize) -> String {
    for _ in 0..count {
        executions.end_all();
        assert_eq!(send(executions, &delivery(&payload())).await.0, 202);
    }
    executions.names().remove(0)
}

#[tokio::test]
async fn a_push_that_has_had_too_many_executions_is_refused() {
    let executions = Memory::default();
    executions_after_each_end(&executions, 50).await;
    executions.end_all();
    let (status, answer) = send(&executions, &delivery(&payload())).await;
    assert_eq!(status, 409);
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.ends_with("has had 50 executions: see why they failed, and push again"),
        "{error}"
    );
    assert_eq!(executions.names().len(), 50);
}

#[tokio::test]
async fn an_outage_of_step_functions_is_distinguished_from_a_refusal() {
    for (refusal, expected, says) in [
        (Refusal::Start("InternalError"), 503, "states:StartExecution"),
        (
            Refusal::Start("AccessDeniedException"),
            500,
            "states:StartExecution",
        ),
        (
            Refusal::Describe("InternalError"),
            503,
            "states:DescribeExecution",
        ),
        (
            Refusal::Describe("AccessDeniedException"),
            500,
            "states:DescribeExecution",
        ),
    ] {
        let executions = Memory::default();
        if matches!(refusal, Refusal::Describe(_)) {
            send(&executions, &delivery(&payload())).await;
        }
        executions.refuse(refusal);
        let (status, answer) = send(&executions, &delivery(&payload())).await;
        assert_eq!(status, expected, "{refusal:?}");
        let error = answer["error"].as_str().unwrap();
        assert!(
            error.contains("could not be started") && error.contains(says),
            "{error}"
        );
        assert!(!error.contains("arn:") && !error.contains("HTTP"), "{error}");
    }
}

#[tokio::test]
async fn a_delivery_that_another_version_has_parsed_differently_is_still_the_same() {
    let executions = Memory::default();
    send(&executions, &delivery(&payload())).await;
    let mut read_otherwise = payload();
    read_otherwise["user_username"] = json!("somebody");
    read_otherwise["project"]["git_http_url"] = json!("https://other.example.com/mike/diaspora.git");
    let (status, answer) = send(&executions, &delivery(&read_otherwise)).await;
    assert_eq!(status, 202, "{answer}");
    executions.end_all();
    assert_eq!(send(&executions, &delivery(&read_otherwise)).await.0, 202);
    assert_eq!(executions.names().len(), 2);
}

#[tokio::test]
async fn a_delivery_of_another_change_is_refused_however_the_first_one_has_ended() {
    let other = |field: &str, value: Value| {
        let mut payload = payload();
        payload[field] = value;
        payload
    };
    for other in [
        other("before", json!("1".repeat(40))),
        other("before", json!("0".repeat(40))),
        other("after", json!("1".repeat(40))),
        other("project", json!({"path_with_namespace": "mike/other"})),
    ] {
        let executions = Memory::default();
        send(&executions, &delivery(&payload())).await;
        for _ in 0..2 {
            let (status, answer) = send(&executions, &delivery(&other)).await;
            assert_eq!(status, 409, "{other}");
            let error = answer["error"].as_str().unwrap();
            assert!(error.contains("must not be used twice"), "{error}");
            executions.end_all();
        }
        assert_eq!(executions.names().len(), 1);
    }
}

#[tokio::test]
async fn another_ref_of_one_delivery_is_another_push() {
    let executions = Memory::default();
    send(&executions, &delivery(&payload())).await;
    let mut other = payload();
    other["ref"] = json!("refs/heads/next");
    assert_eq!(send(&executions, &delivery(&other)).await.0, 202);
    let names = executions.names();
    assert!(names.len() == 2 && !names[1].starts_with(&names[0]), "{names:?}");
}

#[tokio::test]
async fn an_execution_of_this_name_that_was_started_by_hand_has_another_content() {
    let executions = Memory::default();
    send(&executions, &delivery(&payload())).await;
    let (name, input) = (executions.names().remove(0), executions.input());
    let of_another_ref = input.replace("refs/heads/main", "refs/heads/next");
    for (by_hand, expected) in [(input.as_str(), 202), (&of_another_ref, 409), ("{}", 409)] {
        let executions = Memory::default();
        executions.start(&name, by_hand).await.unwrap();
        assert_eq!(
            send(&executions, &delivery(&payload())).await.0,
            expected,
            "{by_hand}"
        );
    }
}

#[tokio::test]
async fn a_delivery_is_identified_by_the_header_that_stays_the_same_when_it_is_sent_again() {
    let body = payload().to_string();
    let delivery_id = async |headers: &[(&'static str, &'static str)]| {
        let mut request = request(Some("Push Hook"), "d1", &body);
        request.headers.remove("idempotency-key");
        for (name, value) in headers {
            request.headers.insert(*name, value.parse().unwrap());
        }
        let executions = Memory::default();
        let (status, answer) = send(&executions, &request).await;
        assert_eq!(status, 202, "{answer}");
        let input: Value = serde_json::from_str(&executions.input()).unwrap();
        let delivery_id: DeliveryId = input["delivery_id"].as_str().unwrap().parse().unwrap();
        let push_id = PushId::new(
            &"gitlab".parse().unwrap(),
            &delivery_id,
            &"refs/heads/main".parse().unwrap(),
        );
        assert_eq!(input["push_id"], json!(push_id));
        delivery_id.to_string()
    };
    let (key, uuid) = (("idempotency-key", "key"), ("x-gitlab-event-uuid", "uuid"));
    assert_eq!(delivery_id(&[key, uuid]).await, "key");
    assert_eq!(delivery_id(&[uuid]).await, "uuid");
    let of_content = DeliveryId::of_content(body.as_bytes()).to_string();
    assert_eq!(delivery_id(&[]).await, of_content);
    assert_eq!(
        delivery_id(&[("x-gitlab-webhook-uuid", "hook")]).await,
        of_content
    );
}

#[tokio::test]
async fn a_malformed_delivery_id_is_refused() {
    let executions = Memory::default();
    let (status, answer) = send(
        &executions,
        &request(Some("Push Hook"), "a b", &payload().to_string()),
    )
    .await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("delivery id"),
        "{answer}"
    );
    assert_eq!(executions.names().len(), 0);
}

#[tokio::test]
async fn a_webhook_of_a_source_with_a_malformed_name_is_not_found() {
    let executions = Memory::default();
    for source in [None, Some("GitLab")] {
        let mut request = delivery(&payload());
        request.path_parameters.remove("source");
        if let Some(source) = source {
            request.path_parameters.insert("source".into(), source.into());
        }
        assert_eq!(send(&executions, &request).await.0, 404);
    }
    assert_eq!(executions.names().len(), 0);
}

#[tokio::test]
async fn a_pusher_is_cut_and_a_url_is_left_out_only_above_their_limits() {
    let input = async |pusher: &str, url: &str| -> Value {
        let mut payload = payload();
        payload["user_username"] = json!(pusher);
        payload["project"]["git_http_url"] = json!(url);
        let executions = Memory::default();
        assert_eq!(send(&executions, &delivery(&payload)).await.0, 202);
        serde_json::from_str(&executions.input()).unwrap()
    };
    let url = |bytes: usize| format!("https://h/{}", "x".repeat(bytes - "https://h/".len()));
    let ssh = "git@gitlab.example.com:mike/diaspora.git";
    // A character of a name has up to four bytes.
    let longest = input(&"é".repeat(200), &url(2_048)).await;
    assert_eq!(longest["pusher"], json!("é".repeat(200)));
    assert_eq!(longest["clone_urls"], json!([url(2_048), ssh]));
    let longer = input(&"é".repeat(201), &url(2_049)).await;
    assert_eq!(longer["pusher"], json!("é".repeat(200)));
    assert_eq!(longer["clone_urls"], json!([ssh]));
}

#[tokio::test]
async fn secrets_of_a_payload_are_in_no_execution() {
    let mut payload = payload();
    payload["user_username"] = json!("jo\r\n\u{1b}[2J\u{202e}");
    payload["project"]["git_http_url"] =
        json!("https://oauth2:s3cret@git.example.com/a/b.git?private_token=s3cret");
    payload["project"]["git_ssh_url"] = json!("git:s3cret@git.example.com:a/b.git");
    let executions = Memory::default();
    assert_eq!(send(&executions, &delivery(&payload)).await.0, 202);
    let input: Value = serde_json::from_str(&executions.input()).unwrap();
    assert_eq!(input["clone_urls"], json!(["https://git.example.com/a/b.git"]));
    assert_eq!(input["pusher"], "jo  \u{fffd}[2J\u{fffd}");
    assert!(!executions.input().contains("s3cret"));
}

#[tokio::test]
async fn a_pusher_is_named_by_what_gitlab_says_of_them() {
    let pusher = async |change: &dyn Fn(&mut Value)| {
        let mut payload = payload();
        payload["user_name"] = json!("John Smith");
        change(&mut payload);
        let executions = Memory::default();
        send(&executions, &delivery(&payload)).await;
        serde_json::from_str::<Value>(&executions.input()).unwrap()["pusher"].clone()
    };
    assert_eq!(pusher(&|_| ()).await, json!("jsmith"));
    for nobody in [Value::Null, json!("")] {
        assert_eq!(
            pusher(&|payload| payload["user_username"] = nobody.clone()).await,
            json!("John Smith")
        );
    }
    assert_eq!(
        pusher(&|payload| {
            payload["user_username"] = Value::Null;
            payload["user_name"] = Value::Null;
        })
        .await,
        Value::Null
    );
}

#[tokio::test]
async fn a_system_hook_may_be_a_push_too() {
    let executions = Memory::default();
    let mut payload = payload();
    payload.as_object_mut().unwrap().remove("object_kind");
    let request = request(Some("System Hook"), "d1", &payload.to_string());
    assert_eq!(send(&executions, &request).await.0, 202);
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_read_and_a_larger_one_refused() {
    let executions = Memory::default();
    let padded = |bytes: usize| {
        let body = payload().to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    for (bytes, expected) in [(MAX_BODY_BYTES, 202), (MAX_BODY_BYTES + 1, 413)] {
        let mut request = request(Some("Push Hook"), "d1", &padded(bytes));
        assert_eq!(send(&executions, &request).await.0, expected, "{bytes}");
        request.body = Some(STANDARD.encode(padded(bytes)));
        request.is_base64_encoded = true;
        assert_eq!(send(&executions, &request).await.0, expected, "{bytes} as Base64");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_decoded() {
    let executions = Memory::default();
    let longest = STANDARD.encode(vec![0; MAX_BODY_BYTES]).len();
    for (characters, expected) in [(longest, 400), (longest + 1, 413)] {
        let mut request = request(Some("Push Hook"), "d1", &"*".repeat(characters));
        request.is_base64_encoded = true;
        assert_eq!(send(&executions, &request).await.0, expected, "{characters}");
    }
}

#[tokio::test]
async fn a_response_is_json_and_says_so() {
    let executions = Memory::default();
    let response = handle(&executions, &secrets(GITLAB), &delivery(&payload())).await;
    assert_eq!(response.headers["content-type"], "application/json");
}
