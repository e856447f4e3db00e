//! Reports to an API on the loopback.

use std::pin::Pin;
use std::sync::Arc;

use audit::MemoryTrail;
use aws::failure::{Failed, chain};
use aws::secrets::SecretError;
use domain::commit_status::{ApiUrl, CommitStatus, StatusApi};
use domain::contract::Deliver;
use domain::error::{Code, Coded};
use domain::event::PushEvent;
use domain::push::SourceName;
use domain::samples;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::Certificate;
use testkit::http::{self, Response};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_openssl::SslStream;

use super::*;

const TOKEN: &str = "glpat-s3cret";
const CONSOLE: &str = "https://console.example.com/executions/";

/// The git secret of every source.
struct OneSecret(Value);

impl Secrets for OneSecret {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        Ok(self.0.to_string().into())
    }
}

/// A push whose commit has a status, and the API that sets it.
struct Scene {
    trail: Arc<MemoryTrail<Push>>,
    push: Push,
    host: http::Host,
    secret: OneSecret,
}

impl Scene {
    /// Creates a push of `ref_name`, with an API that answers like this.
    async fn new(
        ref_name: &str,
        answer: impl Fn(&testkit::Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let host = http::Host::answering(answer).await;
        Self::on(ref_name, host).await
    }

    async fn on(ref_name: &str, host: http::Host) -> Self {
        let tokens = json!([{ "host": host.origin(), "token": TOKEN }]);
        let scene = Self {
            trail: Arc::default(),
            push: samples::push("d1", ref_name),
            secret: OneSecret(json!({ "credentials": [], "api_tokens": tokens })),
            host,
        };
        scene.append([samples::received(&scene.push, "e1")]).await;
        scene
    }

    /// Creates a push that is to be delivered.
    async fn of_gitlab(answer: impl Fn(&testkit::Request) -> Response + Send + Sync + 'static) -> Self {
        let scene = Self::new("refs/heads/main", answer).await;
        scene.append([scene.validated(StatusApi::GitLab)]).await;
        scene
    }

    fn validated(&self, api: StatusApi) -> PushEvent {
        PushEvent::PushValidated(Deliver {
            commit_status: Some(CommitStatusTarget {
                api,
                url: ApiUrl::try_from(self.host.origin() + "/api").unwrap(),
                context: "push-code".to_owned(),
            }),
            ..samples::deliver()
        })
    }

    async fn append(&self, events: impl IntoIterator<Item = PushEvent>) {
        append(&self.trail, &self.push, events).await;
    }

    async fn report(&self, execution: &str, failure: Option<Failure>) -> Result<Reported, Error> {
        let deps = Deps {
            trail: &*self.trail,
            secrets: &self.secret,
            executions_url: CONSOLE,
        };
        let envelope = Envelope {
            execution: samples::execution(execution),
            ..samples::envelope(self.push.clone(), ReportInput { failure })
        };
        handle(&deps, &envelope).await
    }

    /// Reports, and returns the status that is in the output.
    async fn set(&self, execution: &str, failure: Option<Failure>) -> CommitStatus {
        match self.report(execution, failure).await.unwrap() {
            Reported::Set(set) => {
                assert_eq!(set.execution_id, execution);
                let status = set.status;
                self.append([PushEvent::CommitStatusSet(set)]).await;
                status
            }
            Reported::Skipped { detail } => panic!("{detail}"),
        }
    }

    /// Returns the states that the API was sent.
    fn states(&self) -> Vec<String> {
        let requests = self.host.requests();
        let body = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
        let states = requests
            .iter()
            .map(|request| body(&request.body)["state"].clone());
        states.map(|state| state.as_str().unwrap().to_owned()).collect()
    }
}

async fn append(trail: &MemoryTrail<Push>, push: &Push, events: impl IntoIterator<Item = PushEvent>) {
    for event in events {
        trail.append(push.push_id, |_| Some(event.clone())).await.unwrap();
    }
}

fn created(_: &testkit::Request) -> Response {
    Response::new(201, &[], "{}")
}

/// The events of a push after it was validated.
fn delivered() -> Vec<PushEvent> {
    samples::delivered_trail(&samples::push("d1", "refs/heads/main"))[2..].to_vec()
}

#[tokio::test]
async fn a_commit_is_pending_until_its_push_was_delivered() {
    let scene = Scene::of_gitlab(created).await;
    assert_eq!(scene.set("e1", None).await, CommitStatus::Pending);
    scene.append(delivered()).await;
    assert_eq!(scene.set("e1", None).await, CommitStatus::Success);
    assert_eq!(scene.states(), ["pending", "success"]);
    for request in scene.host.requests() {
        let commit = "a".repeat(40);
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.target,
            format!("/api/projects/group%2Fproject/statuses/{commit}")
        );
        assert_eq!(request.headers["private-token"], TOKEN);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["target_url"], format!("{CONSOLE}e1"));
        assert_eq!(
            (&body["ref"], &body["name"]),
            (&json!("main"), &json!("push-code"))
        );
    }
}

#[tokio::test]
async fn a_status_that_is_set_is_not_set_again() {
    let scene = Scene::of_gitlab(created).await;
    scene.set("e1", None).await;
    let again = scene.report("e1", None).await.unwrap();
    assert!(matches!(again, Reported::Skipped { .. }), "{again:?}");
    assert_eq!(scene.states(), ["pending"]);
    // Another execution has another link.
    scene
        .append([samples::retried("e2"), scene.validated(StatusApi::GitLab)])
        .await;
    assert_eq!(scene.set("e2", None).await, CommitStatus::Pending);
}

#[tokio::test]
async fn github_is_told_in_its_own_words() {
    let scene = Scene::new("refs/heads/main", created).await;
    scene.append([scene.validated(StatusApi::GitHub)]).await;
    let failure = samples::failure("Fetch", "CommitNotFound");
    assert_eq!(scene.set("e1", Some(failure)).await, CommitStatus::Failed);
    let request = &scene.host.requests()[0];
    assert_eq!(
        request.target,
        format!("/api/repos/group/project/statuses/{}", "a".repeat(40))
    );
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "state": "failure",
        "context": "push-code",
        "description": "Fetch failed: CommitNotFound",
        "target_url": format!("{CONSOLE}e1"),
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_push_without_a_status_calls_nobody() {
    let scene = Scene::new("refs/heads/main", created).await;
    scene.append([PushEvent::PushValidated(samples::deliver())]).await;
    let of_nothing = scene.report("e1", None).await.unwrap();
    let tag = Scene::new("refs/tags/v1", created).await;
    tag.append([tag.validated(StatusApi::GitLab)]).await;
    let of_tag = tag.report("e1", None).await.unwrap();
    for (reported, scene) in [(of_nothing, &scene), (of_tag, &tag)] {
        assert!(matches!(reported, Reported::Skipped { .. }), "{reported:?}");
        assert_eq!(scene.states(), [""; 0]);
    }
    // The tag's commit is known now.
    tag.append(delivered()).await;
    assert_eq!(tag.set("e1", None).await, CommitStatus::Success);
}

#[tokio::test]
async fn an_execution_that_is_over_sets_nothing() {
    let scene = Scene::of_gitlab(created).await;
    scene
        .append([samples::retried("e2"), scene.validated(StatusApi::GitLab)])
        .await;
    let error = scene.report("e1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    let failure = samples::failure("Fetch", "CommitNotFound");
    let late = scene.report("e1", Some(failure.clone())).await.unwrap();
    assert!(matches!(late, Reported::Skipped { .. }), "{late:?}");
    assert_eq!(scene.states(), [""; 0]);
    // One that has failed says so, and nothing else any more.
    scene.append([samples::push_failed("e2")]).await;
    assert_eq!(
        scene.report("e2", None).await.unwrap_err().code(),
        Code::ExecutionOver
    );
    assert_eq!(scene.set("e2", Some(failure)).await, CommitStatus::Failed);
}

/// A function whose response was lost may be slower than the states that follow, and an execution than the next one.
#[tokio::test]
async fn what_has_happened_meanwhile_is_set_too() {
    let (trail, push) = (
        Arc::<MemoryTrail<Push>>::default(),
        samples::push("d1", "refs/heads/main"),
    );
    let meanwhile = (Arc::clone(&trail), push.clone());
    let host = http::Host::serve(move |_, mut connection| {
        let (trail, push) = meanwhile.clone();
        async move {
            if trail
                .load(push.push_id)
                .await
                .unwrap()
                .unwrap()
                .delivered
                .is_none()
            {
                append(&trail, &push, delivered()).await;
            }
            Response::new(201, &[], "{}").send(&mut connection).await
        }
    })
    .await;
    let mut scene = Scene::on("refs/heads/main", host).await;
    scene.trail = trail;
    scene
        .append([samples::received(&push, "e1"), scene.validated(StatusApi::GitLab)])
        .await;
    assert_eq!(scene.set("e1", None).await, CommitStatus::Success);
    assert_eq!(scene.states(), ["pending", "success"]);
}

#[tokio::test]
async fn gitlab_s_refusal_to_set_the_same_again_is_no_error() {
    let body = r#"{"message":"Cannot transition status via :enqueue from :pending (Reason(s): ...)"}"#;
    let scene = Scene::of_gitlab(move |_| Response::new(400, &[], body)).await;
    assert_eq!(scene.set("e1", None).await, CommitStatus::Pending);
}

#[tokio::test]
async fn every_refusal_has_a_code_and_no_secret() {
    let echo = format!(r#"{{"message":"403 Forbidden for {TOKEN}\n"}}"#);
    for (response, code, told) in [
        (Response::new(401, &[], ""), Code::CommitStatusRefused, "401"),
        (
            Response::new(403, &[], echo),
            Code::CommitStatusRefused,
            "403 Forbidden for ***",
        ),
        (
            Response::new(404, &[], "<html>"),
            Code::CommitStatusRefused,
            "404",
        ),
        (Response::new(429, &[], ""), Code::CommitStatusUnavailable, "429"),
        (Response::new(502, &[], ""), Code::CommitStatusUnavailable, "502"),
        (
            Response::redirect(307, "http://other.example/x?token=1"),
            Code::GitHostRedirected,
            "http://other.example/x,",
        ),
    ] {
        let scene = Scene::of_gitlab(move |_| response.clone()).await;
        let error = scene.report("e1", None).await.unwrap_err();
        let cause = Failed::new(&error).cause;
        assert_eq!(error.code(), code, "{cause}");
        assert!(cause.contains(told) && !cause.contains(TOKEN), "{cause}");
        assert!(cause.contains(code.remedy()), "{cause}");
        assert_eq!(scene.host.requests().len(), 1, "a redirect is not followed");
    }
}

#[tokio::test]
async fn a_host_that_hangs_is_waited_for_only_seconds() {
    let silent = http::Host::serve(|_, connection| async move {
        std::future::pending::<()>().await;
        drop(connection);
        Ok(())
    });
    let scene = Scene::on("refs/heads/main", silent.await).await;
    scene.append([scene.validated(StatusApi::GitLab)]).await;
    let began = Instant::now();
    let error = scene.report("e1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::CommitStatusUnavailable, "{}", chain(&error));
    assert!(began.elapsed() < TIME_LIMIT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_token_of_another_host_is_not_used() {
    let mut scene = Scene::of_gitlab(created).await;
    for (secret, code) in [
        (json!({ "credentials": [] }), Code::CredentialsMissing),
        (
            json!({ "credentials": [], "api_tokens": [{ "host": "https://git.example.com", "token": TOKEN }] }),
            Code::CredentialsMissing,
        ),
        (
            json!({ "credentials": [], "api_tokens": [{ "host": scene.host.origin(), "token": "a\nb" }] }),
            Code::SecretInvalid,
        ),
    ] {
        scene.secret = OneSecret(secret);
        let error = scene.report("e1", None).await.unwrap_err();
        assert_eq!(error.code(), code, "{}", chain(&error));
    }
    assert_eq!(scene.states(), [""; 0]);
}

#[tokio::test]
async fn a_link_that_is_too_long_is_left_out() {
    let scene = Scene::of_gitlab(created).await;
    let long = "e".repeat(MAX_LINK);
    scene
        .append([samples::retried(&long), scene.validated(StatusApi::GitLab)])
        .await;
    scene.set(&long, None).await;
    let body: Value = serde_json::from_slice(&scene.host.requests()[0].body).unwrap();
    assert!(body.get("target_url").is_none(), "{body}");
}

#[test]
fn an_execution_that_was_stopped_is_reported_as_failed() {
    let push = samples::push("d1", "refs/heads/main");
    let event = |status: &str| {
        json!({
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": "arn",
                "status": status,
                "startDate": 1_551_225_146_847_i64,
                "input": serde_json::to_string(&push).unwrap(),
                "redriveCount": 1,
            },
        })
    };
    for (status, error) in [
        ("ABORTED", "ExecutionAborted"),
        ("TIMED_OUT", "ExecutionTimedOut"),
    ] {
        let envelope = parse(event(status)).unwrap();
        assert_eq!(
            (envelope.push.push_id, envelope.execution.id.as_str()),
            (push.push_id, "arn#1")
        );
        assert_eq!(envelope.input.failure.unwrap().error, error);
    }
    for status in ["FAILED", "SUCCEEDED", "RUNNING"] {
        assert!(parse(event(status)).is_err(), "{status}");
    }
    let input = samples::envelope(push, ReportInput { failure: None });
    assert_eq!(parse(serde_json::to_value(&input).unwrap()).unwrap(), input);
}

/// Answers one request by HTTPS, as the host `127.0.0.1`, and returns the URL for it.
async fn serve_once(certificate: &Certificate) -> String {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&certificate.key).unwrap();
    acceptor.set_certificate(&certificate.certificate).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        let mut stream = SslStream::new(Ssl::new(acceptor.context()).unwrap(), connection).unwrap();
        if Pin::new(&mut stream).accept().await.is_err() {
            return;
        }
        let mut connection = BufReader::new(stream);
        testkit::Request::read(&mut connection).await.unwrap();
        let created = Response::new(201, &[], "{}").to_bytes();
        connection.write_all(&created).await.unwrap();
        connection.shutdown().await.unwrap();
    });
    url
}

#[tokio::test]
async fn an_authority_of_the_git_secret_is_trusted_and_no_other() {
    let authority = Certificate::make("authority", None, None);
    let certificate = Certificate::make("host", Some("127.0.0.1"), Some(&authority));
    let mut scene = Scene::of_gitlab(created).await;
    for (authorities, expected) in [
        (authority.pem(), None),
        (
            Certificate::make("authority", None, None).pem(),
            Some(Code::CertificateInvalid),
        ),
        ("no certificate".to_owned(), Some(Code::SecretInvalid)),
    ] {
        let url = serve_once(&certificate).await;
        scene.secret = OneSecret(json!({
            "credentials": [],
            "ca_certificates": authorities,
            "api_tokens": [{ "host": url, "token": TOKEN }],
        }));
        let target = CommitStatusTarget {
            api: StatusApi::GitLab,
            url: ApiUrl::try_from(url).unwrap(),
            context: "push-code".to_owned(),
        };
        scene.trail = Arc::default();
        let deliver = Deliver {
            commit_status: Some(target),
            ..samples::deliver()
        };
        let received = samples::received(&scene.push, "e1");
        scene.append([received, PushEvent::PushValidated(deliver)]).await;
        let reported = scene.report("e1", None).await;
        assert_eq!(reported.err().map(|error| error.code()), expected);
    }
}
