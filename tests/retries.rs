//! Pushes that have failed are found and retried together.

use audit::Filter;
use chrono::{TimeDelta, Utc};
use deployed_stack::replay;
use domain::state::{PushState, Status};
use git_host::Options;
use serde_json::json;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

#[tokio::test]
async fn pushes_that_have_failed_are_retried_the_oldest_first_and_the_newest_of_a_ref_stays() {
    let (scene, _host) = Scene::over_http("retried", Options::default()).await;
    let repository = scene.repository("group/retried");
    let first = repository.commit_file("file", "first");
    repository.git(["update-ref", "refs/heads/fine", &first]);
    let fine = scene
        .push(&scene.hook(&repository.path, "refs/heads/fine", None, Some(&first)))
        .await;
    fine.delivered();
    scene
        .configure(|settings| settings["options"] = json!({"limits": {"file_bytes": 1}}))
        .await;
    let older = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&first)))
        .await;
    let second = repository.commit_file("file", "second");
    let newer = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&first), Some(&second)))
        .await;
    scene.configure(|_| ()).await;

    let stack = scene.stack.handle();
    let failed = async || {
        let filter = Filter {
            source: Some(scene.source.parse().unwrap()),
            ..Filter::since(Utc::now() - TimeDelta::days(3))
        };
        replay::failed(&stack, filter).await.unwrap()
    };
    let found = failed().await;
    let ids: Vec<_> = found.iter().map(PushState::push_id).collect();
    assert_eq!(ids, [older.push_id, newer.push_id]);
    for push in &found {
        replay::replay(&stack, push).await.unwrap();
    }
    let closed = |push: &PushState| push.delivered.is_some() || push.superseded.is_some();
    let older = scene.wait_for(older.push_id, closed).await;
    let newer = scene.wait_for(newer.push_id, closed).await;
    assert_eq!(newer.status, Status::Delivered);
    assert!(
        [Status::Delivered, Status::Superseded].contains(&older.status),
        "{older:?}"
    );
    let object = scene.object(newer.delivered.as_ref().unwrap()).await;
    assert_eq!(object.metadata["commit"], second);
    assert_eq!(failed().await, [] as [PushState; 0]);
}

#[tokio::test]
async fn a_failed_push_is_left_out_once_a_newer_one_of_its_ref_was_delivered() {
    let (scene, _host) = Scene::over_http("overtaken", Options::default()).await;
    let repository = scene.repository("group/overtaken");
    let first = repository.commit_file("file", "first");
    repository.git(["update-ref", "refs/heads/other", &first]);
    scene
        .configure(|settings| settings["options"] = json!({"limits": {"file_bytes": 1}}))
        .await;
    let overtaken = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&first)))
        .await;
    // The zip of another ref does not help this one.
    let other = scene
        .push(&scene.hook(&repository.path, "refs/heads/other", None, Some(&first)))
        .await;
    scene.configure(|_| ()).await;
    let stack = scene.stack.handle();
    let failed = async || {
        let filter = Filter {
            source: Some(scene.source.parse().unwrap()),
            ..Filter::since(Utc::now() - TimeDelta::days(3))
        };
        let failed = replay::failed(&stack, filter).await.unwrap();
        failed.iter().map(PushState::push_id).collect::<Vec<_>>()
    };
    assert_eq!(failed().await, [overtaken.push_id, other.push_id]);
    let second = repository.commit_file("file", "second");
    let newer = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&first), Some(&second)))
        .await;
    newer.delivered();
    assert_eq!(failed().await, [other.push_id]);
}
