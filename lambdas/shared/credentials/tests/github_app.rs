//! Installation tokens, from an API that checks the app's proof, and from those that lie.

#![expect(clippy::panic, clippy::unwrap_used, reason = "the helpers of tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws::failure::chain;
use chrono::Utc;
use credentials::{Access, AccessError, Credentials, GitSecretJson, Issuer};
use domain::error::{Code, Coded as _};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::github::{APP_ID, GitHub, INSTALLATION_ID, make_key, time};
use testkit::http::{Host, Response};
use testkit::{PATH, Request};

const HOUR: i64 = 3600;

fn credentials(issuer: &Arc<Issuer>, entry: &Value) -> Credentials {
    let source = "github".parse().unwrap();
    let secret = json!({ "credentials": [entry] }).to_string();
    let secret = GitSecretJson::parse(&source, &secret.into()).unwrap();
    Credentials::of(&source, &secret, issuer).unwrap()
}

/// Returns the token for a URL.
async fn token(credentials: &Credentials, url: &str) -> Result<String, AccessError> {
    match credentials.access(&url.parse().unwrap()).await? {
        Access::Password { username, password } => {
            assert_eq!(username, "x-access-token");
            Ok(password.expose_secret().to_owned())
        }
        Access::Anonymous | Access::Key { .. } => panic!("no token"),
    }
}

async fn github(lifetime: i64) -> GitHub {
    GitHub::of("/nonexistent", lifetime).await
}

#[tokio::test]
async fn a_token_is_for_one_repository_and_kept() {
    let github = github(HOUR).await;
    let issuer = Arc::default();
    let of_a_fetch = credentials(&issuer, &github.credential());
    let url = |path: &str| format!("{}/{path}", github.host.origin());
    let first = token(&of_a_fetch, &url("group/project.git")).await.unwrap();
    // Another fetch reads the secret anew. `.git` and slashes make no other repository.
    let of_another = credentials(&issuer, &github.credential());
    assert_eq!(token(&of_another, &url("group/project/")).await.unwrap(), first);
    assert_eq!(github.api_requests(), 2, "the installation, and the token");
    let other = token(&of_another, &url("group/other.git")).await.unwrap();
    assert_ne!(other, first);
    let issued = github.issued();
    let repositories: Vec<_> = issued.iter().map(|issued| issued.repository.as_str()).collect();
    assert_eq!(repositories, ["group/project", "group/other"]);
    // What was issued is a secret from then on.
    assert_eq!(of_another.redact(&format!("<{other}>")), "<***>");
}

#[tokio::test]
async fn nobody_gets_the_token_of_an_app_without_its_key() {
    let github = github(HOUR).await;
    let issuer = Arc::default();
    let url = github.host.url();
    token(&credentials(&issuer, &github.credential()), &url)
        .await
        .unwrap();
    let mut forged = github.credential();
    forged["private_key"] = make_key().into();
    let error = token(&credentials(&issuer, &forged), &url).await.unwrap_err();
    assert_eq!(error.code(), Code::InstallationTokenRefused, "{}", chain(&error));
}

#[tokio::test]
async fn an_installation_that_is_named_is_not_looked_up() {
    let github = github(HOUR).await;
    for id in [json!(INSTALLATION_ID), json!(INSTALLATION_ID.to_string())] {
        let mut entry = github.credential();
        entry["installation_id"] = id;
        token(&credentials(&Arc::default(), &entry), &github.host.url())
            .await
            .unwrap();
    }
    assert_eq!(github.api_requests(), 2);
    let mut entry = github.credential();
    entry["installation_id"] = json!(7);
    let error = token(&credentials(&Arc::default(), &entry), &github.host.url()).await;
    assert_eq!(error.unwrap_err().code(), Code::InstallationTokenRefused);
}

#[tokio::test]
async fn a_token_that_would_expire_during_a_fetch_is_made_anew() {
    for (lifetime, requests) in [(14 * 60, 4), (15 * 60 + 30, 2)] {
        let github = github(lifetime).await;
        let credentials = credentials(&Arc::default(), &github.credential());
        let first = token(&credentials, &github.host.url()).await.unwrap();
        let second = token(&credentials, &github.host.url()).await.unwrap();
        assert_eq!(first == second, requests == 2, "{lifetime}");
        assert_eq!(github.api_requests(), requests, "{lifetime}");
    }
    // It is kept for two seconds.
    let github = github(15 * 60 + 2).await;
    let credentials = credentials(&Arc::default(), &github.credential());
    let first = token(&credentials, &github.host.url()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_ne!(token(&credentials, &github.host.url()).await.unwrap(), first);
}

#[tokio::test]
async fn an_app_of_another_id_and_a_path_that_github_does_not_have_are_refused() {
    let github = github(HOUR).await;
    let mut entry = github.credential();
    entry["app_id"] = json!("54321");
    let error = token(&credentials(&Arc::default(), &entry), &github.host.url())
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InstallationTokenRefused);
    let told = chain(&error);
    for part in ["54321", "Integration not found", PATH, "401"] {
        assert!(told.contains(part), "{told}");
    }
    for path in ["project.git", "a/b/c.git", "a%2fb.git"] {
        let url = format!("{}/{path}", github.host.origin());
        let credentials = credentials(&Arc::default(), &github.credential());
        let error = token(&credentials, &url).await.unwrap_err();
        assert_eq!(error.code(), Code::InstallationTokenRefused, "{path}");
    }
}

/// Asks an API that responds in this way to each request.
async fn code_of(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> (Code, String) {
    let host = Host::answering(answer).await;
    code_at(&host.origin()).await
}

async fn code_at(origin: &str) -> (Code, String) {
    let entry = json!({
        "host": "https://git.example.com", "app_id": APP_ID, "private_key": make_key(), "api_url": format!("{origin}/api"),
        "installation_id": INSTALLATION_ID,
    });
    let credentials = credentials(&Arc::default(), &entry);
    let error = token(&credentials, "https://git.example.com/group/project.git")
        .await
        .unwrap_err();
    let told = chain(&error);
    assert!(
        told.contains(APP_ID) && told.contains("group/project.git"),
        "{told}"
    );
    (error.code(), told)
}

fn issued(token: &str, expires_at: i64) -> Response {
    Response::new(
        201,
        &[],
        json!({"token": token, "expires_at": time(expires_at)}).to_string(),
    )
}

#[tokio::test]
async fn each_response_of_an_api_that_lies_has_its_code() {
    let now = Utc::now().timestamp();
    let long = "x".repeat(300 << 10);
    let limited = ["X-RateLimit-Remaining: 0"];
    for (response, expected) in [
        (issued("ghs_x", now - 1), Code::InstallationTokenInvalid),
        (issued("", now + HOUR), Code::InstallationTokenInvalid),
        (issued("a b", now + HOUR), Code::InstallationTokenInvalid),
        (
            issued("a\nHost: evil", now + HOUR),
            Code::InstallationTokenInvalid,
        ),
        (
            issued(&"x".repeat(1025), now + HOUR),
            Code::InstallationTokenInvalid,
        ),
        (issued(&long, now + HOUR), Code::InstallationTokenInvalid),
        (Response::new(201, &[], "{}"), Code::InstallationTokenInvalid),
        (
            Response::new(200, &[], "[".repeat(100_000)),
            Code::InstallationTokenInvalid,
        ),
        (Response::new(200, &[], "<html>"), Code::InstallationTokenInvalid),
        (
            Response::new(401, &[], long.clone()),
            Code::InstallationTokenInvalid,
        ),
        (Response::new(401, &[], "no"), Code::InstallationTokenRefused),
        (Response::new(403, &[], "{}"), Code::InstallationTokenRefused),
        (Response::new(404, &[], ""), Code::InstallationTokenRefused),
        (Response::new(422, &[], "{}"), Code::InstallationTokenRefused),
        (Response::new(403, &limited, "{}"), Code::GitHostUnreachable),
        (
            Response::new(403, &["Retry-After: 60"], "{}"),
            Code::GitHostUnreachable,
        ),
        (Response::new(429, &[], "{}"), Code::GitHostUnreachable),
        (Response::new(500, &[], "{}"), Code::GitHostUnreachable),
        (Response::new(503, &[], "{}"), Code::GitHostUnreachable),
    ] {
        let status = response.status;
        let (code, told) = code_of(move |_| response.clone()).await;
        assert_eq!(code, expected, "{status}: {told}");
        assert!(!told.contains("evil") && told.len() < 2000, "{told}");
    }
}

#[tokio::test]
async fn the_proof_is_sent_nowhere_else() {
    for status in [301, 302, 303, 307, 308] {
        let thief = Host::answering(|_| Response::new(200, &[], "{}")).await;
        let to = thief.origin() + "/app";
        let (code, told) = code_of(move |_| Response::redirect(status, &to)).await;
        assert_eq!(code, Code::GitHostRedirected, "{told}");
        assert!(told.contains(&thief.origin()), "{told}");
        assert_eq!(thief.requests().len(), 0);
    }
    for to in [
        "file:///etc/passwd",
        "ssh://h/a",
        "http://169.254.169.254/latest/meta-data",
    ] {
        let (code, told) = code_of(move |_| Response::redirect(302, to)).await;
        assert_eq!(code, Code::GitHostRedirected, "{told}");
    }
}

#[tokio::test]
async fn a_proof_that_the_api_repeats_is_not_shown() {
    let proof = |request: &Request| request.headers["authorization"].replace("Bearer ", "");
    for status in [302, 401] {
        let (_, told) = code_of(move |request| {
            let location = format!("Location: http://elsewhere.example/{}", proof(request));
            let body = json!({"message": format!("no {}", proof(request))}).to_string();
            Response::new(status, &[&location], body)
        })
        .await;
        assert!(told.contains("***") && !told.contains("eyJ"), "{told}");
    }
}

#[tokio::test]
async fn an_api_that_cannot_be_reached_or_must_not_be_is_an_error_of_its_own() {
    for (origin, expected) in [
        ("http://127.0.0.1:1", Code::GitHostUnreachable),
        ("http://nowhere.invalid", Code::GitHostUnreachable),
        ("http://169.254.169.254", Code::GitHostNotAllowed),
        ("http://[fd00:ec2::254]", Code::GitHostNotAllowed),
        ("http://[::ffff:169.254.169.254]", Code::GitHostNotAllowed),
    ] {
        let (code, told) = code_at(origin).await;
        assert_eq!(code, expected, "{told}");
    }
}

#[tokio::test]
async fn an_api_that_hangs_is_given_up() {
    let began = Instant::now();
    let silent = Host::serve(|_, connection| async move {
        std::future::pending::<()>().await;
        drop(connection);
        Ok(())
    })
    .await;
    let (code, told) = code_at(&silent.origin()).await;
    assert_eq!(code, Code::GitHostTimedOut, "{told}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
