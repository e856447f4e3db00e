//! Pushes that change nothing that concerns the destination, whose zip stays.

use domain::contract::FetchedInput;
use domain::push::{Push, PushId};

use super::scene::{Scene, delivered_push, destination, envelope, object_id, push};
use super::store::Step::Head;
use super::*;

/// Returns what `Keep` is called with for a push that was compared with the push `since`.
fn keep_envelope(push: Push, sequence: u64, since: PushId) -> Envelope<FetchedInput> {
    let mut upload = envelope(push, sequence);
    upload.input.fetched.unchanged_since = Some(since);
    upload.input.deliver.paths = vec!["services/api/**".to_owned(), "shared/**".to_owned()];
    Envelope {
        push: upload.push,
        execution: upload.execution,
        attempt: 0,
        input: FetchedInput {
            deliver: upload.input.deliver,
            fetched: upload.input.fetched,
        },
    }
}

async fn keep(scene: &Scene, envelope: &Envelope<FetchedInput>) -> Result<Uploaded, Error> {
    crate::keep(&scene.trail, &scene.store, envelope).await
}

fn assert_ignored(kept: Result<Uploaded, Error>) {
    match kept.unwrap() {
        Uploaded::Ignored(ignored) => assert_eq!(ignored.reason, IgnoreReason::PathsUnchanged),
        other => panic!("{other:?}"),
    }
}

/// A scene in which the push `a` was delivered, and a push `b` that changes nothing since.
async fn delivered() -> (Scene, Envelope<UploadInput>, Envelope<FetchedInput>) {
    let scene = Scene::default();
    let first = envelope(push("d1", None, Some('a')), 1);
    scene.deliver(&first).await;
    let since = first.push.push_id;
    (
        scene,
        first,
        keep_envelope(push("d2", Some('a'), Some('b')), 2, since),
    )
}

#[tokio::test(start_paused = true)]
async fn the_zip_stays_and_the_push_is_the_last_one_of_the_destination() {
    let (scene, first, unchanged) = delivered().await;
    let before = scene.store.object(&destination());
    for _ in 0..2 {
        let Ok(Uploaded::Ignored(ignored)) = keep(&scene, &unchanged).await else {
            panic!("the push is not ignored")
        };
        assert_eq!(
            ignored.detail,
            format!(
                "nothing that matches services/api/**, shared/** has changed since push {}, whose zip is at the destination",
                first.push.push_id
            )
        );
        assert_eq!(scene.store.object(&destination()), before);
        let last = scene.last().await.unwrap();
        assert_eq!((last.push_id, last.sequence), (unchanged.push.push_id, 2));
        assert_eq!(last.zip_of, Some(first.push.push_id));
        assert_eq!(last.sha256, delivered_push(&first).sha256);
        scene.assert_tidy().await;
    }
    assert_eq!(scene.store.steps()[5..], [Head, Head], "nothing is written");
}

/// Otherwise the destination would have a zip from before a change that the ref no longer has.
#[tokio::test(start_paused = true)]
async fn an_older_push_that_comes_late_does_not_replace_the_zip() {
    let (scene, first, _) = delivered().await;
    // One push has changed something, and the next one has changed it back.
    let mut late = envelope(push("d2", Some('a'), Some('b')), 2);
    late.input.fetched.ref_now = Some(object_id('c'));
    let unchanged = keep_envelope(push("d3", Some('b'), Some('c')), 3, first.push.push_id);
    assert_ignored(keep(&scene, &unchanged).await);
    match scene.upload(&late).await.unwrap() {
        Uploaded::Superseded(superseded) => assert_eq!(superseded.by, unchanged.push.push_id),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.delivered(), Some(delivered_push(&first)));
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_push_that_comes_late_is_superseded() {
    let (scene, _, unchanged) = delivered().await;
    let later = keep_envelope(
        push("d3", Some('b'), Some('c')),
        3,
        unchanged.input.fetched.unchanged_since.unwrap(),
    );
    assert_ignored(keep(&scene, &later).await);
    match keep(&scene, &unchanged).await.unwrap() {
        Uploaded::Superseded(superseded) => assert_eq!(superseded.by, later.push.push_id),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.last().await.unwrap().push_id, later.push.push_id);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_was_compared_with_another_zip_is_delivered_after_all() {
    let assert_outdated = async |scene: &Scene, unchanged: &Envelope<FetchedInput>| {
        let before = scene.last().await;
        let error = keep(scene, unchanged).await.unwrap_err();
        assert_eq!(error.code(), Code::ComparisonOutdated);
        assert_eq!(scene.last().await, before);
        scene.assert_tidy().await;
    };
    let (scene, _, unchanged) = delivered().await;
    scene
        .deliver(&envelope(push("d3", Some('b'), Some('c')), 3))
        .await;
    assert_outdated(&scene, &unchanged).await;
    scene.store.remove(&destination());
    assert_outdated(&scene, &unchanged).await;
    let foreign = [("commit".to_owned(), "a".to_owned())].into();
    scene.store.place(&destination(), "foreign", foreign);
    assert_outdated(&scene, &unchanged).await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_over_keeps_nothing() {
    let (scene, _, unchanged) = delivered().await;
    scene.receive(&unchanged.push).await;
    scene.replace(unchanged.push.push_id).await;
    let last = scene.last().await;
    let error = keep(&scene, &unchanged).await.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    assert_eq!(scene.last().await, last);
    scene.assert_tidy().await;
}

/// The next push is compared with the zip that is there, not with that of the duplicate, which has none.
#[tokio::test(start_paused = true)]
async fn the_record_of_a_duplicate_names_the_push_whose_zip_is_there() {
    let (scene, first, _) = delivered().await;
    let again = envelope(push("d2", None, Some('a')), 2);
    assert!(matches!(
        scene.upload(&again).await.unwrap(),
        Uploaded::Ignored(_)
    ));
    let last = scene.last().await.unwrap();
    assert_eq!(
        (last.push_id, last.zip_of),
        (again.push.push_id, Some(first.push.push_id))
    );
}
