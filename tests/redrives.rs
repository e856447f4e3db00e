//! Tests that executions go on where they stopped: those that are redriven, as the console's "Redrive" does, also after
//! they were stopped, and after another one has taken over the push. RedriveExecution is that of `testkit/strict_aws`,
//! which the local AWS does not have itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::execution::Execution;
use domain::state::Status;
use git_host::Options;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use webhook::gitlab::Delivery;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;
use crate::{http_secret, login};

#[tokio::test]
async fn a_failed_execution_that_is_redriven_goes_on_with_what_was_staged() {
    let (scene, _host) = Scene::over_http("redriven", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    scene
        .configure(|settings| settings["options"] = json!({"limits": {"file_bytes": 1}}))
        .await;
    let failed = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&failed, "Package", "LimitExceeded").await;

    // Nothing was mended: it fails again, by the settings of now.
    let again = scene.redrive(&failed.push_id.to_string()).await;
    assert_eq!(again.ended.error.as_deref(), Some("LimitExceeded"), "{again:#?}");
    scene.configure(|_| ()).await;
    let run = scene.redrive(&failed.push_id.to_string()).await;
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], commit);
    // Limits are part of the decision, so that the commit was fetched again by those of now.
    let arn = scene.execution_arn(&run);
    let redrive = |count| Execution::redriven(arn.clone(), count);
    assert_eq!(run.state().executions, [redrive(0), redrive(1), redrive(2)]);
    assert_eq!(run.state().failure, None);
    scene
        .stack
        .inbox
        .event("Push Delivered", &run.push_id.to_string())
        .await;
    // What has succeeded is not redriven.
    let client = scene.stack.handle().step_functions();
    let refused = client.redrive_execution().execution_arn(arn).send().await;
    let refused = refused.unwrap_err().into_service_error();
    assert!(refused.is_execution_not_redrivable(), "{refused}");
}

#[tokio::test]
async fn a_redriven_execution_fetches_nothing_again_if_the_decision_is_the_same() {
    let (scene, _host) = Scene::over_http("redriven-in-upload", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    scene
        .configure(|settings| settings["destination"]["bucket"] = json!("no-such-bucket-of-ours"))
        .await;
    let failed = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&failed, "Upload", "StorageRefused").await;
    scene.configure(|_| ()).await;
    let run = scene.redrive(&failed.push_id.to_string()).await;
    run.delivered();
    assert_eq!(
        run.events()[failed.events().len()..],
        ["PushRetried", "PushValidated", "ArchiveUploaded", "PushDelivered"]
    );
}

/// Forwards connections to a git host, once the gate is open. Until then they hang.
pub async fn gate(to: String, is_open: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut hanging = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            if !is_open.load(Ordering::Relaxed) {
                hanging.push(connection);
                continue;
            }
            let mut host = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut connection, &mut host).await;
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn an_execution_that_was_stopped_goes_on_when_it_is_redriven() {
    let (scene, host) = Scene::over_http("stopped-redriven", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let is_open = Arc::new(AtomicBool::new(false));
    let origin = gate(host.origin().replace("http://", ""), Arc::clone(&is_open)).await;
    scene.put_git_secret(&http_secret(&origin, &login())).await;
    scene
        .configure(|settings| settings["git_hosts"] = json!([origin]))
        .await;
    let mut hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    hook.git_http_url = format!("{origin}/{}.git", repository.path);
    let delivery = Delivery::fresh();
    let accepted = scene.webhook.send(&hook, &delivery).await.unwrap();
    let (arn, name) = (&accepted.pushes[0].execution, &accepted.pushes[0].push_id);
    let push_id = name.parse().unwrap();
    scene
        .wait_for(push_id, |state| state.status == Status::Validated)
        .await;
    scene.stop(arn).await;
    let stopped = scene
        .wait_for(push_id, |state| state.status == Status::Failed)
        .await;
    assert_eq!(stopped.failure.unwrap().failure.error, "ExecutionAborted");

    is_open.store(true, Ordering::Relaxed);
    let run = scene.redrive(name).await;
    assert_eq!(scene.object(run.delivered()).await.metadata["commit"], commit);
    // Step Functions goes on in Fetch, whose execution is over in the trail, and so it begins again.
    assert_eq!(
        run.events(),
        [
            "PushReceived",
            "PushValidated",
            "PushFailed",
            "PushRetried",
            "PushValidated",
            "CommitFetched",
            "ArchivePackaged",
            "ArchiveUploaded",
            "PushDelivered",
        ]
    );
    assert!(run.state().is_in_charge(&Execution::redriven(arn.clone(), 1)));
    scene.stack.inbox.event("Push Delivered", name).await;
}

#[tokio::test]
async fn a_failed_execution_that_is_redriven_after_another_one_has_delivered_delivers_nothing() {
    let (scene, host) = Scene::over_http("redriven-late", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    scene.put_git_secret(&json!({"credentials": []})).await;
    let failed = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&failed, "Fetch", "CredentialsMissing").await;
    scene.put_git_secret(&http_secret(&host.origin(), &login())).await;
    let second = scene.new_execution(failed.push_id).await;
    let second = scene.follow(&second).await;
    let late = scene.redrive(&failed.push_id.to_string()).await;
    assert_eq!(late.delivered(), second.delivered());
    assert_eq!(late.events()[second.events().len()..], ["PushRetried"]);
    assert_eq!(scene.versions_of_zips().await, 1);
}
