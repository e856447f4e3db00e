//! The lease: only its holder writes, and always releases it.

use std::time::Duration;

use super::scene::{Scene, delivered_push, destination, document_of, envelope, push};
use super::store::Step::{Complete, Head, Prepare, Put};
use super::*;

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_after_an_error() {
    // The first inspection does not need the lease.
    for (step, nth) in [(Head, 2), (Complete, 1)] {
        let scene = Scene::default();
        let envelope = envelope(push("d1", None, Some('a')), 1);
        scene.store.fail(step, nth);
        let error = scene.upload(&envelope).await.unwrap_err();
        assert_eq!(error.code(), Code::StorageUnavailable);
        assert_eq!(scene.last().await, None);
        scene.assert_tidy().await;
        scene.deliver(&envelope).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_another_has_the_lease() {
    let scene = Scene::default();
    let held = scene.trail.acquire(&destination()).await.unwrap();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let error = scene.upload(&envelope).await.unwrap_err();
    assert_eq!(error.code(), Code::DestinationContended);
    assert!(
        error.to_string().contains("another push is being delivered"),
        "{error}"
    );
    assert_eq!(scene.store.object(&destination()), None);
    assert_eq!(scene.store.copies(), 0);
    assert_eq!(
        scene.record().await,
        Some(held.clone()),
        "the other one still holds it"
    );
    scene.trail.release(&destination(), held).await.unwrap();
    scene.deliver(&envelope).await;
}

/// A ref goes from `a` to `b` and back. The zip of `b` is held up right before its write. The zip of `a` that is
/// written meanwhile has the same entity tag as the first one, so the entity tag alone would not show that it was
/// written.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_one_that_has_read_and_not_yet_written() {
    let scene = Scene::default();
    scene.deliver(&envelope(push("d1", None, Some('a')), 1)).await;
    let there = envelope(push("d2", Some('a'), Some('b')), 2);
    let back = envelope(push("d3", Some('b'), Some('a')), 3);
    let gate = scene.store.gate(Complete, 1);
    let (first, (second, ())) = tokio::join!(scene.deliver(&there), async {
        gate.reached().await;
        tokio::join!(scene.deliver(&back), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            gate.open();
        })
    });
    let version = |delivered: &Delivered| delivered.version_id.clone().unwrap();
    assert_eq!((version(&first), version(&second)), ("v2".into(), "v3".into()));
    assert_eq!(scene.delivered(), Some(delivered_push(&back)));
    assert_eq!(scene.last().await, Some(delivered_push(&back)));
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_has_waited_long_enough_leaves_the_other_alone() {
    let scene = Scene::default();
    scene.deliver(&envelope(push("d1", None, Some('a')), 1)).await;
    let there = envelope(push("d2", Some('a'), Some('b')), 2);
    let back = envelope(push("d3", Some('b'), Some('a')), 3);
    let gate = scene.store.gate(Complete, 1);
    let (_, second) = tokio::join!(scene.deliver(&there), async {
        gate.reached().await;
        let second = scene.upload(&back).await;
        gate.open();
        second
    });
    assert_eq!(second.unwrap_err().code(), Code::DestinationContended);
    assert_eq!(scene.delivered(), Some(delivered_push(&there)));
    scene.assert_tidy().await;
    scene.deliver(&back).await;
    assert_eq!(scene.delivered(), Some(delivered_push(&back)));
}

/// Lets the lease expire, and another writer take it, which records `last` as the last delivered push.
async fn take_lease(scene: &Scene, last: Option<DeliveredPush>) {
    let elsewhere = document_of(&push("d9", None, Some('c')));
    let next = DestinationRecord {
        version: scene.record().await.unwrap().version + 1,
        lease: scene.trail.acquire(&elsewhere).await.unwrap().lease,
        last,
    };
    assert!(scene.trail.put_destination(&destination(), &next).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_cannot_be_recorded_is_found_again() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let gate = scene.store.gate(Complete, 1);
    let (uploaded, ()) = tokio::join!(scene.upload(&envelope), async {
        gate.reached().await;
        take_lease(&scene, None).await;
        gate.open();
    });
    assert_eq!(uploaded.unwrap_err().code(), Code::AuditContended);
    assert_eq!(scene.delivered(), Some(delivered_push(&envelope)));
    assert_eq!(scene.last().await, None);
    let record = scene.record().await.unwrap();
    scene.trail.release(&destination(), record).await.unwrap();
    scene.deliver(&envelope).await;
    assert_eq!(scene.last().await, Some(delivered_push(&envelope)));
    assert_eq!(scene.store.count(Prepare), 1);
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_write_takes_precedence_over_that_of_the_release() {
    let scene = Scene::default();
    let newer = delivered_push(&envelope(push("d2", Some('a'), Some('b')), 2));
    let gate = scene.store.gate(Put, 1);
    scene.store.fail(Complete, 1);
    let envelope = envelope(push("d1", None, Some('a')), 1);
    let (uploaded, ()) = tokio::join!(scene.upload(&envelope), async {
        gate.reached().await;
        take_lease(&scene, Some(newer.clone())).await;
        gate.open();
    });
    assert_eq!(uploaded.unwrap_err().code(), Code::StorageUnavailable);
    let record = scene.record().await.unwrap();
    assert_eq!(record.last, Some(newer));
    assert_ne!(record.lease, None, "the other one still holds it");
}
