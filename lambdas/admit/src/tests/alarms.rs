//! Alarms that are raised after a release.

use chrono::{DateTime, TimeDelta, Utc};
use delivery::deployment::DeploymentId;
use domain::error::Code;
use serde_json::{Value, json};

use super::opening::release;
use super::scene::{Scene, deployment, taken_back};

/// Returns an event as EventBridge sends it.
fn raised(at: DateTime<Utc>) -> Value {
    json!({
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "time": at.to_rfc3339(),
        "detail": {
            "alarmName": "app-errors",
            "state": { "value": "ALARM", "reason": "Threshold Crossed" },
            "previousState": { "value": "OK" },
        },
    })
}

/// Two releases. Returns their deployments, and when the second one was released.
async fn two_releases(scene: &Scene) -> (DeploymentId, DeploymentId, DateTime<Utc>) {
    for (delivery, number) in [("d1", 1), ("d2", 2)] {
        scene.request(delivery, number, delivery).await;
        release(scene, delivery).await;
    }
    let (first, second) = (deployment("d1").id(), deployment("d2").id());
    scene.keep_release(first, None).await;
    let released = scene.keep_release(second, None).await;
    (first, second, released.released_at)
}

#[tokio::test]
async fn an_alarm_after_a_release_takes_it_back_once() {
    let scene = Scene::default();
    let (first, second, at) = two_releases(&scene).await;
    scene.call(raised(at + TimeDelta::minutes(29))).await.unwrap();
    let started = scene.started();
    let [(_, cause)] = &started[..] else {
        panic!("{started:?}")
    };
    assert_eq!(taken_back(cause), (first, second, "the alarm app-errors"));
    // It may come again, and another alarm with it.
    scene.call(raised(at + TimeDelta::minutes(30))).await.unwrap();
    assert_eq!(scene.started(), started);
}

#[tokio::test]
async fn an_alarm_that_does_not_follow_a_new_release_takes_nothing_back() {
    let scene = Scene::default();
    scene.call(raised(Utc::now())).await.unwrap();
    let (first, _, at) = two_releases(&scene).await;
    scene.call(raised(at - TimeDelta::seconds(1))).await.unwrap();
    scene.call(raised(at + TimeDelta::minutes(31))).await.unwrap();
    // What a rollback has made live was live before.
    scene.request("d3", 3, "d3").await;
    release(&scene, "d3").await;
    let back = scene.keep_release(deployment("d3").id(), Some(first)).await;
    scene
        .call(raised(back.released_at + TimeDelta::minutes(1)))
        .await
        .unwrap();
    assert_eq!(scene.started(), []);
}

#[tokio::test]
async fn an_event_of_an_alarm_that_cannot_be_read_is_an_error() {
    let scene = Scene::default();
    let mut event = raised(Utc::now());
    event["detail"] = json!({});
    assert_eq!(scene.call(event).await.unwrap_err().code, Code::InputInvalid);
}
