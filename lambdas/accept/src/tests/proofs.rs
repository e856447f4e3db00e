//! Whose requests are accepted.

use secrecy::SecretString;
use testkit::logs::captured;
use webhook::{PushHook, github, gitlab};

use super::scene::{Memory, payload, request, send, send_to};
use super::*;

/// The secret of a source on GitHub.
const GITHUB: &str = r#"{"provider":"github","secret":"new","also_accepted":["old",""]}"#;

fn hook() -> PushHook {
    webhook::sample("refs/heads/main")
}

/// Returns what the gateway makes of a request.
pub fn passed_on(request: &webhook::Request) -> ApiGatewayV2httpRequest {
    let mut passed = ApiGatewayV2httpRequest::default();
    passed.path_parameters.insert("source".into(), "github".into());
    passed.headers = request.header_map();
    passed.body = Some(String::from_utf8(request.body.clone()).unwrap());
    passed
}

/// Returns GitHub's delivery of a body, signed by `secret`.
fn delivery(secret: &str, body: &str) -> ApiGatewayV2httpRequest {
    passed_on(&github::request("push", body.to_owned(), secret))
}

#[tokio::test]
async fn a_body_that_is_signed_by_a_secret_of_the_source_is_accepted() {
    let body = github::payload(&hook()).to_string();
    let form = github::form(&github::payload(&hook()));
    for (secret, body) in [("new", &body), ("old", &body), ("new", &form)] {
        let executions = Memory::default();
        let mut request = delivery(secret, body);
        let (status, answer) = send_to(GITHUB, &executions, &request).await;
        assert_eq!(status, 202, "{answer}");
        // The gateway passes a form on as Base64.
        request.body = Some(STANDARD.encode(body));
        request.is_base64_encoded = true;
        let (status, answer) = send_to(GITHUB, &executions, &request).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(executions.names().len(), 1);
        let push: domain::push::Push = serde_json::from_str(&executions.input()).unwrap();
        assert_eq!(push.after.unwrap().as_str(), hook().after.unwrap());
    }
}

#[tokio::test]
async fn a_webhook_that_still_uses_a_previous_secret_is_logged() {
    let body = github::payload(&hook()).to_string();
    for (secret, expected) in [("new", 0), ("old", 1)] {
        let (executions, request) = (Memory::default(), delivery(secret, &body));
        let sent = send_to(GITHUB, &executions, &request);
        let ((status, _), lines) = captured(sent, |lines| aws::telemetry::json(None, lines)).await;
        assert_eq!(status, 202);
        assert_eq!(
            lines.fields("proven by a previous secret").len(),
            expected,
            "{secret}"
        );
    }
}

#[tokio::test]
async fn a_forged_request_starts_nothing_and_is_told_why_without_a_secret() {
    let body = github::payload(&hook()).to_string();
    let reencoded = serde_json::to_string_pretty(&github::payload(&hook())).unwrap();
    let without = |header: &str| {
        let mut request = delivery("new", &body);
        request.headers.remove(header);
        request
    };
    let with = |header: &'static str, value: &str| {
        let mut request = without(github::SIGNATURE_HEADER);
        request.headers.insert(header, value.parse().unwrap());
        request
    };
    let signature = delivery("new", &body).headers[github::SIGNATURE_HEADER].clone();
    let signature = signature.to_str().unwrap();
    let mut other_body = delivery("new", &body);
    other_body.body = Some(reencoded);
    let mut no_body = delivery("new", &body);
    no_body.body = None;
    for (forged, reason) in [
        (without(github::SIGNATURE_HEADER), "with the signature is missing"),
        (delivery("another source's", &body), "not that of this body"),
        (delivery("", &body), "not that of this body"),
        (other_body, "not that of this body"),
        (no_body, "not that of this body"),
        (
            with("x-hub-signature", "sha1=4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
            "by SHA-1 is not accepted",
        ),
        (
            with(github::SIGNATURE_HEADER, &signature.to_uppercase()),
            "lower-case",
        ),
        (
            with(
                github::SIGNATURE_HEADER,
                &signature.to_uppercase().replace("SHA256=", "sha256="),
            ),
            "lower-case",
        ),
        (
            with(
                github::SIGNATURE_HEADER,
                signature.strip_prefix("sha256=").unwrap(),
            ),
            "lower-case",
        ),
        (with(gitlab::TOKEN_HEADER, "new"), "with the signature is missing"),
    ] {
        let executions = Memory::default();
        let (status, answer) = send_to(GITHUB, &executions, &forged).await;
        assert_eq!(status, 401, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(reason), "{error}");
        assert!(
            !error.contains("new") && !error.contains(&signature[7..]),
            "{error}"
        );
        assert_eq!(executions.names().len(), 0);
    }
}

#[tokio::test]
async fn a_source_whose_host_sends_a_token_is_not_let_in_by_a_signature() {
    let executions = Memory::default();
    let body = github::payload(&hook()).to_string();
    let (status, answer) = send(&executions, &delivery("a token", &body)).await;
    assert_eq!(status, 401, "{answer}");
    let mut request = request(Some("Push Hook"), "d1", &payload().to_string());
    request
        .headers
        .insert(gitlab::TOKEN_HEADER, "a tokem".parse().unwrap());
    assert_eq!(send(&executions, &request).await.0, 401);
    assert_eq!(executions.names().len(), 0);
}

/// Who cannot sign is not told what is wrong with a body, and what is signed by the host and of no use is not forged.
#[tokio::test]
async fn a_body_is_parsed_only_after_it_was_proven() {
    let mut twice = github::payload(&hook()).to_string();
    twice.insert_str(1, r#""after":"0000000000000000000000000000000000000000","#);
    for body in [
        "",
        "{}",
        "not json",
        &"[".repeat(100_000),
        "payload",
        "a=b",
        &twice,
    ] {
        let executions = Memory::default();
        let (status, answer) = send_to(GITHUB, &executions, &delivery("new", body)).await;
        assert_eq!(status, 400, "{answer}");
        let (status, answer) = send_to(GITHUB, &executions, &delivery("wrong", body)).await;
        assert_eq!(status, 401, "{answer}");
        assert_eq!(executions.names().len(), 0);
    }
}

/// A store that does not give a secret.
struct Failing(fn(String, aws::AwsFailure) -> SecretError, &'static str);

impl Secrets for Failing {
    async fn read(&self, source: &SourceName, kind: &'static str) -> Result<SecretString, SecretError> {
        let failure = aws::AwsFailure::of_item("secretsmanager:GetSecretValue", Some(self.1), None);
        Err((self.0)(format!("{source}/{kind}"), failure))
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_our_error_and_not_the_caller_s() {
    let unavailable = |name, source| SecretError::Unavailable { name, source };
    let refused = |name, source| SecretError::Refused { name, source };
    for (store, expected) in [
        (Failing(unavailable, "InternalServiceError"), 503),
        (Failing(refused, "AccessDeniedException"), 500),
        (Failing(refused, "ResourceNotFoundException"), 401),
    ] {
        let secrets = SecretCache::new(store, "webhook");
        let response = handle(&Memory::default(), &secrets, &delivery("new", "{}")).await;
        assert_eq!(response.status_code, expected);
    }
    let (status, answer) = send_to("hunter2", &Memory::default(), &delivery("new", "{}")).await;
    assert_eq!(status, 500);
    assert!(!answer.to_string().contains("hunter2"), "{answer}");
}
