//! Tests hosts that misbehave, and a commit that is far larger than the pack that the host sends: each fails the push
//! with an error of its own, and leaves nothing in the destination and nothing staged.

use git_host::Options;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::endless::{Phase, endless, endless_pack};
use testkit::http::{Host, Response, before_pack, sending};

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Run, Scene};

/// The pushed commit. The hosts claim to have it.
const COMMIT: &str = "1111111111111111111111111111111111111111";

/// Checks that a push from `host` with these limits fails in Fetch with `error`.
async fn assert_fetch_fails(source: &str, host: &Host, limits: Value, error: &str) -> Run {
    let scene = Scene::on(source, host).await;
    scene
        .configure(|settings| settings["options"] = json!({ "limits": limits }))
        .await;
    let run = scene
        .push(&scene.hook("group/project", MAIN, None, Some(COMMIT)))
        .await;
    scene.assert_failed(&run, "Fetch", error).await;
    assert_eq!(scene.staged_keys(run.push_id).await, [""; 0]);
    run
}

#[tokio::test]
async fn a_host_that_asks_for_the_password_again_and_again_fails_the_push() {
    let host = Host::answering(|_| Response::unauthorized()).await;
    let run = assert_fetch_fails("asks-again", &host, json!({}), "AuthenticationFailed").await;
    assert_eq!(run.failed_attempts().len(), 1);
    // The first request is without the password, and the second one with it.
    assert_eq!(host.requests().len(), 2);
}

#[tokio::test]
async fn a_host_that_redirects_elsewhere_fails_the_push_and_the_password_is_not_sent_there() {
    let other = Host::answering(|_| Response::new(404, &[], "")).await;
    let target = other.url().replace("127.0.0.1", "localhost") + "/info/refs?service=git-upload-pack";
    let host = Host::answering(move |request| match request.has_credentials() {
        true => Response::redirect(302, &target),
        false => Response::unauthorized(),
    })
    .await;
    assert_fetch_fails("redirects", &host, json!({}), "GitHostRedirected").await;
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_host_that_says_nothing_fails_the_push_after_all_its_attempts() {
    let host = Host::serve(|_, connection| async move {
        std::future::pending::<()>().await;
        drop(connection);
        Ok(())
    })
    .await;
    let limits = json!({"silence_seconds": 1});
    let run = assert_fetch_fails("silent", &host, limits, "GitHostTimedOut").await;
    assert_eq!(run.failed_attempts().len(), 6);
}

#[tokio::test]
async fn a_host_that_sends_for_ever_fails_the_push() {
    let [start, block] = endless_pack();
    let bytes = [[before_pack(), start].concat(), block];
    let host = endless(COMMIT, "", Phase::Pack, bytes, Duration::ZERO).await;
    let limits = json!({"pack_bytes": 1 << 20});
    let run = assert_fetch_fails("endless", &host, limits, "LimitExceeded").await;
    let cause = run.ended.cause.as_deref().unwrap();
    assert!(cause.contains("options.limits.pack_bytes"), "{cause}");
}

#[tokio::test]
async fn a_pack_with_fewer_objects_than_it_claims_fails_the_push() {
    let host = sending(COMMIT, b"PACK\0\0\0\x02\0\0\0\x09").await;
    assert_fetch_fails("damaged", &host, json!({}), "RepositoryInvalid").await;
}

#[tokio::test]
async fn a_file_of_10_gb_in_a_small_pack_fails_the_push() {
    let (scene, _host) = Scene::over_http("ten-gigabytes", Options::default()).await;
    let project = scene.repository("group/project");
    // A sparse file of zeros, which git deflates to 46 MB.
    let zeros = tempfile::NamedTempFile::new().unwrap();
    zeros.as_file().set_len(10 << 30).unwrap();
    let blob = project.git([
        "-c",
        "core.compression=1",
        "hash-object",
        "-w",
        zeros.path().to_str().unwrap(),
    ]);
    let tree = project.git_with(["mktree"], format!("100644 blob {blob}\tzeros\n").as_bytes());
    let commit = project.git(["commit-tree", "-m", "Add zeros", &tree]);
    project.git(["update-ref", MAIN, &commit]);
    let run = scene
        .push(&scene.hook(&project.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Package", "LimitExceeded").await;
    let cause = run.ended.cause.as_deref().unwrap();
    assert!(
        cause.contains("options.limits.file_bytes: zeros has 10737418240 bytes"),
        "{cause}"
    );
    let fetched = run.state().fetched.as_ref().unwrap();
    assert!(fetched.pack.size < 100 << 20, "{}", fetched.pack.size);
}
