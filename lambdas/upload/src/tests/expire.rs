//! Deletions that remove the zip of their ref.

use domain::contract::{Expire, ExpireInput, Expired, Expiry, FoundRef};
use domain::git::ObjectId;
use domain::push::Push;
use domain::samples;

use super::scene::{EXECUTION, Scene, delivered_push, destination, envelope, execution, object_id, push};
use super::store::Step::{Head, Remove};
use super::*;

/// Returns what `Expire` is called with for a deletion after which the git host shows `ref_now`.
fn deletion(delivery: &str, before: char, sequence: u64, ref_now: Option<ObjectId>) -> Envelope<ExpireInput> {
    let input = ExpireInput {
        expire: Expire {
            clone_url: samples::deliver().clone_url,
            destination: destination(),
            sequence,
            further: vec![],
        },
        found: FoundRef { ref_now },
    };
    Envelope {
        execution: execution(EXECUTION),
        ..samples::envelope(push(delivery, Some(before), None), input)
    }
}

async fn expire(scene: &Scene, envelope: &Envelope<ExpireInput>) -> Result<Expiry, Error> {
    crate::expire(&scene.trail, &scene.store, envelope).await
}

/// Checks that the zip of `push` was removed, and that the deletion is the last push of the destination.
async fn assert_expired(
    scene: &Scene,
    deletion: &Envelope<ExpireInput>,
    of: &Push,
    version_id: Option<&str>,
) {
    let expired = Expired {
        bucket: destination().bucket,
        key: destination().key,
        push_id: of.push_id,
        version_id: version_id.map(str::to_owned),
    };
    assert_eq!(expire(scene, deletion).await.unwrap(), Expiry::Expired(expired));
    assert_eq!(scene.store.object(&destination()), None);
    let last = scene.last().await.unwrap();
    assert_eq!(
        (last.push_id, last.after, last.zip_of),
        (deletion.push.push_id, None, Some(of.push_id))
    );
    scene.assert_tidy().await;
}

/// Checks that what is at the destination stays, for a reason that contains `says`.
async fn assert_stays(scene: &Scene, deletion: &Envelope<ExpireInput>, says: &str) {
    let before = (scene.store.object(&destination()), scene.last().await);
    match expire(scene, deletion).await.unwrap() {
        Expiry::Ignored(ignored) => {
            assert_eq!(ignored.reason, IgnoreReason::RefDeleted);
            assert!(ignored.detail.contains(says), "{}", ignored.detail);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((scene.store.object(&destination()), scene.last().await), before);
    assert_eq!(scene.store.count(Remove), 0);
    scene.assert_tidy().await;
}

/// A scene in which a push was delivered.
async fn delivered() -> (Scene, Envelope<UploadInput>) {
    let scene = Scene::default();
    let first = envelope(push("d1", None, Some('a')), 1);
    scene.deliver(&first).await;
    (scene, first)
}

#[tokio::test(start_paused = true)]
async fn the_zip_of_a_deleted_ref_is_removed_once() {
    let (scene, first) = delivered().await;
    let deleted = deletion("d2", 'a', 2, None);
    assert_expired(&scene, &deleted, &first.push, Some("v1")).await;
    // The same attempt again, after its answer was lost.
    assert_expired(&scene, &deleted, &first.push, None).await;
    assert_eq!(scene.store.count(Remove), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removal_whose_answer_is_lost_is_found_by_the_next_attempt() {
    let (scene, first) = delivered().await;
    let deleted = deletion("d2", 'a', 2, None);
    scene.store.lose_response(Remove);
    assert_eq!(
        expire(&scene, &deleted).await.unwrap_err().code(),
        Code::StorageUnavailable
    );
    assert_expired(&scene, &deleted, &first.push, None).await;
}

/// A push between the two deletions, whose webhook is late, would bring the zip back.
#[tokio::test(start_paused = true)]
async fn an_older_deletion_that_comes_late_leaves_the_record_of_a_newer_one() {
    let scene = Scene::default();
    let newer = deletion("d3", 'b', 3, None);
    expire(&scene, &newer).await.unwrap();
    assert_eq!(scene.last().await.unwrap().push_id, newer.push.push_id);
    assert_stays(
        &scene,
        &deletion("d1", 'a', 1, None),
        "there is no zip of the ref",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_the_host_shows_keeps_its_zip() {
    let (scene, _) = delivered().await;
    let claimed = deletion("d2", 'a', 2, Some(object_id('a')));
    assert_stays(&scene, &claimed, "the git host shows refs/tags/v1 again, at aaaa").await;
}

#[tokio::test(start_paused = true)]
async fn a_late_deletion_does_not_remove_what_was_delivered_since() {
    let (scene, _) = delivered().await;
    scene.deliver(&envelope(push("d3", None, Some('b')), 3)).await;
    assert_stays(&scene, &deletion("d2", 'a', 2, None), "came after the deletion").await;
}

/// The zip is that of an earlier push, and stands for a later one that has changed nothing.
#[tokio::test(start_paused = true)]
async fn a_late_deletion_does_not_remove_a_zip_that_a_later_push_has_kept() {
    let (scene, first) = delivered().await;
    let mut record = scene.trail.acquire(&destination()).await.unwrap();
    record.last = Some(DeliveredPush {
        zip_of: Some(first.push.push_id),
        ..DeliveredPush::new(
            &push("d3", None, Some('b')),
            3,
            Some(object_id('b')),
            delivered_push(&first).sha256,
        )
    });
    scene.trail.release(&destination(), record).await.unwrap();
    assert_stays(&scene, &deletion("d2", 'a', 2, None), "came after the deletion").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_refs_zip_stays() {
    let scene = Scene::default();
    let deleted = deletion("d2", 'a', 9, None);
    let foreign = [("commit".to_owned(), "a".to_owned())].into();
    scene.store.place(&destination(), "foreign", foreign);
    assert_stays(&scene, &deleted, "not a delivered zip").await;
    scene.store.remove(&destination());
    let mut other = push("d1", None, Some('a'));
    other.repository = "group/other".parse().unwrap();
    scene.deliver(&envelope(other, 1)).await;
    assert_stays(&scene, &deleted, "refs/tags/v1 of group/other").await;
}

/// Otherwise an earlier push that comes late would be the first one of the destination.
#[tokio::test(start_paused = true)]
async fn a_deletion_is_recorded_where_there_is_no_zip_too() {
    let scene = Scene::default();
    let deleted = deletion("d2", 'a', 2, None);
    for _ in 0..2 {
        match expire(&scene, &deleted).await.unwrap() {
            Expiry::Ignored(ignored) => assert!(ignored.detail.contains("there is no zip of the ref")),
            other => panic!("{other:?}"),
        }
        assert_eq!(scene.last().await.unwrap().push_id, deleted.push.push_id);
        scene.assert_tidy().await;
    }
    let late = scene
        .upload(&envelope(push("d1", None, Some('a')), 1))
        .await
        .unwrap();
    assert!(matches!(late, Uploaded::Superseded(_)), "{late:?}");
    assert_eq!(scene.store.object(&destination()), None);
}

#[tokio::test(start_paused = true)]
async fn a_zip_whose_version_the_bucket_does_not_keep_stays() {
    let (scene, _) = delivered().await;
    for version_id in [None, Some("null")] {
        scene.store.forget_version(&destination(), version_id);
        assert_stays(&scene, &deletion("d2", 'a', 2, None), "keeps no version").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_changes_meanwhile_is_looked_at_again() {
    let (scene, first) = delivered().await;
    let gate = scene.store.gate(Remove, 1);
    let deleted = deletion("d2", 'a', 2, None);
    let (ended, ()) = tokio::join!(expire(&scene, &deleted), async {
        gate.reached().await;
        let metadata = scene.store.object(&destination()).unwrap().metadata;
        scene.store.place(&destination(), "by hand", metadata);
        gate.open();
    });
    assert!(matches!(ended.unwrap(), Expiry::Expired(expired) if expired.push_id == first.push.push_id));
    assert_eq!(
        scene.store.steps().iter().filter(|step| **step == Head).count(),
        4
    );
}

#[tokio::test(start_paused = true)]
async fn an_older_push_that_comes_late_does_not_bring_the_zip_back() {
    let (scene, first) = delivered().await;
    assert_expired(&scene, &deletion("d3", 'c', 3, None), &first.push, Some("v1")).await;
    for (number, sequence) in [("d2", 2), ("d4", 4)] {
        let mut late = envelope(push(number, Some('a'), Some('b')), sequence);
        // It has found no such ref, and the option `commits` allows any commit.
        late.input.fetched.ref_now = None;
        match scene.upload(&late).await.unwrap() {
            Uploaded::Superseded(superseded) => {
                assert_eq!(superseded.by, deletion("d3", 'c', 3, None).push.push_id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(scene.store.object(&destination()), None);
    // A push that has made the ref again is delivered, also at the previous commit.
    scene.deliver(&envelope(push("d5", None, Some('a')), 5)).await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_over_removes_nothing() {
    let (scene, _) = delivered().await;
    let deleted = deletion("d2", 'a', 2, None);
    scene.receive(&deleted.push).await;
    scene.replace(deleted.push.push_id).await;
    assert_eq!(
        expire(&scene, &deleted).await.unwrap_err().code(),
        Code::ExecutionOver
    );
    assert_eq!(scene.store.count(Remove), 0);
    scene.assert_tidy().await;
}
