//! What states without a function have done.

use delivery::contract::Stage;
use delivery::state::DeploymentStatus;
use domain::error::Code;
use serde_json::json;

use super::scene::{Scene, applied, failure, promoted, shifted};

#[tokio::test]
async fn the_events_of_a_canary_are_written_in_order() {
    let scene = Scene::after(applied()).await;
    let probed = |alias: &str| json!({"type": "ProbePassed", "data": {"alias": alias, "functions": ["Ask"]}});
    let judged = |percent: u8| {
        json!({"type": "CanaryJudged", "data":
            {"verdict": "Pass", "percent": percent, "raised": [], "without_data": []}})
    };
    for tracked in [
        probed("next"),
        shifted(10),
        judged(10),
        probed("live"),
        shifted(50),
        judged(50),
        probed("live"),
        promoted(),
    ] {
        // A response may be lost, and the state is run again then.
        for _ in 0..2 {
            let output = scene.call(Stage::Track, "e1", &tracked).await.unwrap();
            assert_eq!(output, json!({}));
        }
    }
    assert_eq!(
        scene.names()[6..],
        [
            "ProbePassed",
            "TrafficShifted",
            "CanaryJudged",
            "ProbePassed",
            "TrafficShifted",
            "CanaryJudged",
            "ProbePassed",
            "TrafficPromoted"
        ]
    );
    assert_eq!(scene.state().await.status, DeploymentStatus::Promoted);
}

#[tokio::test]
async fn a_report_that_comes_late_does_not_take_the_traffic_back() {
    let scene = Scene::after(applied()).await;
    scene.call(Stage::Track, "e1", shifted(10)).await.unwrap();
    scene.call(Stage::Track, "e1", shifted(50)).await.unwrap();
    let late = scene.call(Stage::Track, "e1", shifted(10)).await.unwrap_err();
    assert_eq!(late.code, Code::AuditInvalid);
    assert_eq!(scene.state().await.percent, 50);
}

#[tokio::test]
async fn a_rollback_of_the_traffic_is_written() {
    let scene = Scene::after(applied()).await;
    scene.call(Stage::Track, "e1", shifted(10)).await.unwrap();
    let rolled_back = json!({"type": "TrafficRolledBack", "data": {"error": "AlarmRaised", "functions": []}});
    scene.call(Stage::Track, "e1", &rolled_back).await.unwrap();
    scene.call(Stage::Track, "e1", &rolled_back).await.unwrap();
    assert_eq!(scene.names()[7..], ["TrafficRolledBack"]);
    assert_eq!(scene.state().await.percent, 0);
}

#[tokio::test]
async fn an_execution_that_is_over_or_unknown_writes_nothing() {
    let scene = Scene::after(applied()).await;
    let unknown = scene.call(Stage::Track, "e2", shifted(10)).await.unwrap_err();
    assert_eq!(unknown.code, Code::ExecutionOver);
    let failed = json!({"released": null, "failure": failure()});
    scene.call(Stage::Record, "e1", failed).await.unwrap();
    let over = scene.call(Stage::Track, "e1", shifted(10)).await.unwrap_err();
    assert_eq!(over.code, Code::ExecutionOver);
    assert_eq!(scene.names().last(), Some(&"DeploymentFailed"));
}

#[tokio::test]
async fn a_payload_of_no_stage_is_refused() {
    let scene = Scene::default();
    for payload in [
        json!({}),
        json!({"stage": "Queue"}),
        json!({"stage": "Track"}),
        json!({"stage": "Approve"}),
    ] {
        assert_eq!(
            scene.call_with(payload).await.unwrap_err().code,
            Code::InputInvalid
        );
    }
}
