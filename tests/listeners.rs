//! Tests that others can listen: an event that cannot be sent at first comes later, and one that a consumer has missed
//! comes again.

use chrono::{TimeDelta, Utc};
use domain::state::Status;
use git_host::Options;
use serde_json::{Value, json};
use webhook::gitlab::Delivery;

use crate::Calls;
use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

/// Breaks a state that calls a service.
fn break_state(definition: &mut Value, state: &str) {
    definition["States"][state]["Arguments"] = json!("{% $error('the bus is down') %}");
}

#[tokio::test]
async fn a_push_whose_event_cannot_be_sent_is_delivered_and_the_event_comes_later() {
    let (scene, _host) = Scene::over_http("sent-later", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let calls = Calls::of(&scene, &hook, &Delivery::fresh());
    let run = scene
        .run_changed("publish-broken", &calls.push, |definition| {
            break_state(definition, "Publish");
        })
        .await;
    run.delivered();
    assert_eq!(run.state().failure, None);
    let inbox = &scene.stack.inbox;
    let push_id = run.push_id.to_string();
    let event = inbox.event("Push Delivered", &push_id).await;
    assert_eq!(
        event["detail"],
        serde_json::from_str::<Value>(run.ended.output.as_ref().unwrap()).unwrap()
    );
    // The event names the push's execution, and not the one that has sent it.
    let execution = event["resources"][0].as_str().unwrap();
    assert!(
        execution.ends_with(&format!(":execution:publish-broken:{push_id}")),
        "{event}"
    );
    // Somebody is told, for the cause may last.
    let notification = inbox.notification(&push_id).await;
    let (subject, text) = (
        &notification["Subject"],
        notification["Message"].as_str().unwrap(),
    );
    assert_eq!(
        *subject,
        "Event not sent yet (Push Delivered): group/project refs/heads/main"
    );
    assert!(text.contains("the bus is down"), "{text}");
}

#[tokio::test]
async fn the_event_of_a_failed_push_comes_later_too() {
    let (scene, _host) = Scene::over_http("failure-sent-later", Options::default()).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let calls = Calls::of(&scene, &hook, &Delivery::fresh());
    let run = scene
        .run_changed("publish-failure-broken", &calls.push, |definition| {
            break_state(definition, "PublishFailure");
        })
        .await;
    assert_eq!(run.state().status, Status::Failed);
    scene.assert_failed(&run, "Fetch", "RepositoryNotFound").await;
}

#[tokio::test]
async fn a_consumer_that_was_down_gets_what_it_has_missed_from_the_archive() {
    let (scene, _host) = Scene::over_http("archived", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let administrator = &scene.stack.administrator;
    let call = async |action: &str, body: Value| {
        let target = format!("AWSEvents.{action}");
        administrator.json("events", &target, &body).await.value()
    };
    let arn = |rest: &str| format!("arn:aws:events:us-east-1:000000000000:{rest}");
    // The archive of the template, for this test's pushes alone.
    let mut pattern = pattern_of_the_template();
    pattern["detail"] = json!({"source": [scene.source]});
    call(
        "CreateArchive",
        json!({
            "ArchiveName": "push-code-events", "EventSourceArn": arn("event-bus/default"),
            "EventPattern": pattern.to_string(), "RetentionDays": 90,
        }),
    )
    .await;
    let begin = Utc::now() - TimeDelta::seconds(2);
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    run.delivered();
    let push_id = run.push_id.to_string();
    let inbox = &scene.stack.inbox;
    let live = inbox.event("Push Delivered", &push_id).await;

    call(
        "StartReplay",
        json!({
            "ReplayName": "again", "EventSourceArn": arn("archive/push-code-events"),
            "EventStartTime": begin.timestamp(), "EventEndTime": (Utc::now() + TimeDelta::seconds(2)).timestamp(),
            "Destination": {"Arn": arn("event-bus/default"), "FilterArns": [arn("rule/inbox")]},
        }),
    )
    .await;
    let replayed = inbox.replayed("again").await;
    assert_eq!(replayed["detail"], live["detail"]);
    assert_eq!(replayed["detail-type"], "Push Delivered");
}

/// Returns the pattern of the events that the template archives.
fn pattern_of_the_template() -> Value {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
    let text = std::fs::read_to_string(template).unwrap();
    let (_, archive) = text.split_once("\n  EventArchive:\n").unwrap();
    let (_, pattern) = archive.split_once("EventPattern:\n").unwrap();
    let list = |name: &str| {
        let (_, list) = pattern.split_once(&format!(" {name}: [")).unwrap();
        let (list, _) = list.split_once(']').unwrap();
        list.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    json!({"source": list("source"), "detail-type": list("detail-type")})
}
