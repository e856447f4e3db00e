//! Tests that a token is sent only to the host that it was given for, however git is configured.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::process::Command;

const TOKEN: &str = "glpat-secret";

/// The requests to a server: their paths, and whether they had a login.
type Asked = Arc<Mutex<Vec<(String, bool)>>>;

async fn serve(answer: impl Fn(&Request) -> Response + Clone + Send + Sync + 'static) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let router = Router::new().fallback(async move |request: Request| {
        let login = request.headers().contains_key(header::AUTHORIZATION);
        log.lock().unwrap().push((request.uri().path().to_owned(), login));
        answer(&request)
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

/// Runs `push-code push URL` with a git that is configured to follow redirects, and to call helpers that record their
/// call in `folder`.
async fn push(folder: &Path, url: &str) -> Output {
    let asked = folder.join("asked");
    let program = folder.join("askpass");
    std::fs::write(
        &program,
        format!("#!/bin/sh\necho askpass >> '{}'\n", asked.display()),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let config = folder.join("config");
    let text = format!(
        "[http]\nfollowRedirects = true\n[http \"{url}\"]\nfollowRedirects = true\n\
         [credential]\nhelper = \"!echo helper >> '{}'; echo username=x; echo password=y; :\"\n",
        asked.display()
    );
    std::fs::write(&config, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_push-code"))
        .args(["push", url, "bucket", "key"])
        .env("PUSH_CODE_TOKEN", TOKEN)
        .env("GIT_CONFIG_GLOBAL", &config)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ASKPASS", &program)
        .env("SSH_ASKPASS", &program)
        .env("NO_PROXY", "*")
        .output()
        .await
        .unwrap()
}

/// Responds as a git host that has one branch, in pkt-lines (<https://git-scm.com/docs/gitprotocol-v2>).
fn git_host(request: &Request) -> Response {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let (kind, body) = if request.uri().path().ends_with("/info/refs") {
        let capabilities = ["version 2\n", "ls-refs\n", "object-format=sha1\n"];
        let capabilities: String = capabilities.iter().map(|text| line(text)).collect();
        let body = line("# service=git-upload-pack\n") + "0000" + &capabilities + "0000";
        ("application/x-git-upload-pack-advertisement", body)
    } else {
        let head = format!("{} HEAD symref-target:refs/heads/main\n", "1".repeat(40));
        ("application/x-git-upload-pack-result", line(&head) + "0000")
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_follows_no_redirect() {
    let folder = tempfile::tempdir().unwrap();
    let (second, asked_second) = serve(git_host).await;
    for status in ["301", "302", "307", "308"] {
        let (first, asked_first) = serve(move |request| {
            let mut response =
                Redirect::temporary(&format!("http://localhost:{}{}", second.port(), request.uri()))
                    .into_response();
            *response.status_mut() = status.parse().unwrap();
            response
        })
        .await;
        let url = format!("http://{first}/group/project.git");
        let output = push(folder.path(), &url).await;
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(
            message.contains("redirects to another address") && message.contains("new URL"),
            "{message}"
        );
        assert!(!message.contains(TOKEN), "{message}");
        let asked = asked_first.lock().unwrap().clone();
        assert_eq!(asked, [("/group/project.git/info/refs".to_owned(), true)]);
        assert_eq!(*asked_second.lock().unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_the_only_login() {
    let folder = tempfile::tempdir().unwrap();
    let (host, _) = serve(|_| {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        (StatusCode::UNAUTHORIZED, challenge).into_response()
    })
    .await;
    let output = push(folder.path(), &format!("http://{host}/group/project.git")).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap_or_default();
    assert_eq!(asked, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_has_a_url_s_password() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "https://user:s3cr3t@[broken/x.git",
        "ftp://user:s3cr3t@example.com/x.git",
        "ftp://user:s3c/r3t@example.com/x.git?private_token=s3cr3t",
        "ssh://git:s3cr3t@127.0.0.1:1/x.git",
        "http://user:s3cr3t@127.0.0.1:1/x.git?private_token=s3cr3t",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_push-code"))
            .args(["push", url, "bucket", "key"])
            .env_remove("PUSH_CODE_TOKEN")
            .env("HOME", folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_PROXY", "*")
            .output()
            .await
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_ne!(output.status.code(), Some(0), "{message}");
        assert!(
            !message.contains("s3c") && !message.contains("r3t"),
            "{url}: {message}"
        );
    }
}
