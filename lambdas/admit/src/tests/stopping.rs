//! Executions that were stopped, reached their time limit, or failed without a release.

use delivery::contract::Admitted;
use delivery::deployment::{Deployment, DeploymentId};
use delivery::event::DeploymentEvent;
use delivery::state::DeploymentStatus;
use domain::error::Code;
use serde_json::{Value, json};

use super::opening::{failed, promote, release};
use super::scene::{Scene, deployment, go, push, taken_back};

/// Returns an event as EventBridge sends it.
pub fn event(delivery: &str, execution: &str, status: &str) -> Value {
    let input = json!({ "push_id": push(delivery).push_id }).to_string();
    json!({
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "detail": {
            "executionArn": execution,
            "status": status,
            "startDate": 1_551_225_146_847_i64,
            "input": input,
            "error": null,
            "cause": null,
        },
    })
}

#[tokio::test]
async fn a_deployment_that_is_stopped_is_closed_and_passes_the_environment_on() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    scene.queue("d1", "e1/1").await;
    scene.queue("d2", "e2/1").await;
    scene.tasks.end("e1");
    scene.call(event("d1", "e1", "ABORTED")).await.unwrap();
    assert_eq!(scene.tasks.answer_to("e2/1"), go());
    let failure = scene.state("d1").await.failure.unwrap();
    assert_eq!(failure.failure.error, "ExecutionAborted");
    assert!(failure.failure.clean);
    // The event may come twice.
    let events = scene.names("d1");
    scene.call(event("d1", "e1", "ABORTED")).await.unwrap();
    assert_eq!(scene.names("d1"), events);
    assert_eq!(scene.slot().await.holder.unwrap().execution_id, "e2");
}

#[tokio::test]
async fn a_deployment_that_is_stopped_while_it_waits_leaves_the_queue() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    scene.queue("d1", "e1/1").await;
    scene.queue("d2", "e2/1").await;
    scene.call(event("d2", "e2", "TIMED_OUT")).await.unwrap();
    assert_eq!(scene.slot().await.waiting, None);
    assert_eq!(
        scene.state("d2").await.failure.unwrap().failure.error,
        "ExecutionTimedOut"
    );
}

#[tokio::test]
async fn an_execution_that_was_stopped_before_it_has_claimed_the_environment_does_not_get_it() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.call(event("d1", "e1", "ABORTED")).await.unwrap();
    scene.queue("d1", "e1/1").await;
    assert_eq!(scene.slot().await.holder, None);
}

#[tokio::test]
async fn a_deployment_that_was_stopped_between_two_releases_is_not_clean() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.queue("d1", "e1/1").await;
    for (name, data) in [
        ("BuildStarted", json!({"build_id": "b:1", "output_key": "k"})),
        (
            "AttemptFailed",
            json!({"stage": "Build", "attempt": 0, "execution_id": "e1", "error": "x", "cause": "y"}),
        ),
    ] {
        scene
            .append(
                "d1",
                serde_json::from_value(json!({"type": name, "data": data})).unwrap(),
            )
            .await;
    }
    scene.call(event("d1", "e1", "ABORTED")).await.unwrap();
    assert!(
        scene.state("d1").await.failure.unwrap().failure.clean,
        "a build changes nothing"
    );

    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.queue("d1", "e1/1").await;
    let reused = json!({"artifact": null, "from": "own"});
    let planned = json!({"complete": true, "changes": [], "drift": [], "risks": [], "canary": true});
    for (name, data) in [("ArtifactReused", reused), ("ChangesPlanned", planned)] {
        scene
            .append(
                "d1",
                serde_json::from_value(json!({"type": name, "data": data})).unwrap(),
            )
            .await;
    }
    scene.call(event("d1", "e1", "ABORTED")).await.unwrap();
    let failure = scene.state("d1").await.failure.unwrap().failure;
    assert!(!failure.clean);
    assert!(
        failure.cause.contains("between two releases"),
        "{}",
        failure.cause
    );
}

/// A first release, and a second deployment that has all of the traffic, but is not released.
async fn promoted(scene: &Scene) -> (DeploymentId, DeploymentId) {
    scene.request("d1", 1, "e1").await;
    release(scene, "d1").await;
    let first = deployment("d1").id();
    scene.keep_release(first, None).await;
    scene.request("d2", 2, "e2").await;
    scene.queue("d2", "e2/1").await;
    promote(scene, "d2").await;
    (first, deployment("d2").id())
}

#[tokio::test]
async fn what_a_stopped_deployment_has_left_is_taken_back_once() {
    let scene = Scene::default();
    let (first, second) = promoted(&scene).await;
    scene.call(event("d2", "e2", "ABORTED")).await.unwrap();
    let started = scene.started();
    let [(name, cause)] = &started[..] else {
        panic!("{started:?}")
    };
    let rollback = Deployment {
        cause: cause.clone(),
        ..deployment("d2")
    };
    assert_eq!(*name, rollback.id().to_string());
    let (to, of, by) = taken_back(cause);
    assert_eq!((to, of), (first, second));
    assert!(by.contains("e2"), "{by}");
    let failure = scene.state("d2").await.failure.unwrap().failure;
    assert!(failure.cause.contains(name), "{}", failure.cause);
    assert_eq!(scene.slot().await.holder, None);

    // The event may come again, also when the rollback has ended.
    scene.call(event("d2", "e2", "ABORTED")).await.unwrap();
    assert_eq!(scene.started(), started);
    let Admitted::Deploy(request) = scene.admit(&rollback, "r1").await.unwrap() else {
        panic!("there is a release")
    };
    // What is newer than the deployment that is taken back is newer than the rollback.
    assert_eq!(request.order, 2);
    scene.keep_release(rollback.id(), Some(first)).await;
    scene.call(event("d2", "e2", "ABORTED")).await.unwrap();
    assert_eq!(scene.started(), started);

    // Whoever stops the rollback does not want it.
    let mut stopped = event("d2", "r1", "ABORTED");
    stopped["detail"]["input"] = json!(serde_json::to_string(&cause).unwrap());
    scene.call(stopped).await.unwrap();
    assert!(scene.load(rollback.id()).await.failure.is_some());
    assert_eq!(scene.started(), started);
}

#[tokio::test]
async fn a_rollback_that_could_not_be_started_is_started_when_the_event_comes_again() {
    let scene = Scene::default();
    promoted(&scene).await;
    *scene.tasks.failures.lock().unwrap() = 1;
    let refused = scene.call(event("d2", "e2", "ABORTED")).await.unwrap_err();
    assert_eq!(refused.code, Code::WorkflowUnavailable);
    assert_eq!(scene.started(), []);
    scene.call(event("d2", "e2", "ABORTED")).await.unwrap();
    assert_eq!(scene.started().len(), 1);
}

#[tokio::test]
async fn nothing_is_taken_back_of_a_deployment_that_has_changed_nothing_or_has_failed_by_itself() {
    let scene = Scene::default();
    promoted(&scene).await;
    scene.request("d3", 3, "e3").await;
    scene.call(event("d3", "e3", "ABORTED")).await.unwrap();
    assert_eq!(scene.started(), []);
    // It has said how production is.
    let mut dirty = failed("e2");
    if let DeploymentEvent::DeploymentFailed(failed) = &mut dirty {
        failed.failure.clean = false;
    }
    scene.append("d2", dirty).await;
    scene.call(event("d2", "e2", "FAILED")).await.unwrap();
    assert_eq!(scene.started(), []);
}

#[tokio::test]
async fn each_execution_is_taken_back_for_what_it_has_left_itself() {
    let scene = Scene::default();
    let (_, second) = promoted(&scene).await;
    scene.request("d3", 3, "e3").await;
    scene.call(event("d3", "e3", "ABORTED")).await.unwrap();
    // The deployment is retried, and is stopped between two releases.
    let again = scene.admit(&deployment("d3"), "e4").await.unwrap();
    assert!(matches!(again, Admitted::Deploy(_)));
    promote(&scene, "d3").await;
    scene.call(event("d3", "e4", "ABORTED")).await.unwrap();
    let started = scene.started();
    assert_eq!(started.len(), 1);
    scene.call(event("d3", "e3", "ABORTED")).await.unwrap();
    assert_eq!(scene.started(), started);
    // Something was released after the last event of the second one.
    scene.keep_release(deployment("d3").id(), None).await;
    scene.call(event("d2", "e2", "ABORTED")).await.unwrap();
    assert!(!scene.load(second).await.failure.unwrap().failure.clean);
    assert_eq!(scene.started(), started);
}

#[tokio::test]
async fn there_is_no_rollback_of_what_was_never_released() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    promote(&scene, "d1").await;
    scene.call(event("d1", "e1", "TIMED_OUT")).await.unwrap();
    assert_eq!(scene.started(), []);
    let failure = scene.state("d1").await.failure.unwrap().failure;
    assert!(failure.cause.contains("deploy again"), "{}", failure.cause);
}

#[tokio::test]
async fn an_execution_that_was_stopped_before_its_first_event_has_a_trail_and_may_be_followed() {
    let scene = Scene::default();
    scene.deliver(&push("d1"), 1, Some("v1")).await;
    scene.call(event("d1", "e1", "ABORTED")).await.unwrap();
    assert_eq!(scene.names("d1"), ["DeploymentRequested", "DeploymentFailed"]);
    let admitted = scene.admit(&deployment("d1"), "e2").await.unwrap();
    assert!(matches!(admitted, Admitted::Deploy(_)));
}

#[tokio::test]
async fn an_execution_that_has_failed_after_its_release_keeps_its_status() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.queue("d1", "e1/1").await;
    release(&scene, "d1").await;
    let mut failed = event("d1", "e1", "FAILED");
    failed["detail"]["error"] = json!("EventBridge.FailedEntry");
    scene.call(failed).await.unwrap();
    let state = scene.state("d1").await;
    assert_eq!(state.status, DeploymentStatus::Released);
    assert_eq!(state.failure.unwrap().failure.error, "EventBridge.FailedEntry");
    let slot = scene.slot().await;
    assert_eq!((slot.holder, slot.released.unwrap().order), (None, 1));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_an_error() {
    let scene = Scene::default();
    for (field, value) in [
        ("status", json!("SUCCEEDED")),
        ("input", Value::Null),
        ("input", json!("{}")),
        ("startDate", json!(i64::MAX)),
        ("executionArn", Value::Null),
    ] {
        let mut event = event("d1", "e1", "ABORTED");
        event["detail"][field] = value;
        assert_eq!(
            scene.call(event).await.unwrap_err().code,
            Code::InputInvalid,
            "{field}"
        );
    }
}
