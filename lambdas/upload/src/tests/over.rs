//! Executions that were stopped or replaced. Neither stops the functions that the execution has called.

use domain::contract::Failure;
use domain::event::{PushEvent, PushFailed};
use domain::push::PushId;

use super::scene::{EXECUTION, Scene, delivered_push, destination, document_of, envelope, push};
use super::store::Step::{Complete, Prepare, Put};
use super::*;

/// Records that the execution of the envelopes has failed.
async fn fail(scene: &Scene, push_id: PushId) {
    let failed = PushFailed {
        execution_id: EXECUTION.to_owned(),
        failure: Failure {
            stage: "Execution".to_owned(),
            error: "ExecutionAborted".to_owned(),
            cause: "The execution was stopped.".to_owned(),
        },
    };
    scene.append(push_id, PushEvent::PushFailed(failed)).await;
}

async fn assert_nothing_written(scene: &Scene, uploaded: Result<Uploaded, Error>, reason: &str) {
    let error = uploaded.unwrap_err();
    assert_eq!(error.code(), Code::ExecutionOver);
    assert!(error.to_string().contains(reason), "{error}");
    assert_eq!(scene.store.object(&destination()), None);
    assert_eq!((scene.store.count(Put), scene.store.count(Complete)), (0, 0));
    assert_eq!(scene.last().await, None);
    scene.assert_tidy().await;
}

#[tokio::test(start_paused = true)]
async fn the_execution_in_charge_writes() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    scene.receive(&envelope.push).await;
    scene.deliver(&envelope).await;
    assert_eq!(scene.delivered(), Some(delivered_push(&envelope)));
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_was_replaced_writes_nothing() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    scene.receive(&envelope.push).await;
    scene.replace(envelope.push.push_id).await;
    let uploaded = scene.upload(&envelope).await;
    assert_nothing_written(&scene, uploaded, "another-execution has taken over the push").await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_has_failed_or_was_stopped_writes_nothing() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    scene.receive(&envelope.push).await;
    fail(&scene, envelope.push.push_id).await;
    let uploaded = scene.upload(&envelope).await;
    assert_nothing_written(&scene, uploaded, "was stopped").await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_replaced_while_it_copies_writes_nothing() {
    let scene = Scene::default();
    let envelope = envelope(push("d1", None, Some('a')), 1);
    scene.receive(&envelope.push).await;
    let gate = scene.store.gate(Prepare, 1);
    let (uploaded, ()) = tokio::join!(scene.upload(&envelope), async {
        gate.reached().await;
        scene.replace(envelope.push.push_id).await;
        gate.open();
    });
    assert_eq!(scene.store.document(&document_of(&envelope.push)), None);
    assert_nothing_written(&scene, uploaded, "another-execution").await;
}
