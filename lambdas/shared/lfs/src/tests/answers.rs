//! Requests to the batch API, and responses to them.

use std::time::{Duration, Instant};

use domain::error::Code;
use serde_json::json;

use super::scene::{PASSWORD, Scene, pointer};
use super::server::{Server, TestResponse, is_batch, json_of};

const CONTENT: &[u8] = b"content";

/// Returns the code of the error after this response.
async fn code_of(answer: TestResponse) -> Code {
    let server = Server::answering(move |_, _| answer.clone()).await;
    Scene::new(&server.origin()).code(&[pointer(CONTENT)]).await
}

#[tokio::test]
async fn the_request_is_the_one_of_the_specification() {
    let pointer = pointer(CONTENT);
    let asked = [pointer.clone()];
    let server = Server::answering(move |request, origin| {
        if is_batch(request) {
            TestResponse::batch(&asked, &format!("{origin}/object"))
        } else {
            TestResponse::new(200, &[], CONTENT)
        }
    })
    .await;
    let scene = Scene::new(&server.origin()).with_login(&server.origin(), "reader", PASSWORD);
    scene.fetch(&[pointer.clone(), pointer.clone()]).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/group/project.git/info/lfs/objects/batch");
    let media_type = "application/vnd.git-lfs+json";
    assert_eq!(requests[0].headers["accept"], media_type);
    assert_eq!(requests[0].headers["content-type"], media_type);
    assert!(requests[0].headers["user-agent"].starts_with("push-code/"));
    assert!(requests[0].headers["authorization"].starts_with("Basic "));
    assert_eq!(
        json_of(&requests[0]),
        json!({
            "operation": "download", "transfers": ["basic"], "ref": {"name": "refs/heads/main"},
            "objects": [{"oid": pointer.oid.as_str(), "size": 7}], "hash_algo": "sha256",
        })
    );
}

#[tokio::test]
async fn each_status_has_its_code() {
    for (status, code) in [
        (400, Code::LfsInvalid),
        (401, Code::CredentialsMissing),
        (403, Code::CredentialsMissing),
        (404, Code::RepositoryNotFound),
        (406, Code::LfsInvalid),
        (410, Code::LfsInvalid),
        (422, Code::LfsInvalid),
        (429, Code::GitHostUnreachable),
        (500, Code::GitHostUnreachable),
        (503, Code::GitHostUnreachable),
    ] {
        let body = json!({"message": "see https://x/?X-Amz-Signature=s3cret"}).to_string();
        assert_eq!(
            code_of(TestResponse::new(status, &[], body)).await,
            code,
            "{status}"
        );
    }
    for status in [401, 403] {
        let server = Server::answering(move |_, _| TestResponse::new(status, &[], "")).await;
        let scene = Scene::new(&server.origin()).with_login(&server.origin(), "reader", PASSWORD);
        assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::AuthenticationFailed);
    }
}

#[tokio::test]
async fn nonsense_is_refused() {
    for answer in [
        TestResponse::new(200, &["Content-Type: text/html"], "<html>"),
        TestResponse::new(200, &[], "{\"objects\": 7}"),
        TestResponse::new(200, &[], "[".repeat(100_000)),
        TestResponse::json(&json!({"objects": []})),
        TestResponse::new(204, &[], ""),
        TestResponse::bytes(b"SSH-2.0-OpenSSH_9.2\r\n"),
    ] {
        assert_eq!(code_of(answer).await, Code::LfsInvalid);
    }
}

#[tokio::test]
async fn json_without_end_is_refused() {
    let start = "{\"objects\": [";
    let again = "{\"oid\": \"x\"},".repeat(10_000);
    let endless = TestResponse::raw(200, &[], start).then_again(again.as_bytes(), Duration::ZERO);
    assert_eq!(code_of(endless).await, Code::LfsInvalid);
}

#[tokio::test]
async fn a_redirect_of_the_batch_api_is_not_followed() {
    let thief = Server::answering(|_, _| TestResponse::new(200, &[], "{}")).await;
    let to = thief.origin() + "/group/project.git/info/lfs/objects/batch";
    for status in [301, 302, 307, 308] {
        let location = format!("Location: {to}");
        let server = Server::answering(move |_, _| TestResponse::new(status, &[&location], "")).await;
        let scene = Scene::new(&server.origin()).with_login(&server.origin(), "reader", PASSWORD);
        assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostRedirected);
    }
    assert_eq!(thief.requests().len(), 0);
}

#[tokio::test]
async fn the_login_of_another_port_is_not_used() {
    let server = Server::answering(|_, _| TestResponse::new(401, &[], "")).await;
    let scene = Scene::new(&server.origin()).with_login("http://127.0.0.1:1", "reader", PASSWORD);
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::CredentialsMissing);
    assert!(!server.requests()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn silent_and_slow_servers_time_out() {
    let silent = Server::answering(|_, _| TestResponse::bytes(b"HTTP/1.1 200 OK\r\n").then_silence()).await;
    let mut scene = Scene::new(&silent.origin());
    scene.limits.silence_seconds = 1;
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostTimedOut);
    let pause = Duration::from_millis(50);
    for start in [
        "HTTP/1.1 200 OK\r\nX-Drip: ",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n",
    ] {
        let slow =
            Server::answering(move |_, _| TestResponse::bytes(start.as_bytes()).then_again(b" ", pause))
                .await;
        let mut scene = Scene::new(&slow.origin());
        scene.seconds = 1;
        let started = Instant::now();
        let (code, told) = scene.refused(&[pointer(CONTENT)]).await;
        assert_eq!(code, Code::LimitExceeded, "{told}");
        assert!(told.contains("fetch_seconds"), "{told}");
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let scene = Scene::new("http://127.0.0.1:1");
    let (code, told) = scene.refused(&[pointer(CONTENT)]).await;
    assert_eq!(code, Code::GitHostUnreachable);
    assert!(
        told.contains("http://127.0.0.1:1/group/project.git/info/lfs"),
        "{told}"
    );
    let scene = Scene::new("http://host.invalid");
    assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostUnreachable);
}

#[tokio::test]
async fn limits_are_checked_before_any_request() {
    let server = Server::answering(|_, _| TestResponse::new(500, &[], "")).await;
    let mut scene = Scene::new(&server.origin());
    let pointers = [pointer(b"four"), pointer(b"seven"), pointer(b"four")];
    scene.limits.lfs_bytes = 8;
    let (code, told) = scene.refused(&pointers).await;
    assert_eq!(code, Code::LimitExceeded);
    assert!(told.contains("lfs_bytes") && told.contains("9 bytes"), "{told}");
    scene.limits.lfs_bytes = 9;
    scene.limits.file_bytes = 4;
    let (code, told) = scene.refused(&pointers).await;
    assert_eq!(code, Code::LimitExceeded);
    assert!(told.contains("file_bytes"), "{told}");
    scene.limits.file_bytes = 5;
    let mut vast = pointers.to_vec();
    for pointer in &mut vast {
        pointer.size = u64::MAX;
    }
    assert_eq!(scene.code(&vast).await, Code::LimitExceeded);
    let mut lying = pointers.to_vec();
    lying[2].size = 3;
    assert_eq!(scene.code(&lying).await, Code::LfsInvalid);
    let mut extended = pointers.to_vec();
    extended[1].extended = true;
    assert_eq!(scene.code(&extended).await, Code::RepositoryUnsupported);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(scene.code(&pointers).await, Code::GitHostUnreachable);
}
