//! Which zips are written, by what is known of the destination. The rules of the order are tested in `domain`.

use domain::push::Push;

use super::scene::{Scene, delivered_push, destination, envelope, push};
use super::store::Step::{Abort, Complete, Head, Prepare, Put};
use super::*;

fn superseded_by(uploaded: Result<Uploaded, Error>, newer: &Push) {
    match uploaded.unwrap() {
        Uploaded::Superseded(superseded) => assert_eq!(superseded.by, newer.push_id),
        other => panic!("{other:?}"),
    }
}

/// Returns what the record says of a push that is a duplicate of another one, whose zip is there.
fn recorded(duplicate: &Envelope<UploadInput>, original: &Envelope<UploadInput>) -> DeliveredPush {
    DeliveredPush {
        zip_of: Some(original.push.push_id),
        ..delivered_push(duplicate)
    }
}

/// Returns two pushes, one after the other.
fn older_and_newer() -> (Envelope<UploadInput>, Envelope<UploadInput>) {
    (
        envelope(push("d1", None, Some('a')), 1),
        envelope(push("d2", Some('a'), Some('b')), 2),
    )
}

#[tokio::test(start_paused = true)]
async fn a_newer_zip_replaces_an_older_one() {
    let scene = Scene::default();
    let (older, newer) = older_and_newer();
    scene.deliver(&older).await;
    scene.deliver(&newer).await;
    assert_eq!(scene.delivered(), Some(delivered_push(&newer)));
    assert_eq!(scene.last().await, Some(delivered_push(&newer)));
}

#[tokio::test(start_paused = true)]
async fn a_zip_that_comes_too_late_is_not_even_copied() {
    let scene = Scene::default();
    let (older, newer) = older_and_newer();
    scene.deliver(&newer).await;
    let before = (scene.store.object(&destination()), scene.record().await);
    superseded_by(scene.upload(&older).await, &newer.push);
    assert_eq!((scene.store.object(&destination()), scene.record().await), before);
    assert_eq!(scene.store.steps()[5..], [Head]);
}

#[tokio::test(start_paused = true)]
async fn a_zip_that_was_removed_is_not_followed_by_an_older_one() {
    let scene = Scene::default();
    let (older, newer) = older_and_newer();
    scene.deliver(&newer).await;
    scene.store.remove(&destination());
    superseded_by(scene.upload(&older).await, &newer.push);
    assert_eq!(scene.store.object(&destination()), None);
    assert_eq!(scene.last().await, Some(delivered_push(&newer)));
    assert_eq!(scene.store.steps()[5..], [Head, Prepare, Head, Abort]);
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_zip_that_was_removed_is_written_again_by_its_own_push() {
    let scene = Scene::default();
    let (_, newer) = older_and_newer();
    scene.deliver(&newer).await;
    scene.store.remove(&destination());
    scene.deliver(&newer).await;
    assert_eq!(scene.delivered(), Some(delivered_push(&newer)));
}

#[tokio::test(start_paused = true)]
async fn a_newer_zip_that_came_while_an_older_one_was_copied_stays() {
    let scene = Scene::default();
    let (older, newer) = older_and_newer();
    let gate = scene.store.gate(Prepare, 1);
    let (uploaded, _) = tokio::join!(scene.upload(&older), async {
        gate.reached().await;
        let delivered = scene.deliver(&newer).await;
        gate.open();
        delivered
    });
    superseded_by(uploaded, &newer.push);
    assert_eq!(scene.delivered(), Some(delivered_push(&newer)));
    assert_eq!(scene.last().await, Some(delivered_push(&newer)));
    scene.assert_tidy().await;
}

/// The zip of another repository for the same key.
fn of_another_repository() -> Envelope<UploadInput> {
    let mut push = push("d9", None, Some('c'));
    push.repository = "group/other".parse().unwrap();
    envelope(push, 1)
}

fn assert_occupied(uploaded: Result<Uploaded, Error>) {
    let error = uploaded.unwrap_err();
    assert_eq!(error.code(), Code::DestinationOccupied);
    assert_eq!(
        error.to_string(),
        "s3://zips/gitlab/group/project/tags/v1.zip holds refs/tags/v1 of group/other (source gitlab), and nothing of \
         this push's repository and ref"
    );
}

#[tokio::test(start_paused = true)]
async fn a_zip_of_another_repository_is_never_replaced() {
    let scene = Scene::default();
    let other = of_another_repository();
    scene.deliver(&other).await;
    assert_occupied(scene.upload(&envelope(push("d1", None, Some('a')), 2)).await);
    assert_eq!(scene.delivered(), Some(delivered_push(&other)));
    assert_eq!(scene.store.steps()[5..], [Head]);
}

#[tokio::test(start_paused = true)]
async fn a_zip_of_another_repository_that_came_meanwhile_is_not_replaced_either() {
    let scene = Scene::default();
    let other = of_another_repository();
    let mine = envelope(push("d1", None, Some('a')), 2);
    let gate = scene.store.gate(Prepare, 1);
    let (uploaded, _) = tokio::join!(scene.upload(&mine), async {
        gate.reached().await;
        let delivered = scene.deliver(&other).await;
        gate.open();
        delivered
    });
    assert_occupied(uploaded);
    assert_eq!(scene.delivered(), Some(delivered_push(&other)));
    assert_eq!(scene.last().await, Some(delivered_push(&other)));
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_delivered_under_another_delivery_is_ignored() {
    let scene = Scene::default();
    let original = envelope(push("d1", Some('a'), Some('b')), 1);
    let duplicate = envelope(push("d2", Some('a'), Some('b')), 2);
    scene.deliver(&original).await;
    let ignored = match scene.upload(&duplicate).await.unwrap() {
        Uploaded::Ignored(ignored) => ignored,
        other => panic!("{other:?}"),
    };
    assert_eq!(ignored.reason, IgnoreReason::Duplicate);
    assert_eq!(ignored.duplicate_of, Some(original.push.push_id));
    assert_eq!(
        ignored.detail,
        format!(
            "push {} has already delivered the same change of refs/tags/v1",
            original.push.push_id
        )
    );
    assert_eq!(scene.delivered(), Some(delivered_push(&original)));
    assert_eq!(scene.store.steps()[5..], [Head, Head]);
    // The record names the later one, so that a push between the two is older.
    assert_eq!(scene.last().await, Some(recorded(&duplicate, &original)));
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_written_if_the_original_is_removed_before_the_lease_is_taken() {
    let scene = Scene::default();
    let duplicate = envelope(push("d2", Some('a'), Some('b')), 2);
    scene
        .deliver(&envelope(push("d1", Some('a'), Some('b')), 1))
        .await;
    let gate = scene.store.gate(Head, 2);
    let (delivered, ()) = tokio::join!(scene.deliver(&duplicate), async {
        gate.reached().await;
        scene.store.remove(&destination());
        gate.open();
    });
    assert_eq!(delivered.version_id.as_deref(), Some("v2"));
    assert_eq!(scene.delivered(), Some(delivered_push(&duplicate)));
    assert_eq!(
        scene.store.steps()[5..],
        [Head, Head, Head, Prepare, Head, Put, Complete]
    );
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_was_deleted_and_created_again_is_delivered_again() {
    let scene = Scene::default();
    let mut numbered = Vec::new();
    for (delivery, before, after) in [
        ("d1", None, Some('a')),
        ("d2", Some('a'), None),
        ("d3", None, Some('a')),
    ] {
        let push = push(delivery, before, after);
        let sequence = scene.trail.number(&push).await.unwrap();
        if push.after.is_some() {
            let envelope = envelope(push, sequence);
            scene.deliver(&envelope).await;
            numbered.push(envelope);
        }
    }
    assert_eq!(scene.delivered(), Some(delivered_push(&numbered[1])));
    let version = scene.store.object(&destination()).unwrap().version_id;
    assert_eq!(version.as_deref(), Some("v2"));
}

#[tokio::test(start_paused = true)]
async fn the_record_stays_with_the_newest_push_when_an_older_one_is_found_delivered_once_more() {
    let scene = Scene::default();
    // a -> b -> a -> b. The third push is found to be a duplicate of the first, and the second one is late.
    let there = envelope(push("d1", Some('a'), Some('b')), 1);
    let back = envelope(push("d2", Some('b'), Some('a')), 2);
    let there_again = envelope(push("d3", Some('a'), Some('b')), 3);
    scene.deliver(&there).await;
    scene.upload(&there_again).await.unwrap();
    // The first upload runs once more.
    scene.deliver(&there).await;
    assert_eq!(scene.last().await, Some(recorded(&there_again, &there)));
    superseded_by(scene.upload(&back).await, &there_again.push);
    assert_eq!(scene.delivered(), Some(delivered_push(&there)));
    scene.assert_tidy().await;
}
