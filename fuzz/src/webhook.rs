//! Sends requests to the webhook of a source, and an event to a source that has no webhook.

use std::sync::Mutex;

use accept::event::SourceEvent;
use accept::{ExecutionStatus, Executions, Response};
use aws::AwsFailure;
use aws::secrets::{SecretCache, SecretError, Secrets};
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::push::{Push, SourceName};
use domain::source::Provider;
use futures::executor::block_on;
use secrecy::SecretString;

/// The secret that the git hosts have.
const SECRET: &str = "c2VjcmV0";

/// The webhook secret of sources on a kind of git host.
struct SecretOf(Provider);

impl Secrets for SecretOf {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        let secret = serde_json::json!({ "provider": self.0, "secret": SECRET });
        Ok(secret.to_string().into())
    }
}

/// The executions that were started.
#[derive(Default)]
struct Started(Mutex<Vec<String>>);

impl Executions for Started {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        assert!(
            name.len() <= 80
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
        let push: Push = serde_json::from_str(input).expect("the state machine reads its input");
        assert_eq!(serde_json::to_string(&push).expect("JSON"), input);
        self.0.lock().expect("no other thread").push(name.to_owned());
        Ok(Some(format!("arn:{name}")))
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        unreachable!("{name} was not there")
    }
}

/// The names of the headers with the event and with the id of a delivery.
fn names(provider: Provider) -> [&'static str; 2] {
    match provider {
        Provider::GitLab => ["x-gitlab-event", "idempotency-key"],
        Provider::GitHub => ["x-github-event", "x-github-delivery"],
        Provider::Gitea => ["x-gitea-event", "x-gitea-delivery"],
        Provider::Gogs => ["x-gogs-event", "x-gogs-delivery"],
        Provider::Bitbucket => ["x-event-key", "x-request-uuid"],
        Provider::BitbucketDataCenter => ["x-event-key", "x-request-id"],
        // Their events are named in the body, and CodeCommit sends no requests.
        Provider::AzureDevOps | Provider::CodeCommit | Provider::Generic => ["x-event", "x-delivery"],
    }
}

/// Sends a request with any headers and body, and the proof of the git host. The parts of the input are the content
/// type, the source, the event, the id of the delivery, and the body.
///
/// # Panics
/// Panics if the answer is not one of those that are documented, or an execution gets what the state machine does not
/// read.
pub fn request(provider: Provider, input: &[u8]) {
    let Some([content_type, source, event, delivery, body]) = crate::parts(input) else {
        return;
    };
    let mut request = ApiGatewayV2httpRequest::default();
    let source = String::from_utf8_lossy(source).into_owned();
    request.path_parameters.insert("source".into(), source);
    let [event_header, delivery_header] = names(provider);
    let id = std::str::from_utf8(delivery)
        .ok()
        .filter(|id| !id.is_empty())
        .unwrap_or("id");
    let proof = webhook::prove(provider, SECRET, id, body);
    let proof = proof.iter().map(|(name, value)| (*name, value.as_bytes()));
    let sent = [
        ("content-type", content_type),
        (event_header, event),
        (delivery_header, delivery),
    ];
    for (name, value) in sent.into_iter().chain(proof) {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_bytes(value)) {
            request.headers.insert(name, value);
        }
    }
    request.body = Some(match std::str::from_utf8(body) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            request.is_base64_encoded = true;
            STANDARD.encode(body)
        }
    });
    let secrets = SecretCache::new(SecretOf(provider), "webhook");
    let started = Started::default();
    let response = block_on(accept::handle(&started, &secrets, &request));
    let started = started.0.into_inner().expect("no other thread");
    // An id that is no text cannot be signed.
    let may_lack_proof = provider == Provider::Generic;
    assert!(
        matches!(response.status_code, 200 | 202 | 400 | 404)
            || (may_lack_proof && response.status_code == 401)
    );
    assert_eq!(response.status_code == 202, !started.is_empty());
}

/// Sends an event as a rule of EventBridge does, to the same effect.
///
/// # Panics
/// Panics in the same cases.
pub fn event(input: &[u8]) {
    let Ok(event) = serde_json::from_slice::<SourceEvent>(input) else {
        return;
    };
    let started = Started::default();
    let response = block_on(accept::event::handle(&started, &event));
    let started = started.0.into_inner().expect("no other thread");
    let is_accepted = matches!(response, Ok(Response::Accepted { .. }));
    assert_eq!(is_accepted, !started.is_empty());
}
