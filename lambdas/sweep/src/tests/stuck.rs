//! Pushes that are open without an execution.

use audit::EventStore;
use domain::event::PushEvent;
use domain::push_index::Category;
use domain::samples::{execution, failure};
use domain::state::Status;

use super::*;

/// A push that has begun now, by this execution.
async fn begun(scene: &Scene, ref_name: &str, arn: &str) -> Push {
    let push = push(P, ref_name);
    let received = PushEvent::PushReceived(domain::event::PushReceived {
        push: push.clone(),
        execution: domain::execution::Execution {
            started_at: Utc::now(),
            ..execution(arn)
        },
    });
    scene.append(push.push_id, received).await;
    push
}

async fn status(scene: &Scene, push: &Push) -> Status {
    scene.trail.load(push.push_id).await.unwrap().unwrap().status
}

#[tokio::test]
async fn an_open_push_whose_execution_has_ended_is_closed_as_failed_once() {
    let scene = Scene::new();
    let stuck = begun(&scene, MAIN, "stopped").await;
    let running = begun(&scene, "refs/heads/next", "running").await;
    scene.end("stopped", "ExecutionAborted");
    let report = scene.sweep().await;
    assert_eq!(report.stuck.count, 1);
    let found = &report.stuck.first[0];
    assert_eq!(
        (found.push_id, found.execution.as_str()),
        (stuck.push_id, "stopped")
    );
    let state = scene.trail.load(stuck.push_id).await.unwrap().unwrap();
    assert_eq!(
        (state.status, Category::of(&state)),
        (Status::Failed, Category::Failed)
    );
    let failed = state.failure.unwrap();
    assert_eq!(failed.execution_id, "stopped");
    assert_eq!(
        (failed.failure.stage.as_str(), failed.failure.error.as_str()),
        ("Execution", "ExecutionAborted")
    );
    assert_eq!(status(&scene, &running).await, Status::Received);
    assert_eq!(scene.sweep().await.stuck.count, 0);
}

#[tokio::test]
async fn a_redriven_push_is_looked_up_by_the_arn_of_its_execution() {
    let scene = Scene::new();
    let push = begun(&scene, MAIN, "redriven").await;
    let retried = domain::samples::retried("redriven#1");
    scene.append(push.push_id, retried).await;
    assert_eq!(scene.sweep().await.stuck.count, 0);
    assert_eq!(status(&scene, &push).await, Status::Received);
    scene.end("redriven", "ExecutionAborted");
    let report = scene.sweep().await;
    assert_eq!(report.stuck.first[0].execution, "redriven");
    let state = scene.trail.load(push.push_id).await.unwrap().unwrap();
    assert_eq!(state.failure.unwrap().execution_id, "redriven#1");
}

#[tokio::test]
async fn a_push_that_takes_long_is_reported_and_stays_open() {
    let scene = Scene::new();
    let begin = async |ref_name: &str, arn: &str, minutes| {
        let push = push(P, ref_name);
        let received = PushEvent::PushReceived(domain::event::PushReceived {
            push: push.clone(),
            execution: domain::execution::Execution {
                started_at: Utc::now() - TimeDelta::minutes(minutes),
                ..execution(arn)
            },
        });
        scene.append(push.push_id, received).await;
        push
    };
    let slow = begin(MAIN, "slow", 61).await;
    begin("refs/heads/next", "running", 59).await;
    // It was tried again just now.
    let retried = begin("refs/heads/retried", "failed", 600).await;
    scene
        .append(retried.push_id, domain::samples::retried("again"))
        .await;
    let report = scene.sweep().await;
    let found: Vec<_> = report.slow.first.iter().map(|push| push.push_id).collect();
    assert_eq!(found, [slow.push_id]);
    assert_eq!(report.stuck.count, 0);
    assert_eq!(status(&scene, &slow).await, Status::Received);
}

#[tokio::test]
async fn a_push_that_has_just_moved_on_is_left_to_the_event_of_its_execution() {
    let scene = Scene::new();
    let push = begun(&scene, MAIN, "stopped").await;
    scene.end("stopped", "ExecutionAborted");
    let report = scene.sweep_as(json!({}), Duration::from_secs(60)).await.unwrap();
    assert_eq!(report.stuck.count, 0);
    assert_eq!(status(&scene, &push).await, Status::Received);
}

#[tokio::test]
async fn a_push_of_another_source_or_that_cannot_be_looked_at_stays_open() {
    let scene = Scene::new();
    let push = begun(&scene, MAIN, "stopped").await;
    let unreadable = begun(&scene, "refs/heads/next", "unreadable").await;
    scene.end("stopped", "ExecutionAborted");
    scene.configure("other", &["group/*"]);
    let of_other = json!({ "sources": ["other"], "grace_seconds": 0 });
    let report = scene.sweep_as(of_other, Duration::from_secs(60)).await.unwrap();
    assert_eq!((report.stuck.count, report.failed.count), (0, 0));
    let report = scene.sweep().await;
    assert_eq!(errors(&report), ["WorkflowUnavailable"]);
    assert_eq!(status(&scene, &unreadable).await, Status::Received);
    assert_eq!(status(&scene, &push).await, Status::Failed);
}

/// The index may be behind: what the trail says decides.
#[tokio::test]
async fn a_push_that_another_execution_has_taken_over_is_not_closed() {
    let scene = Scene::new();
    let push = begun(&scene, MAIN, "first").await;
    scene
        .append(push.push_id, domain::samples::retried("second"))
        .await;
    scene.end("first", "ExecutionAborted");
    assert_eq!(scene.sweep().await.stuck.count, 0);
    scene
        .append(
            push.push_id,
            domain::event::PushEvent::PushFailed(domain::event::PushFailed {
                execution_id: "second".to_owned(),
                failure: failure("Fetch", "CommitNotFound"),
            }),
        )
        .await;
    scene.end("second", "ExecutionAborted");
    assert_eq!(scene.sweep().await.stuck.count, 0, "it is closed already");
}
