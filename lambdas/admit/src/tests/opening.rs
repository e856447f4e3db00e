//! What is decided about a deployment.

use std::time::Duration;

use delivery::contract::{AdmitInput, Admitted, DeploymentFailure, Envelope, IgnoreReason, Released, Stage};
use delivery::deployment::{Cause, Deployment};
use delivery::event::{DeploymentEvent, DeploymentFailed};
use delivery::state::DeploymentStatus;
use domain::error::Code;
use serde_json::json;

use super::scene::{SETTINGS, Scene, deployment, envelope, push};
use crate::Error;

fn reason(admitted: Admitted) -> IgnoreReason {
    match admitted {
        Admitted::Ignore(ignored) => ignored.reason,
        Admitted::Deploy(request) => panic!("{request:?}"),
    }
}

pub fn failed(execution: &str) -> DeploymentEvent {
    DeploymentEvent::DeploymentFailed(DeploymentFailed {
        execution_id: execution.to_owned(),
        failure: DeploymentFailure {
            stage: "Build".to_owned(),
            error: "TestsFailed".to_owned(),
            cause: "one test".to_owned(),
            clean: true,
        },
    })
}

/// Returns what a deployment may release.
fn released(artifact: &serde_json::Value) -> Released {
    serde_json::from_value(json!({ "artifact": artifact, "functions": [], "outputs": {} })).unwrap()
}

fn artifact() -> serde_json::Value {
    let digest = "a".repeat(64);
    json!({
        "application": "app", "tree": "e".repeat(40), "commit": "a".repeat(40), "directory": "",
        "template": digest, "objects": [], "provenance": digest,
        "tests": {"passed": 1, "skipped": 0},
        "zip": {"bucket": "zips", "key": "k", "version_id": "v", "sha256": digest},
        "buildspec": digest, "build_id": "b:1",
        "built_by": deployment("d1").id(), "built_at": "2023-11-14T22:13:20Z"
    })
}

/// Appends the events of a deployment that was accepted, up to the one in which it has all of the traffic.
pub async fn promote(scene: &Scene, delivery: &str) {
    let planned = json!({"complete": true, "changes": [], "drift": [], "risks": [], "canary": true});
    let applied = json!({"complete": true, "status": "UPDATE_COMPLETE", "functions": [], "outputs": {}});
    for (name, data) in [
        ("DeploymentAdmitted", json!(null)),
        ("ArtifactReused", json!({"artifact": artifact(), "from": "own"})),
        ("ChangesPlanned", planned),
        ("ChangesApplied", applied),
        ("TrafficPromoted", json!({"percent": 100, "functions": []})),
    ] {
        if name == "DeploymentAdmitted" && scene.state(delivery).await.status == DeploymentStatus::Admitted {
            continue;
        }
        let event = json!({ "type": name, "data": data });
        scene
            .append(delivery, serde_json::from_value(event).unwrap())
            .await;
    }
}

/// Appends the events with which a deployment that was accepted is released.
pub async fn release(scene: &Scene, delivery: &str) {
    promote(scene, delivery).await;
    let event = DeploymentEvent::DeploymentReleased(released(&artifact()));
    scene.append(delivery, event).await;
}

#[tokio::test]
async fn a_delivered_push_is_deployed_as_the_trail_has_it() {
    let scene = Scene::default();
    let request = scene.request("d1", 7, "e1").await;
    assert_eq!((request.order, request.push.sequence), (7, 7));
    assert_eq!(request.deployment_id, deployment("d1").id());
    assert_eq!(request.push.tree.as_str(), "e".repeat(40));
    assert_eq!(request.zip.version_id, "v1");
    assert_eq!(request.zip.sha256.to_string(), "c".repeat(64));
    assert_eq!(scene.names("d1"), ["DeploymentRequested", "DeploymentAccepted"]);
    // A state that is run twice writes once.
    let again = scene.admit(&deployment("d1"), "e1").await.unwrap();
    assert_eq!(again, Admitted::Deploy(request));
    assert_eq!(scene.names("d1").len(), 2);
}

#[tokio::test]
async fn a_push_that_is_not_delivered_is_refused() {
    let scene = Scene::default();
    let unknown = scene.admit(&deployment("d1"), "e1").await.unwrap_err();
    assert_eq!(unknown.code, Code::PushNotDelivered);
    let uploaded = push("d2");
    scene.upload(&uploaded, 7, Some("v1")).await;
    let refused = scene.admit(&deployment("d2"), "e2").await.unwrap_err();
    assert!(refused.cause.contains(&uploaded.push_id.to_string()), "{refused}");
    assert_eq!(scene.names("d2"), ["DeploymentRequested", "AttemptFailed"]);
}

#[tokio::test]
async fn a_zip_that_may_be_replaced_while_it_is_built_is_refused() {
    let scene = Scene::default();
    scene.deliver(&push("d1"), 7, None).await;
    let refused = scene.admit(&deployment("d1"), "e1").await.unwrap_err();
    assert_eq!(refused.code, Code::BucketUnversioned);
}

#[tokio::test]
async fn a_push_of_another_source_repository_or_ref_is_ignored() {
    for (from, to) in [
        ("\"gitlab\"", "\"other\""),
        ("group/project", "group/other"),
        ("refs/heads/main", "refs/heads/next"),
    ] {
        let scene = Scene::default();
        scene.deliver(&push("d1"), 7, Some("v1")).await;
        let settings = SETTINGS.replace(from, to);
        let admitted = scene.admit_by(&deployment("d1"), "e1", &settings).await.unwrap();
        assert_eq!(reason(admitted), IgnoreReason::NotOfApplication, "{to}");
        assert_eq!(scene.names("d1"), ["DeploymentRequested", "DeploymentIgnored"]);
    }
}

#[tokio::test]
async fn settings_that_are_malformed_or_of_something_else_are_refused() {
    let scene = Scene::default();
    scene.deliver(&push("d1"), 7, Some("v1")).await;
    for settings in [
        "{".to_owned(),
        SETTINGS.replace("\"dev\"", "\"prod\""),
        SETTINGS.replace("\"application\": \"app\"", "\"application\": \"other\""),
    ] {
        let refused = scene.admit_by(&deployment("d1"), "e1", &settings).await;
        assert_eq!(refused.unwrap_err().code, Code::ApplicationInvalid, "{settings}");
    }
    let elsewhere = Deployment {
        environment: "prod".parse().unwrap(),
        ..deployment("d1")
    };
    let refused = scene.admit(&elsewhere, "e1").await.unwrap_err();
    assert_eq!(refused.code, Code::ApplicationInvalid);
}

#[tokio::test]
async fn a_deployment_that_another_execution_has_in_hand_is_a_duplicate_and_writes_nothing() {
    let scene = Scene::default();
    scene.request("d1", 7, "e1").await;
    let again = scene.admit(&deployment("d1"), "e2").await.unwrap();
    assert_eq!(reason(again), IgnoreReason::Duplicate);
    release(&scene, "d1").await;
    let events = scene.names("d1");
    let again = scene.admit(&deployment("d1"), "e3").await.unwrap();
    assert_eq!(reason(again), IgnoreReason::Duplicate);
    assert_eq!(scene.names("d1"), events);
}

#[tokio::test]
async fn an_execution_that_begins_together_with_another_one_is_not_given_its_output() {
    let scene = Scene::default();
    scene.request("d1", 7, "e1").await;
    let input = json!({ "settings": SETTINGS });
    let payload = envelope(Stage::Admit, &deployment("d1"), "e2", input);
    let envelope: Envelope<AdmitInput> = serde_json::from_value(payload).unwrap();
    let work = async |_: &_| -> Result<Admitted, Error> { panic!("it is decided") };
    let time_limit = Duration::from_secs(20);
    let over = workflow::execute(Stage::Admit, &scene.deployments, &envelope, time_limit, work).await;
    assert_eq!(over.unwrap_err().code, Code::ExecutionOver);
}

#[tokio::test]
async fn a_deployment_that_has_failed_is_taken_over_and_decided_again() {
    let scene = Scene::default();
    scene.request("d1", 7, "e1").await;
    scene.append("d1", failed("e1")).await;
    let admitted = scene.admit(&deployment("d1"), "e2").await.unwrap();
    assert!(matches!(admitted, Admitted::Deploy(_)));
    let names = scene.names("d1");
    assert_eq!(names[3..], ["DeploymentRetried", "DeploymentAccepted"]);
    // The first execution has nothing more to say.
    let late = scene.admit(&deployment("d1"), "e1").await.unwrap();
    assert_eq!(reason(late), IgnoreReason::Duplicate);
}

#[tokio::test]
async fn a_rollback_deploys_what_was_released_without_a_build() {
    let scene = Scene::default();
    let first = scene.request("d1", 7, "e1").await;
    let rollback = Deployment {
        cause: serde_json::from_value::<Cause>(json!({
            "rollback_to": first.deployment_id,
            "request": "00000000-0000-4000-8000-000000000001",
            "by": "jo"
        }))
        .unwrap(),
        ..deployment("d1")
    };
    let refused = scene.admit(&rollback, "e2").await.unwrap_err();
    assert_eq!(refused.code, Code::ReleaseNotFound);
    release(&scene, "d1").await;
    let Admitted::Deploy(request) = scene.admit(&rollback, "e2").await.unwrap() else {
        panic!("there is a release")
    };
    assert_eq!((&request.push, &request.zip), (&first.push, &first.zip));
    assert!(request.order > first.order);
    let to = request.rollback.unwrap();
    assert_eq!((to.to, to.by.as_str()), (first.deployment_id, "jo"));
}

#[tokio::test]
async fn a_payload_of_no_stage_is_refused() {
    let scene = Scene::default();
    for payload in [
        json!({}),
        json!({"stage": "Build"}),
        json!({"stage": "Admit"}),
        json!({"stage": "Queue"}),
    ] {
        let refused = scene.call(payload).await.unwrap_err();
        assert_eq!(refused.code, Code::InputInvalid);
    }
}
