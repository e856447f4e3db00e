//! Failed attempts that no function can record are in the trail: those of states that call none, and those of functions
//! that have died.

use domain::event::PushEvent;
use domain::state::Status;
use git_host::Options;
use serde_json::json;
use webhook::gitlab::Delivery;

use crate::Calls;
use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Run, Scene};

/// Returns the failed attempts that the history has told.
fn told(run: &Run) -> Vec<(String, u32, String)> {
    let events = run.trail.events.iter();
    let failed = events.filter_map(|recorded| match &recorded.event {
        PushEvent::AttemptFailed(failed) if failed.failed_at.is_some() => Some(failed),
        _ => None,
    });
    failed
        .map(|failed| (failed.stage.clone(), failed.attempt, failed.error.clone()))
        .collect()
}

/// Lets `Record` read the histories of the machines that the tests make.
async fn allow_other_histories(scene: &Scene) {
    let role = scene.stack.role_arn("Record");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "states:GetExecutionHistory", "Resource": "*"}],
    });
    let call = [
        ("Action", "PutRolePolicy"),
        ("Version", "2010-05-08"),
        ("RoleName", role.rsplit('/').next().unwrap()),
        ("PolicyName", "other-histories"),
        ("PolicyDocument", &policy.to_string()),
    ];
    let answer = scene.stack.administrator.query("iam", &call).await;
    assert!(!answer.is_denied(), "{answer:?}");
}

#[tokio::test]
async fn attempts_of_states_without_a_function_are_recorded_before_and_after_the_end_of_a_push() {
    let (scene, _host) = Scene::over_http("attempts", Options::default()).await;
    allow_other_histories(&scene).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let calls = Calls::of(&scene, &hook, &Delivery::fresh());
    let run = scene
        .run_changed("attempts", &calls.push, |definition| {
            // The settings are found at the third attempt, and Publish asks for what its role may not.
            let states = &mut definition["States"];
            let name = states["ReadSource"]["Arguments"]["Name"].as_str().unwrap();
            let name = name.trim_start_matches("{%").trim_end_matches("%}");
            let later = format!("{{% $states.context.State.RetryCount < 2 ? '/nowhere' : {name} %}}");
            states["ReadSource"]["Arguments"]["Name"] = json!(later);
            states["ReadSource"]["Retry"] = json!([
                {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1},
            ]);
            states["Publish"]["Resource"] = json!("arn:aws:states:::aws-sdk:eventbridge:describeEventBus");
            states["Publish"]["Arguments"] = json!({"Name": "no-such-bus"});
            states["Publish"]["Retry"] = json!([]);
        })
        .await;
    assert_eq!(run.ended.status.as_str(), "SUCCEEDED", "{run:#?}");
    assert_eq!(run.state().status, Status::Delivered);
    let told = told(&run);
    let stages: Vec<_> = told
        .iter()
        .map(|(stage, attempt, _)| (&**stage, *attempt))
        .collect();
    assert_eq!(
        stages,
        [("ReadSource", 0), ("ReadSource", 1), ("Publish", 0)],
        "{told:?}"
    );
    let events = run.events();
    assert_eq!(
        events[events.len() - 2..],
        ["PushDelivered", "AttemptFailed"],
        "{events:?}"
    );
    assert_eq!(
        events.iter().position(|event| *event == "AttemptFailed"),
        Some(5),
        "{events:?}"
    );
}
