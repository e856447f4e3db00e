//! How pushes are closed, and who may close them.

pub(crate) mod scene;

use std::time::Duration;

use domain::contract::{Archive, Base, BaseZip, FetchedCommit};
use domain::event::PushEvent;
use domain::flow::StageOutput;
use domain::samples::{archive, delivered, failure, fetched, ignored, retried, superseded};
use domain::state::Status;
use tokio::time::{Instant, timeout};

use super::*;
use scene::{Removal, Scene, uploaded, validated};

/// Returns the summary of a push that is neither delivered nor failed.
fn closed(scene: &Scene, status: Status) -> Closed {
    Closed {
        schema_version: EVENT_SCHEMA,
        push_id: scene.push.push_id,
        status,
        source: "gitlab".to_owned(),
        repository: "group/project".to_owned(),
        ref_name: "refs/tags/v1".to_owned(),
        destination: None,
        commit: None,
        sequence: None,
        delivered: None,
        expired: None,
        sha256: None,
        reason: None,
        failure: None,
        remedy: None,
    }
}

#[tokio::test]
async fn a_push_whose_zip_is_at_its_destination_is_closed_as_delivered() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    let recorded = scene.record("e1", None).await.unwrap();
    assert_eq!(
        recorded,
        Closed {
            commit: Some(fetched().commit),
            sequence: Some(7),
            delivered: Some(delivered()),
            sha256: Some(archive().sha256),
            ..closed(&scene, Status::Delivered)
        }
    );
    assert_eq!(scene.last_event(), PushEvent::PushDelivered(delivered()));
    assert_eq!(scene.staging.removed(), [folder("pushes")]);
}

#[tokio::test]
async fn a_push_that_was_ignored_or_superseded_has_its_event_already() {
    let mut late = uploaded();
    *late.last_mut().unwrap() = PushEvent::PushSuperseded(superseded());
    for (events, status, reason, commit, sequence) in [
        (
            vec![PushEvent::PushIgnored(ignored())],
            Status::Ignored,
            ignored().detail,
            None,
            None,
        ),
        (
            late,
            Status::Superseded,
            superseded().because,
            Some(fetched().commit),
            Some(7),
        ),
    ] {
        let scene = Scene::received().await;
        let events_before = events.len() + 1;
        scene.append_all(events).await;
        let recorded = scene.record("e1", None).await.unwrap();
        let expected = Closed {
            reason: Some(reason),
            commit,
            sequence,
            ..closed(&scene, status)
        };
        assert_eq!(recorded, expected);
        assert_eq!(scene.events().len(), events_before);
        assert_eq!(scene.staging.removed(), [folder("bases"), folder("pushes")]);
    }
}

/// Returns where a push has its objects.
fn folder(kind: &str) -> String {
    format!("{kind}/{}/", scene::push().push_id)
}

/// The next push begins from the one that was delivered last, and what failed may be retried.
#[tokio::test]
async fn what_a_push_leaves_stays_if_it_was_delivered_last() {
    let left = |name: &str| StagedObject {
        key: format!("bases/{name}/archive.zip").parse().unwrap(),
        ..archive().object
    };
    let base = Base {
        push_id: scene::push().push_id,
        other_ref: None,
        commit: fetched().commit,
        packs: Vec::new(),
        zip: Some(BaseZip {
            object: left("before"),
            format: 1,
        }),
    };
    let mut delivered = uploaded();
    delivered[1] = PushEvent::CommitFetched(FetchedCommit {
        base: Some(BaseUse::Used(base.clone())),
        ..fetched()
    });
    delivered[2] = PushEvent::ArchivePackaged(Archive {
        object: left("own"),
        ..archive()
    });
    let mut late = delivered.clone();
    *late.last_mut().unwrap() = PushEvent::PushSuperseded(superseded());
    let failed = delivered[..3].to_vec();
    let mut first = delivered.clone();
    first[1] = PushEvent::CommitFetched(FetchedCommit {
        base: Some(BaseUse::WhyNot("it is the first".to_owned())),
        ..fetched()
    });
    // The next push of another ref takes files from its zip.
    let [of_other_ref, of_same_ref] = ["refs/heads/other", scene::push().ref_name.as_str()].map(|ref_name| {
        let mut events = delivered.clone();
        events[1] = PushEvent::CommitFetched(FetchedCommit {
            base: Some(BaseUse::Used(Base {
                other_ref: Some(ref_name.parse().unwrap()),
                ..base.clone()
            })),
            ..fetched()
        });
        events
    });
    let failure = || Some(failure("Upload", "StorageRefused"));
    let [own, staged] = ["bases", "pushes"].map(folder);
    let before = "bases/before/archive.zip".to_owned();
    for (events, failure, removed) in [
        (delivered, None, vec![before.clone(), staged.clone()]),
        // Each commit of it has a destination of its own.
        (of_same_ref, None, vec![before, staged.clone()]),
        (late, None, vec![own, staged.clone()]),
        (first, None, vec![staged.clone()]),
        (of_other_ref, None, vec![staged.clone()]),
        (failed, failure(), vec![]),
        (uploaded(), None, vec![staged]),
    ] {
        let scene = Scene::received().await;
        scene.append_all(events).await;
        scene.record("e1", failure).await.unwrap();
        assert_eq!(scene.staging.removed(), removed);
    }
}

#[tokio::test]
async fn a_failure_is_written_down_once_and_keeps_what_is_staged() {
    let scene = Scene::received().await;
    scene
        .append_all([validated(), PushEvent::CommitFetched(fetched())])
        .await;
    let failed = Some(failure("Package", "LimitExceeded"));
    let recorded = scene.record("e1", failed.clone()).await.unwrap();
    assert_eq!(
        recorded,
        Closed {
            commit: Some(fetched().commit),
            sequence: Some(7),
            failure: failed.clone(),
            remedy: Some(Code::LimitExceeded.remedy().to_owned()),
            ..closed(&scene, Status::Failed)
        }
    );
    assert_eq!(
        scene.last_event(),
        PushEvent::PushFailed(PushFailed {
            execution_id: "e1".to_owned(),
            failure: failed.clone().unwrap(),
        })
    );
    assert_eq!(scene.staging.removed(), [""; 0]);
    let events = scene.events().len();
    assert_eq!(scene.record("e1", failed).await.unwrap(), recorded);
    assert_eq!(scene.events().len(), events);
    // A later failure is an event of its own.
    scene
        .record("e1", Some(failure("PublishFailure", "States.TaskFailed")))
        .await
        .unwrap();
    assert_eq!(scene.events().len(), events + 1);
}

#[tokio::test]
async fn a_failure_comes_with_its_remedy() {
    let scene = Scene::received().await;
    for name in [
        "StagedObjectMissing",
        "ExecutionAborted",
        "Runtime.OutOfMemory",
        "Unheard",
    ] {
        let recorded = scene.record("e1", Some(failure("Fetch", name))).await.unwrap();
        assert_eq!(recorded.remedy.as_deref(), Some(error::remedy(name)));
    }
}

#[tokio::test]
async fn a_push_that_fails_after_its_delivery_names_its_zip() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    scene.record("e1", None).await.unwrap();
    let failed = failure("Publish", "EventBridge.InternalException");
    let recorded = scene.record("e1", Some(failed.clone())).await.unwrap();
    assert_eq!(
        recorded,
        Closed {
            commit: Some(fetched().commit),
            sequence: Some(7),
            delivered: Some(delivered()),
            sha256: Some(archive().sha256),
            remedy: Some(error::remedy(&failed.error).to_owned()),
            failure: Some(failed),
            ..closed(&scene, Status::Delivered)
        }
    );
    assert_eq!(scene.state().await.status, Status::Delivered);
    assert_eq!(scene.last_event().name(), "PushFailed");
}

#[tokio::test]
async fn the_failure_of_another_execution_does_not_touch_a_push_that_has_ended() {
    for ending in [uploaded(), vec![PushEvent::PushIgnored(ignored())]] {
        let scene = Scene::received().await;
        scene.append_all(ending).await;
        scene.record("e1", None).await.unwrap();
        let before = scene.state().await;
        let failed = failure("ReadSource", "Ssm.ParameterNotFound");
        let recorded = scene.record("e2", Some(failed.clone())).await.unwrap();
        assert_eq!(scene.state().await, before);
        assert_eq!((recorded.status, recorded.failure), (before.status, Some(failed)));
    }
}

#[tokio::test]
async fn an_execution_that_fails_before_it_takes_a_failed_push_over_is_recorded() {
    let scene = Scene::received().await;
    scene
        .record("e1", Some(failure("Fetch", "CommitNotFound")))
        .await
        .unwrap();
    let failed = failure("ReadSource", "Ssm.ParameterNotFound");
    scene.record("e2", Some(failed.clone())).await.unwrap();
    let state = scene.state().await;
    assert_eq!(state.status, Status::Failed);
    assert_eq!(state.failure.unwrap().failure, failed);
}

#[tokio::test]
async fn an_execution_that_was_replaced_cannot_close_the_push() {
    let scene = Scene::received().await;
    scene.append_all([retried("e2")]).await;
    scene.append_all(uploaded()).await;
    let before = scene.state().await;
    let error = scene.record("e1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    assert!(
        error.to_string().contains("e2 has taken over the push"),
        "{error}"
    );
    assert_eq!(scene.state().await, before);
    assert_eq!(scene.staging.removed(), [""; 0]);
    // The other execution closes it.
    scene.record("e2", None).await.unwrap();
    let after = scene.state().await;
    let error = scene.record("e1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    assert_eq!(scene.state().await, after);
}

#[tokio::test]
async fn an_execution_that_was_replaced_cannot_fail_the_push() {
    let scene = Scene::received().await;
    scene.append_all([retried("e2"), validated()]).await;
    let before = scene.state().await;
    let recorded = scene
        .record("e1", Some(failure("Execution", "ExecutionAborted")))
        .await
        .unwrap();
    assert_eq!(scene.state().await, before);
    assert_eq!(recorded.status, Status::Validated);
}

/// A redrive of an execution that was stopped in `Record` goes on there. It has not taken the push over yet.
#[tokio::test]
async fn a_redriven_execution_closes_a_push_only_after_it_has_taken_it_over() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    let stopped = Some(failure("Execution", "ExecutionAborted"));
    scene.record("e1", stopped).await.unwrap();
    let before = scene.state().await;
    let error = scene.record("e1#1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    assert!(error.to_string().contains("has not taken over"), "{error}");
    assert_eq!(scene.state().await, before);
    scene.append_all([retried("e1#1")]).await;
    let recorded = scene.record("e1#1", None).await.unwrap();
    assert_eq!(recorded.status, Status::Delivered);
    assert_eq!(scene.state().await.failure, None);
}

#[tokio::test]
async fn closing_a_push_again_returns_the_same_summary() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    let closed = scene.record("e1", None).await.unwrap();
    assert_eq!(closed.status, Status::Delivered);
    let events = scene.events().len();
    assert_eq!(scene.record("e1", None).await.unwrap(), closed);
    assert_eq!(scene.events().len(), events);
}

#[tokio::test]
async fn an_execution_that_may_not_have_published_leaves_that_to_the_next() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    let closed = scene.record("e1", None).await.unwrap();
    // It dies here, and before that is reported the next one begins.
    scene.append_all([retried("e2")]).await;
    let stopped = Some(failure("Execution", "ExecutionTimedOut"));
    scene.record("e1", stopped).await.unwrap();
    assert_eq!(scene.record("e2", None).await.unwrap(), closed);
    assert_eq!(scene.state().await.failure, None);
}

#[tokio::test]
async fn what_could_not_be_published_is_published_by_another_execution() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    scene.record("e1", None).await.unwrap();
    scene
        .record("e1", Some(failure("Publish", "EventBridge.InternalException")))
        .await
        .unwrap();
    scene.append_all([retried("e2")]).await;
    // The failed execution has published its failure. It stays in the trail until the delivery is published too.
    let error = scene.record("e1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    assert!(scene.state().await.failure.is_some());
    let recorded = scene.record("e2", None).await.unwrap();
    assert_eq!((recorded.failure, recorded.remedy), (None, None));
    assert_eq!(scene.last_event(), PushEvent::PushDelivered(delivered()));
    assert_eq!(scene.state().await.failure, None);
}

#[tokio::test]
async fn a_push_that_has_not_ended_cannot_be_closed() {
    let scene = Scene::received().await;
    scene
        .append_all([validated(), PushEvent::CommitFetched(fetched())])
        .await;
    let error = scene.record("e1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::InputInvalid);
    let push_id = scene.push.push_id;
    assert!(
        error
            .to_string()
            .starts_with(&format!("push {push_id} is Fetched: ")),
        "{error}"
    );
    assert_eq!(scene.staging.removed(), [""; 0]);
    // A failed push has not ended either.
    scene
        .record("e1", Some(failure("Package", "LimitExceeded")))
        .await
        .unwrap();
    let error = scene.record("e1", None).await.unwrap_err();
    assert!(error.to_string().contains("is Failed"), "{error}");
}

#[tokio::test]
async fn an_unknown_push_cannot_be_closed() {
    let scene = Scene::default();
    for failed in [None, Some(failure("Fetch", "CommitNotFound"))] {
        let error = scene.record("e1", failed).await.unwrap_err();
        assert!(error.to_string().contains("is unknown"), "{error}");
        assert_eq!(scene.events(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_is_closed_even_if_its_staged_objects_cannot_be_removed_in_time() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    scene.staging.set(Removal::NeverEnds);
    let begin = Instant::now();
    let recorded = timeout(Duration::from_secs(900), scene.record("e1", None)).await;
    assert_eq!(recorded.unwrap().unwrap().status, Status::Delivered);
    assert_eq!(begin.elapsed().as_secs(), REMOVAL_TIMEOUT.as_secs());
    assert!(
        REMOVAL_TIMEOUT < Duration::from_secs(55),
        "it must be less than the function's timeout"
    );
}

#[tokio::test]
async fn a_push_is_closed_even_if_its_staged_objects_cannot_be_removed() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    scene.staging.set(Removal::Fails);
    let recorded = scene.record("e1", None).await.unwrap();
    assert_eq!(recorded.status, Status::Delivered);
    assert_eq!(scene.staging.removed(), [folder("pushes")]);
}

#[tokio::test]
async fn the_stage_writes_its_event_itself() {
    let scene = Scene::received().await;
    scene.append_all(uploaded()).await;
    let recorded = scene.execute(&scene.envelope("e1", None)).await.unwrap();
    assert_eq!(recorded.event(), None);
    assert_eq!(Closed::recorded(&scene.state().await), None);
    let closings = scene
        .events()
        .iter()
        .filter(|event| event.name() == "PushDelivered")
        .count();
    assert_eq!(closings, 1);
}
