//! Rollbacks: an earlier version is copied, and stays until a push moves the ref.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::contract::Version;
use domain::push::{Push, PushId};
use serde_json::Value;
use uuid::Uuid;

use super::scene::{Scene, destination, envelope, object_id, push};
use super::*;

/// Returns the rollback to a push whose zip is this version, while the ref points to `ref_now`.
fn rollback(
    to: &Envelope<UploadInput>,
    version_id: &str,
    sequence: u64,
    ref_now: char,
) -> Envelope<UploadInput> {
    let mut rollback = envelope(to.push.rolled_back_to(Uuid::nil(), None), sequence);
    rollback.input.fetched.ref_now = Some(object_id(ref_now));
    // It was removed when the push was closed.
    rollback.input.archive.object.key = "pushes/gone/archive.zip".parse().unwrap();
    rollback.input.archive.object.sha256 = None;
    rollback.input.deliver.rollback = Some(Version {
        push_id: to.push.push_id,
        bucket: destination().bucket,
        key: destination().key,
        version_id: version_id.to_owned(),
    });
    rollback
}

fn superseded_by(uploaded: Result<Uploaded, Error>) -> PushId {
    match uploaded.unwrap() {
        Uploaded::Superseded(superseded) => superseded.by,
        other => panic!("{other:?}"),
    }
}

fn pushes() -> [Push; 3] {
    [
        push("d1", None, Some('a')),
        push("d2", Some('a'), Some('b')),
        push("d3", Some('b'), Some('c')),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_rollback_copies_the_recorded_version_and_only_the_next_push_replaces_it() {
    let scene = Scene::default();
    let [first, second, third] = pushes();
    let first = envelope(first, 1);
    let version_id = scene.deliver(&first).await.version_id.unwrap();
    scene.deliver(&envelope(second.clone(), 2)).await;
    let rollback = rollback(&first, &version_id, 3, 'b');
    let delivered = scene.deliver(&rollback).await;
    assert_ne!(delivered.version_id.as_deref(), Some(&*version_id));
    let current = scene.delivered().unwrap();
    assert_eq!(
        (current.push_id, &current.sha256),
        (rollback.push.push_id, &first.input.archive.sha256)
    );
    assert_eq!(scene.last().await, Some(current));
    // The webhook of the push before it comes once more, as another delivery.
    let late = Push {
        before: second.before.clone(),
        after: second.after.clone(),
        ..push("d4", None, None)
    };
    assert_eq!(
        superseded_by(scene.upload(&envelope(late, 4)).await),
        rollback.push.push_id
    );
    scene.deliver(&envelope(third, 5)).await;
    assert_eq!(
        superseded_by(scene.upload(&rollback).await),
        scene.delivered().unwrap().push_id
    );
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_delivered_once_and_says_where_it_comes_from() {
    let scene = Scene::default();
    let [first, second, _] = pushes();
    let first = envelope(first, 1);
    let version_id = scene.deliver(&first).await.version_id.unwrap();
    scene.deliver(&envelope(second, 2)).await;
    let rollback = rollback(&first, &version_id, 3, 'b');
    let delivered = scene.deliver(&rollback).await;
    assert_eq!(scene.deliver(&rollback).await, delivered);
    let document = scene
        .store
        .document(&super::scene::document_of(&rollback.push))
        .unwrap();
    let envelope: Value = serde_json::from_slice(&document.bytes).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        statement["predicate"]["buildDefinition"]["internalParameters"]["rollback_to"],
        first.push.push_id.to_string()
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_has_expired_is_a_failure_of_its_own_and_leaves_what_is_there() {
    let scene = Scene::default();
    let [first, second, _] = pushes();
    let first = envelope(first, 1);
    let version_id = scene.deliver(&first).await.version_id.unwrap();
    scene.deliver(&envelope(second, 2)).await;
    let before = scene.delivered();
    scene.store.expire_versions();
    let error = scene
        .upload(&rollback(&first, &version_id, 3, 'b'))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::VersionMissing);
    let expected = format!("version {version_id} of {}", destination());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(scene.delivered(), before);
    scene.assert_tidy().await;
}
