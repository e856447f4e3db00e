//! Who has the environment, and who waits.

use domain::error::Code;
use serde_json::json;

use super::opening::{failed, release};
use super::scene::{Answer, Scene, assert_superseded, go};
use super::stopping::event;

#[tokio::test]
async fn a_free_environment_is_given_at_once_and_the_next_one_waits() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    assert_eq!(scene.queue("d1", "e1/1").await, go());
    assert_eq!(scene.names("d1").last(), Some(&"DeploymentAdmitted"));
    assert_eq!(scene.queue("d2", "e2/1").await, None);
    release(&scene, "d1").await;
    scene.release("d1", "e1").await.unwrap();
    assert_eq!(scene.tasks.answer_to("e2/1"), go());
    assert_eq!(scene.names("d2").last(), Some(&"DeploymentAdmitted"));
    let slot = scene.slot().await;
    assert_eq!(slot.holder.unwrap().execution_id, "e2");
    assert_eq!(slot.released.unwrap().order, 1);
}

#[tokio::test]
async fn the_newest_of_those_that_wait_is_next_and_the_others_are_superseded() {
    let scene = Scene::default();
    for (delivery, order, execution) in [("d1", 1, "e1"), ("d2", 2, "e2"), ("d4", 4, "e4"), ("d3", 3, "e3")] {
        scene.request(delivery, order, execution).await;
        scene.queue(delivery, &format!("{execution}/1")).await;
    }
    assert_eq!(scene.tasks.answer_to("e1/1"), go());
    assert_superseded(scene.tasks.answer_to("e2/1"), "d4");
    assert_superseded(scene.tasks.answer_to("e3/1"), "d4");
    assert_eq!(scene.names("d2").last(), Some(&"DeploymentSuperseded"));
    assert_eq!(scene.names("d3").last(), Some(&"DeploymentSuperseded"));
    assert_eq!(scene.tasks.answer_to("e4/1"), None);
    scene.append("d1", failed("e1")).await;
    scene.release("d1", "e1").await.unwrap();
    assert_eq!(scene.tasks.answer_to("e4/1"), go());
    assert_eq!(scene.slot().await.released, None, "d1 has failed");
}

#[tokio::test]
async fn a_deployment_that_was_superseded_stays_so_when_it_claims_the_environment_again() {
    let scene = Scene::default();
    for (delivery, number, execution) in [("d1", 1, "e1"), ("d3", 3, "e3"), ("d4", 4, "e4")] {
        scene.request(delivery, number, execution).await;
        scene.queue(delivery, &format!("{execution}/1")).await;
    }
    // What has superseded it is gone, and an older one waits.
    scene.call(event("d4", "e4", "ABORTED")).await.unwrap();
    scene.request("d2", 2, "e2").await;
    scene.queue("d2", "e2/1").await;
    assert_superseded(scene.queue("d3", "e3/2").await, "d4");
    assert_eq!(scene.slot().await.waiting.unwrap().execution_id, "e2");
}

#[tokio::test]
async fn an_older_deployment_does_not_follow_one_that_was_released() {
    let scene = Scene::default();
    scene.request("d2", 2, "e2").await;
    scene.request("d1", 1, "e1").await;
    scene.queue("d2", "e2/1").await;
    release(&scene, "d2").await;
    scene.release("d2", "e2").await.unwrap();
    assert_superseded(scene.queue("d1", "e1/1").await, "d2");
    // Whoever is superseded has nothing to give back.
    scene.release("d1", "e1").await.unwrap();
    assert_eq!(scene.slot().await.holder, None);
}

#[tokio::test]
async fn an_execution_that_claims_the_environment_again_is_answered_again() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    assert_eq!(scene.queue("d1", "e1/1").await, go());
    assert_eq!(scene.queue("d1", "e1/2").await, go());
    assert_eq!(scene.queue("d2", "e2/1").await, None);
    assert_eq!(scene.queue("d2", "e2/2").await, None);
    assert_eq!(scene.names("d1").len(), 3);
    scene.release("d1", "e1").await.unwrap();
    // Its first task is over, because the state was entered again.
    assert_eq!(scene.tasks.answer_to("e2/1"), None);
    assert_eq!(scene.tasks.answer_to("e2/2"), go());
}

#[tokio::test]
async fn a_second_release_changes_nothing() {
    let scene = Scene::default();
    for (delivery, order, execution) in [("d1", 1, "e1"), ("d2", 2, "e2"), ("d3", 3, "e3")] {
        scene.request(delivery, order, execution).await;
        scene.queue(delivery, &format!("{execution}/1")).await;
    }
    let (first, second) = tokio::join!(scene.release("d1", "e1"), scene.release("d1", "e1"));
    first.unwrap();
    second.unwrap();
    assert_eq!(scene.tasks.answer_to("e3/1"), go());
    let slot = scene.slot().await;
    scene.release("d1", "e1").await.unwrap();
    assert_eq!(scene.slot().await, slot);
}

#[tokio::test]
async fn a_holder_that_has_ended_without_a_release_is_found_out_by_the_next_one() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    scene.request("d0", 0, "e0").await;
    scene.queue("d1", "e1/1").await;
    release(&scene, "d1").await;
    scene.tasks.end("e1");
    assert_superseded(scene.queue("d0", "e0/1").await, "d1");
    assert_eq!(scene.queue("d2", "e2/1").await, go());
}

#[tokio::test]
async fn an_execution_that_has_ended_while_it_waited_is_not_given_the_environment() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    scene.queue("d1", "e1/1").await;
    scene.queue("d2", "e2/1").await;
    scene.tasks.end("e2");
    scene.release("d1", "e1").await.unwrap();
    assert_eq!(scene.slot().await.holder, None);
}

#[tokio::test]
async fn what_could_not_be_told_is_told_by_the_next_attempt() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.request("d2", 2, "e2").await;
    scene.queue("d1", "e1/1").await;
    scene.queue("d2", "e2/1").await;
    *scene.tasks.failures.lock().unwrap() = 1;
    let failed = scene.release("d1", "e1").await.unwrap_err();
    assert_eq!(failed.code, Code::WorkflowUnavailable);
    assert_eq!(scene.tasks.answer_to("e2/1"), None);
    scene.release("d1", "e1").await.unwrap();
    assert_eq!(scene.tasks.answer_to("e2/1"), go());
}

#[tokio::test]
async fn a_failure_of_queue_is_answered_by_the_token() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.append("d1", failed("e1")).await;
    let over = scene.queue("d1", "e1/1").await;
    assert_eq!(over, Some(Answer::Failure("ExecutionOver".to_owned())));
    let malformed = json!({"stage": "Queue", "input": {"task_token": "e1/2"}});
    scene.call(malformed).await.unwrap();
    let answer = scene.tasks.answer_to("e1/2");
    assert_eq!(answer, Some(Answer::Failure("InputInvalid".to_owned())));
    assert_eq!(scene.slot().await.version, 0);
}

#[tokio::test]
async fn a_failure_that_cannot_be_answered_is_one_of_the_function() {
    let scene = Scene::default();
    scene.request("d1", 1, "e1").await;
    scene.append("d1", failed("e1")).await;
    *scene.tasks.failures.lock().unwrap() = 1;
    let payload = scene.queue_payload("d1", "e1/1").await;
    assert_eq!(scene.call(payload).await.unwrap_err().code, Code::ExecutionOver);
}
