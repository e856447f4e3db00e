//! How deployments end.

use audit::DeploymentTrail;
use delivery::closed::ClosedDeployment;
use delivery::contract::Stage;
use delivery::state::DeploymentStatus;
use domain::error::Code;
use serde_json::{Value, json};

use super::scene::{Scene, applied, artifact, deployment, failure, key, planned, promoted};

fn released() -> Value {
    json!({"released": {"artifact": artifact(), "functions": [], "outputs": {}}, "failure": null})
}

fn nothing() -> Value {
    json!({"released": null, "failure": null})
}

async fn close(scene: &Scene, input: Value) -> ClosedDeployment {
    let closed = scene.call(Stage::Record, "e1", input).await.unwrap();
    serde_json::from_value(closed).unwrap()
}

#[tokio::test]
async fn a_release_is_recorded_once_and_found_by_a_rollback() {
    let scene = Scene::after(applied()).await;
    scene.append(promoted()).await;
    let closed = close(&scene, released()).await;
    assert_eq!(closed.status, DeploymentStatus::Released);
    assert_eq!(closed.deployment_id, deployment().id());
    assert_eq!(closed.commit.as_ref().unwrap().as_str(), "a".repeat(40));
    assert_eq!(close(&scene, released()).await, closed);
    assert_eq!(scene.names()[7..], ["DeploymentReleased"]);
    let releases = scene.trail.releases(&key(), 10).await.unwrap();
    assert_eq!(releases.len(), 1);
    assert_eq!(releases[0].deployment_id, deployment().id());
    assert_eq!(releases[0].subject, "Change it");
    assert_eq!(releases[0].released_at, closed.closed_at);
}

#[tokio::test]
async fn a_plan_without_changes_is_closed_as_unchanged() {
    let scene = Scene::after(planned()).await;
    assert_eq!(close(&scene, nothing()).await.status, DeploymentStatus::Unchanged);
    assert_eq!(close(&scene, nothing()).await.status, DeploymentStatus::Unchanged);
    assert_eq!(scene.names()[5..], ["DeploymentUnchanged"]);
    assert_eq!(scene.trail.releases(&key(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_deployment_that_was_superseded_is_summed_up() {
    let mut events = planned();
    events.truncate(2);
    let scene = Scene::after(events).await;
    let because = "deployment 5 is newer, and runs";
    scene
        .append(
            json!({"type": "DeploymentSuperseded", "data": {"by": deployment().id(), "because": because}}),
        )
        .await;
    let closed = close(&scene, nothing()).await;
    assert_eq!(
        (closed.status, closed.reason.as_deref()),
        (DeploymentStatus::Superseded, Some(because))
    );
    assert_eq!(scene.names().len(), 3);
}

#[tokio::test]
async fn a_deployment_that_has_not_ended_is_not_closed() {
    let scene = Scene::after(applied()).await;
    for input in [nothing(), released()] {
        let failed = scene.call(Stage::Record, "e1", input).await.unwrap_err();
        assert_eq!(failed.code, Code::InputInvalid);
        assert!(failed.cause.contains("is Applied"), "{failed}");
    }
}

#[tokio::test]
async fn a_failure_is_recorded_once_with_its_remedy() {
    let scene = Scene::after(applied()).await;
    for _ in 0..2 {
        let closed = close(&scene, json!({"released": null, "failure": failure()})).await;
        assert_eq!(closed.status, DeploymentStatus::Failed);
        assert_eq!(closed.remedy.as_deref(), Some(Code::TestsFailed.remedy()));
        assert_eq!(closed.failure.unwrap().error, "TestsFailed");
    }
    assert_eq!(scene.names()[6..], ["DeploymentFailed"]);
}

#[tokio::test]
async fn a_failure_before_the_first_event_is_recorded_too() {
    let scene = Scene::default();
    let closed = close(&scene, json!({"released": null, "failure": failure()})).await;
    assert_eq!(closed.status, DeploymentStatus::Failed);
    assert_eq!(scene.names(), ["DeploymentRequested", "DeploymentFailed"]);
}

#[tokio::test]
async fn another_execution_closes_nothing() {
    let scene = Scene::after(applied()).await;
    scene.append(promoted()).await;
    let other = scene.call(Stage::Record, "e2", released()).await.unwrap_err();
    assert_eq!(other.code, Code::ExecutionOver);
    let failed = json!({"released": null, "failure": failure()});
    scene.call(Stage::Record, "e2", failed).await.unwrap();
    assert_eq!(scene.names()[7..], ["AttemptFailed"], "only that it was tried");
}
