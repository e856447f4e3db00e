//! A person has to approve.

use audit::DeploymentTrail;
use delivery::contract::Stage;
use delivery::state::DeploymentStatus;
use serde_json::{Value, json};

use super::scene::{Scene, applied, deployment, planned};

fn input(token: &str) -> Value {
    json!({
        "planned": {"complete": true, "changes": [], "drift": [], "risks": [], "canary": true},
        "task_token": token,
    })
}

#[tokio::test]
async fn the_token_of_the_last_attempt_is_kept_and_is_in_no_event() {
    let scene = Scene::after(planned()).await;
    for token in ["t1", "t2"] {
        assert_eq!(
            scene.call(Stage::Approve, "e1", input(token)).await.unwrap(),
            json!({})
        );
    }
    let approval = scene.trail.approval(deployment().id()).await.unwrap().unwrap();
    assert_eq!(
        (approval.task_token.as_str(), approval.execution_id.as_str()),
        ("t2", "e1")
    );
    assert_eq!(scene.names()[5..], ["ApprovalRequested"]);
    assert_eq!(scene.state().await.status, DeploymentStatus::AwaitingApproval);
    let events = serde_json::to_string(&scene.trail.events_of(deployment().id())).unwrap();
    assert!(!events.contains("t2"));
    let decided = json!({"type": "ApprovalDecided", "data": {"approved": true, "by": "jo", "comment": null}});
    scene.call(Stage::Track, "e1", decided).await.unwrap();
    assert_eq!(scene.state().await.status, DeploymentStatus::Planned);
}

#[tokio::test]
async fn a_failure_is_answered_by_the_token() {
    let scene = Scene::after(applied()).await;
    scene.call(Stage::Approve, "e1", input("t1")).await.unwrap();
    scene.call(Stage::Approve, "e2", input("t2")).await.unwrap();
    scene
        .call_with(json!({"stage": "Approve", "input": {"task_token": "t3"}}))
        .await
        .unwrap();
    let failures = scene.tasks.0.lock().unwrap().clone();
    let of = |token: &str, code: &str| (token.to_owned(), code.to_owned());
    assert_eq!(
        failures,
        [
            of("t1", "AuditInvalid"),
            of("t2", "ExecutionOver"),
            of("t3", "InputInvalid")
        ]
    );
}
