//! A destination gets an earlier version again, and keeps it until a push moves the ref.

use deployed_stack::Error;
use deployed_stack::rollback::roll_back;
use domain::state::Status;
use git_host::Options;
use serde_json::json;

use crate::fixtures::repository::{MAIN, Repository};
use crate::fixtures::scene::{Run, Scene};
use crate::sweep::sweep;

const ROLLED_BACK: [&str; 5] = [
    "PushReceived",
    "PushValidated",
    "VersionFound",
    "ArchiveUploaded",
    "PushDelivered",
];

/// Commits a file, and delivers the push. Returns the commit with the run.
async fn push(scene: &Scene, repository: &Repository, before: Option<&str>, content: &str) -> (String, Run) {
    let commit = repository.commit_file("file", content);
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, before, Some(&commit)))
        .await;
    (commit, run)
}

async fn rolled_back(scene: &Scene, to: &Run) -> Run {
    let id = roll_back(&scene.stack.handle(), to.state()).await.unwrap();
    scene.follow(&id.to_string()).await
}

#[tokio::test]
async fn a_rollback_delivers_the_recorded_version_which_no_late_push_replaces_but_the_next_one_does() {
    let (scene, _host) = Scene::over_http("rolled-back", Options::default()).await;
    let repository = scene.repository("group/project");
    let (first, run_of_first) = push(&scene, &repository, None, "first").await;
    let (second, run_of_second) = push(&scene, &repository, Some(&first), "second").await;
    // What the key has now is the second zip.
    let there = scene.object(run_of_first.delivered()).await;
    assert_eq!(there.metadata["commit"], second);
    // This push is on the host, but its webhook has not come yet.
    let third = repository.commit_file("file", "third");

    let rollback = rolled_back(&scene, &run_of_first).await;
    assert_eq!(rollback.events(), ROLLED_BACK, "{rollback:#?}");
    let object = scene.object(rollback.delivered()).await;
    assert_eq!(object.metadata["commit"], first);
    assert_eq!(object.metadata["trigger"], "rollback");
    let archive = run_of_first.state().archive.as_ref().unwrap();
    assert_eq!(crate::sha256(&object.bytes), archive.sha256);
    let pusher = rollback.state().push.pusher.as_ref().unwrap();
    assert!(pusher.starts_with("arn:aws:iam::"), "{pusher}");
    assert_eq!(
        rollback
            .state()
            .fetched
            .as_ref()
            .unwrap()
            .ref_now
            .as_ref()
            .unwrap()
            .as_str(),
        third
    );
    scene
        .stack
        .inbox
        .event("Push Delivered", &rollback.push_id.to_string())
        .await;

    // The sweep finds nothing to undo it with, except for the push whose webhook is missing.
    for late in [
        scene.hook(&repository.path, MAIN, Some(&second), Some(&third)),
        scene.hook(&repository.path, MAIN, Some(&first), Some(&second)),
    ] {
        let late = scene.push(&late).await;
        let superseded = late.state().superseded.as_ref().unwrap();
        assert_eq!(superseded.by, rollback.push_id, "{superseded:?}");
        assert_eq!(
            superseded.because,
            format!(
                "{MAIN} has not moved to this push since rollback {}",
                rollback.push_id
            )
        );
    }
    assert_eq!(scene.object(rollback.delivered()).await.metadata["commit"], first);
    let again = scene
        .follow(&scene.new_execution(run_of_second.push_id).await)
        .await;
    assert_eq!(again.state().status, Status::Delivered);
    assert_eq!(
        scene.object(rollback.delivered()).await.metadata["commit"],
        first,
        "it is only told again"
    );

    let (fourth, run) = push(&scene, &repository, Some(&third), "fourth").await;
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], fourth);
    let late = scene.follow(&scene.new_execution(rollback.push_id).await).await;
    assert_eq!(late.state().status, Status::Delivered);
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], fourth);
    assert_eq!(scene.versions_of_zips().await, 4);
}

#[tokio::test]
async fn the_sweep_does_not_undo_a_rollback() {
    let (scene, _host) = Scene::over_http("rolled-back-swept", Options::default()).await;
    let repository = scene.repository("group/project");
    let (first, to) = push(&scene, &repository, None, "first").await;
    push(&scene, &repository, Some(&first), "second").await;
    let rollback = rolled_back(&scene, &to).await;
    let report = sweep(&scene).await;
    assert_eq!(
        (report.started.count, report.differing.count),
        (0, 0),
        "{report:#?}"
    );
    assert_eq!(scene.object(rollback.delivered()).await.metadata["commit"], first);
}

#[tokio::test]
async fn a_rollback_needs_no_git_host_and_says_what_is_not_known_then() {
    let (scene, host) = Scene::over_http("rolled-back-alone", Options::default()).await;
    let repository = scene.repository("group/project");
    let (first, to) = push(&scene, &repository, None, "first").await;
    push(&scene, &repository, Some(&first), "second").await;
    scene.put_git_secret(&json!({"credentials": []})).await;
    let rollback = rolled_back(&scene, &to).await;
    assert_eq!(scene.object(rollback.delivered()).await.metadata["commit"], first);
    let warning = &rollback.state().archive.as_ref().unwrap().warnings[0];
    assert!(warning.contains(&host.origin()), "{warning}");
}

#[tokio::test]
async fn a_version_that_is_gone_fails_the_rollback_and_nothing_else() {
    let (scene, _host) = Scene::over_http("rolled-back-gone", Options::default()).await;
    let repository = scene.repository("group/project");
    let (first, to) = push(&scene, &repository, None, "first").await;
    let (second, last) = push(&scene, &repository, Some(&first), "second").await;
    let zip = to.delivered();
    let delete = scene.stack.handle().s3().delete_object();
    let delete = delete.bucket(&zip.bucket).key(zip.key.as_str());
    delete
        .set_version_id(zip.version_id.clone())
        .send()
        .await
        .unwrap();
    let rollback = rolled_back(&scene, &to).await;
    let failure = &rollback.state().failure.as_ref().unwrap().failure;
    assert_eq!((&*failure.stage, &*failure.error), ("Upload", "VersionMissing"));
    assert!(failure.cause.contains("pushes list"), "{failure:?}");
    assert_eq!(scene.object(last.delivered()).await.metadata["commit"], second);
    let other = scene
        .push(&scene.hook("group/other", "refs/heads/none", None, Some(&first)))
        .await;
    let error = roll_back(&scene.stack.handle(), other.state()).await.unwrap_err();
    assert!(matches!(error, Error::NoVersion { .. }), "{error}");
}
