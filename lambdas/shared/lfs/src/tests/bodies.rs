//! Bodies that servers send instead of an object, none of which is stored.

use std::time::Duration;

use domain::error::Code;

use super::scene::{Scene, pointer};
use super::server::{Server, TestResponse, is_batch};

const CONTENT: &[u8] = b"the content of an object";

/// A server with this response for the object.
async fn sending(answer: TestResponse) -> Server {
    Server::answering(move |request, origin| {
        if is_batch(request) {
            TestResponse::batch(
                &[pointer(CONTENT)],
                &format!("{origin}/object?X-Amz-Signature=s3cret"),
            )
        } else {
            answer.clone()
        }
    })
    .await
}

async fn code_of(answer: TestResponse) -> Code {
    let server = sending(answer).await;
    Scene::new(&server.origin()).code(&[pointer(CONTENT)]).await
}

#[tokio::test]
async fn the_right_object_is_stored_with_and_without_a_length() {
    let chunked = format!(
        "{:x}\r\n{}\r\n0\r\n\r\n",
        CONTENT.len(),
        String::from_utf8_lossy(CONTENT)
    );
    for answer in [
        TestResponse::new(200, &[], CONTENT),
        TestResponse::raw(200, &[], CONTENT),
        TestResponse::raw(200, &["Transfer-Encoding: chunked"], chunked),
    ] {
        let server = sending(answer).await;
        let scene = Scene::new(&server.origin());
        scene.fetch(&[pointer(CONTENT)]).await.unwrap();
        assert_eq!(scene.object(&pointer(CONTENT)), CONTENT);
        assert_eq!(server.requests()[1].target, "/object?X-Amz-Signature=s3cret");
    }
}

#[tokio::test]
async fn another_object_is_refused() {
    let mut other = CONTENT.to_vec();
    other[0] ^= 1;
    assert_eq!(
        code_of(TestResponse::new(200, &[], other)).await,
        Code::LfsInvalid
    );
}

#[tokio::test]
async fn a_longer_object_is_cut_off() {
    let longer = [CONTENT, b"."].concat();
    assert_eq!(
        code_of(TestResponse::new(200, &[], &longer)).await,
        Code::LfsInvalid
    );
    assert_eq!(
        code_of(TestResponse::raw(200, &[], &longer)).await,
        Code::LfsInvalid
    );
    let endless = TestResponse::raw(200, &[], CONTENT).then_again(&[0; 100_000], Duration::ZERO);
    assert_eq!(code_of(endless).await, Code::LfsInvalid);
}

#[tokio::test]
async fn a_shorter_object_is_refused() {
    let shorter = &CONTENT[1..];
    assert_eq!(
        code_of(TestResponse::new(200, &[], shorter)).await,
        Code::LfsInvalid
    );
    assert_eq!(
        code_of(TestResponse::raw(200, &[], shorter)).await,
        Code::LfsInvalid
    );
}

#[tokio::test]
async fn a_connection_that_was_cut_is_a_transient_error() {
    let length = format!("Content-Length: {}", CONTENT.len());
    let cut = TestResponse::raw(200, &[&length], &CONTENT[1..]);
    assert_eq!(code_of(cut).await, Code::GitHostUnreachable);
}

#[tokio::test]
async fn a_compressed_object_is_not_unpacked() {
    let answer = TestResponse::raw(
        200,
        &["Content-Encoding: gzip"],
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
    );
    assert_eq!(code_of(answer).await, Code::LfsInvalid);
}

#[tokio::test]
async fn a_silent_download_times_out() {
    let length = format!("Content-Length: {}", CONTENT.len());
    for answer in [
        TestResponse::raw(200, &[&length], &CONTENT[1..]).then_silence(),
        TestResponse::bytes(b"").then_silence(),
    ] {
        let server = sending(answer).await;
        let mut scene = Scene::new(&server.origin());
        scene.limits.silence_seconds = 1;
        assert_eq!(scene.code(&[pointer(CONTENT)]).await, Code::GitHostTimedOut);
    }
}

#[tokio::test]
async fn a_slow_download_ends_at_the_deadline() {
    let length = format!("Content-Length: {}", CONTENT.len());
    let slow = TestResponse::raw(200, &[&length], b"").then_again(b".", Duration::from_millis(300));
    let server = sending(slow).await;
    let mut scene = Scene::new(&server.origin());
    scene.seconds = 1;
    let (code, told) = scene.refused(&[pointer(CONTENT)]).await;
    assert_eq!(code, Code::LimitExceeded);
    assert!(told.contains("fetch_seconds"), "{told}");
}

#[tokio::test]
async fn each_status_has_its_code() {
    for (status, code) in [
        (204, Code::LfsInvalid),
        (206, Code::LfsInvalid),
        (400, Code::LfsInvalid),
        (401, Code::CredentialsMissing),
        (403, Code::LfsInvalid),
        (404, Code::LfsObjectMissing),
        (410, Code::LfsObjectMissing),
        (429, Code::GitHostUnreachable),
        (503, Code::GitHostUnreachable),
    ] {
        assert_eq!(
            code_of(TestResponse::new(status, &[], "")).await,
            code,
            "{status}"
        );
    }
}

#[tokio::test]
async fn one_failure_stops_the_other_downloads() {
    let contents: Vec<_> = (0..8).map(|number| vec![number; 100]).collect();
    let pointers: Vec<_> = contents.iter().map(|content| pointer(content)).collect();
    let asked = pointers.clone();
    let server = Server::answering(move |request, origin| {
        if !is_batch(request) {
            // The other downloads would take longer.
            let wrong = request.target == "/object/3";
            let answer = TestResponse::raw(200, &["Content-Length: 100"], [0; 50]);
            return if wrong {
                TestResponse::new(404, &[], "")
            } else {
                answer.then_silence()
            };
        }
        let objects: Vec<_> = asked
            .iter()
            .enumerate()
            .map(|(number, pointer)| {
                serde_json::json!({
                    "oid": pointer.oid.as_str(), "size": pointer.size,
                    "actions": {"download": {"href": format!("{origin}/object/{number}")}},
                })
            })
            .collect();
        TestResponse::json(&serde_json::json!({ "objects": objects }))
    })
    .await;
    let scene = Scene::new(&server.origin());
    let started = std::time::Instant::now();
    assert_eq!(scene.code(&pointers).await, Code::LfsObjectMissing);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(server.requests().len(), 1 + 4);
}
