//! Tests that the remedies work that the messages name for a push that has failed or was ignored.

use git_host::Options;
use std::time::Duration;

use audit::Filter;
use deployed_stack::replay::replay;
use deployed_stack::{Error, trail};
use domain::event::PushEvent;
use domain::push_index::Category;
use domain::state::Status;
use serde_json::json;
use testkit::http::Host;
use webhook::gitlab::Delivery;

use crate::fixtures::archive;
use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

#[tokio::test]
async fn a_push_that_wrong_settings_ignored_is_delivered_if_its_webhook_is_sent_again() {
    let (scene, _host) = Scene::over_http("wrong-globs", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    scene
        .configure(|settings| settings["refs"] = json!(["refs/heads/mian"]))
        .await;
    let ignored = scene.deliver(&hook, &delivery).await;
    assert_eq!(ignored.state().status, Status::Ignored);
    let still = scene.resend(&hook, &delivery, 2).await;
    assert_eq!(still.state().status, Status::Ignored);
    scene.configure(|_| ()).await;
    let run = scene.resend(&hook, &delivery, 3).await;
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], commit);
    assert_eq!(
        run.events()[..7],
        [
            "PushReceived",
            "PushIgnored",
            "PushRetried",
            "PushIgnored",
            "PushRetried",
            "PushValidated",
            "CommitFetched",
        ]
    );
}

#[tokio::test]
async fn a_raised_limit_applies_to_a_new_execution_of_the_push_that_exceeded_it() {
    let (scene, _host) = Scene::over_http("limit-raised", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    scene
        .configure(|settings| settings["options"] = json!({"limits": {"file_bytes": 1}}))
        .await;
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Package", "LimitExceeded").await;
    scene.configure(|_| ()).await;
    let again = scene.new_execution(run.push_id).await;
    let again = scene.follow(&again).await;
    assert_eq!(scene.object(again.delivered()).await.metadata["commit"], commit);
    // The push has kept its sequence number.
    let numbers: Vec<_> = again
        .trail
        .events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            PushEvent::PushValidated(deliver) => Some(deliver.sequence),
            _ => None,
        })
        .collect();
    assert_eq!(numbers.len(), 2);
    assert_eq!(numbers[0], numbers[1]);
}

#[tokio::test]
async fn an_option_that_was_changed_after_a_failure_changes_the_zip() {
    let (scene, _host) = Scene::over_http("option-changed", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    scene
        .configure(|settings| settings["destination"]["bucket"] = json!("no-such-bucket-of-ours"))
        .await;
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Upload", "StorageRefused").await;
    scene
        .configure(|settings| settings["options"] = json!({"build_info": false}))
        .await;
    let again = scene.new_execution(run.push_id).await;
    let again = scene.follow(&again).await;
    let zip = scene.object(again.delivered()).await;
    let paths: Vec<_> = archive::of_zip(&zip.bytes)
        .await
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, ["file"]);
}

#[tokio::test]
async fn a_commit_whose_staged_objects_are_missing_is_fetched_again_in_the_same_execution() {
    let (scene, _host) = Scene::over_http("expired", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    scene
        .configure(|settings| settings["destination"]["bucket"] = json!("no-such-bucket-of-ours"))
        .await;
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Upload", "StorageRefused").await;
    scene.configure(|_| ()).await;
    scene.expire_base(run.push_id).await;
    let again = scene.new_execution(run.push_id).await;
    let again = scene.follow(&again).await;
    assert_eq!(scene.object(again.delivered()).await.metadata["commit"], commit);
    let (stage, _, error) = again.failed_attempts().pop().unwrap();
    assert_eq!((stage.as_str(), error), ("Upload", "StagedObjectMissing"));
    let events = again.events();
    assert_eq!(
        events[events.len() - 5..],
        [
            "AttemptFailed",
            "CommitFetched",
            "ArchivePackaged",
            "ArchiveUploaded",
            "PushDelivered"
        ]
    );
}

#[tokio::test]
async fn an_execution_that_was_stopped_is_closed_and_may_be_followed_by_another() {
    // A host that sends nothing: the fetch waits until its timeout.
    let host = Host::serve(|_, connection| async move {
        std::future::pending::<()>().await;
        drop(connection);
        Ok(())
    })
    .await;
    let scene = Scene::on("stopped", &host).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"1".repeat(40)));
    let delivery = Delivery::fresh();
    let accepted = scene.webhook.send(&hook, &delivery).await.unwrap();
    let push_id = accepted.pushes[0].push_id.parse().unwrap();
    scene
        .wait_for(push_id, |state| state.status == Status::Validated)
        .await;
    let running = scene.trail(push_id).await.state.unwrap();
    let refused = replay(&scene.stack.handle(), &running).await.unwrap_err();
    assert!(matches!(refused, Error::StillRunning { .. }), "{refused}");
    scene.stop(&accepted.pushes[0].execution).await;
    let state = scene
        .wait_for(push_id, |state| state.status == Status::Failed)
        .await;
    let failure = state.failure.unwrap();
    assert_eq!(failure.failure.error, "ExecutionAborted");
    assert_eq!(failure.execution_id, accepted.pushes[0].execution);

    let again = scene.webhook.send(&hook, &delivery).await.unwrap();
    let arn = scene
        .stack
        .handle()
        .execution_arn(&format!("{push_id}-2"))
        .unwrap();
    assert_eq!(again.pushes[0].execution, arn);
    let state = scene
        .wait_for(push_id, |state| state.status == Status::Validated)
        .await;
    assert!(state.is_in_charge(&arn));
    scene.stop(&arn).await;
    scene
        .wait_for(push_id, |state| state.status == Status::Failed)
        .await;
}

#[tokio::test]
async fn a_push_is_replayed_from_the_trail_and_found_by_its_repository_and_commit() {
    let (scene, host) = Scene::over_http("replayed", Options::default()).await;
    let repository = scene.repository("group/replayed");
    let commit = repository.commit_file("replayed", "by no other test");
    scene.put_git_secret(&json!({"credentials": []})).await;
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Fetch", "CredentialsMissing").await;
    let stack = scene.stack.handle();
    let filter = Filter {
        source: Some(scene.source.parse().unwrap()),
        categories: vec![Category::Failed],
        ..Filter::since(run.state().received_at)
    };
    let failed = trail::list(&stack, &filter, 50).await.unwrap();
    assert_eq!(failed.pushes, [run.state().clone()]);

    scene
        .put_git_secret(&crate::http_secret(&host.origin(), &crate::login()))
        .await;
    let execution = replay(&stack, run.state()).await.unwrap();
    let again = scene.follow(execution.rsplit(':').next().unwrap()).await;
    assert_eq!(scene.object(again.delivered()).await.metadata["commit"], commit);
    assert!(again.state().is_in_charge(&execution));

    assert_eq!(trail::list(&stack, &filter, 50).await.unwrap().pushes, []);
    let repository = Some("group/replayed".parse().unwrap());
    let all = Filter {
        repository,
        ..Filter::since(run.state().received_at)
    };
    let expected = [again.state().clone()];
    assert_eq!(trail::list(&stack, &all, 50).await.unwrap().pushes, expected);
    for digits in [7, 40] {
        let commit = commit[..digits].parse().unwrap();
        assert_eq!(trail::of_commit(&stack, &commit).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn of_two_executions_of_one_push_at_once_one_delivers() {
    let (scene, host) = Scene::over_http("two-at-once", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    scene.put_git_secret(&json!({"credentials": []})).await;
    let failed = scene.push(&hook).await;
    scene.assert_failed(&failed, "Fetch", "CredentialsMissing").await;
    scene
        .put_git_secret(&crate::http_secret(&host.origin(), &crate::login()))
        .await;
    let one = scene.new_execution(failed.push_id).await;
    let two = scene.new_execution(failed.push_id).await;
    let (one, two) = tokio::join!(scene.follow(&one), scene.follow(&two));
    for run in [&one, &two] {
        assert_eq!(run.ended.status.as_str(), "SUCCEEDED", "{run:#?}");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let trail = scene.trail(failed.push_id).await;
    let uploads = trail
        .events
        .iter()
        .filter(|recorded| matches!(recorded.event, PushEvent::ArchiveUploaded(_)));
    assert_eq!(uploads.count(), 1);
    assert_eq!(trail.state.unwrap().status, Status::Delivered);
    assert_eq!(scene.versions_of_zips().await, 1);
}

#[tokio::test]
async fn a_delivery_that_could_neither_be_published_nor_handed_on_is_published_by_another_execution() {
    let (scene, _host) = Scene::over_http("not-told", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let calls = crate::Calls::of(&scene, &hook, &delivery);
    let run = scene
        .run_changed("bus-is-down", &calls.push, |definition| {
            for state in ["Publish", "PublishLater"] {
                definition["States"][state]["Arguments"] = json!("{% $error('nothing can be sent') %}");
            }
        })
        .await;
    assert_eq!(run.ended.status.as_str(), "FAILED", "{run:#?}");
    assert!(
        run.ended.cause.as_ref().unwrap().contains("nothing can be sent"),
        "{run:#?}"
    );
    // The zip is delivered, and its delivery is published.
    assert_eq!(run.state().status, Status::Delivered);
    assert_eq!(
        run.state().failure.as_ref().unwrap().failure.stage,
        "PublishLater"
    );
    let inbox = &scene.stack.inbox;
    let push_id = run.push_id.to_string();
    let told = inbox.event("Push Failed", &push_id).await;
    assert_eq!(told["detail"]["status"], "Delivered");
    assert!(told["detail"]["delivered"]["version_id"].is_string(), "{told}");

    let accepted = scene.webhook.send(&hook, &delivery).await.unwrap();
    assert_eq!(accepted.pushes[0].push_id, push_id);
    let again = scene.follow(&push_id).await;
    again.delivered();
    assert_eq!(
        again.events()[run.events().len()..],
        ["PushRetried", "PushDelivered"]
    );
    inbox.event("Push Delivered", &push_id).await;
    assert_eq!(scene.versions_of_zips().await, 1);
}
