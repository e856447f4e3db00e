//! What the sweep finds: pushes without a webhook, pushes that are stuck, and destinations that were changed by hand.
//!
//! Each sweep is of the test's own source, because the stack is used by all tests at once.

use std::collections::BTreeMap;

use ::sweep::{Difference, Report};
use domain::push::{Missed, Trigger};
use git_host::Options;
use serde_json::{Value, json};
use testkit::http::Host;
use webhook::gitlab::Delivery;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Run, Scene};
use crate::{Calls, DELIVERED};

/// Sweeps the source of a scene, without waiting for webhooks that may be on their way.
pub async fn sweep(scene: &Scene) -> Report {
    let payload = json!({ "sources": [scene.source], "grace_seconds": 0 });
    let answer = scene.stack.invoke("Sweep", &payload).await.value();
    serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer:#}"))
}

/// Waits for the pushes that a sweep has started, and returns them by their refs.
async fn follow(scene: &Scene, report: &Report) -> BTreeMap<String, Run> {
    assert_eq!(report.failed.first, [], "{report:#?}");
    let mut runs = BTreeMap::new();
    for started in &report.started.first {
        let run = scene.follow(&started.push_id.to_string()).await;
        runs.insert(started.ref_name.to_string(), run);
    }
    runs
}

#[tokio::test]
async fn a_push_whose_webhook_never_came_is_delivered_by_the_sweep_once() {
    let (scene, _host) = Scene::over_http("swept", Options::default()).await;
    let repository = scene.repository("group/project");
    let first = repository.commit_file("file", "first");
    scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&first)))
        .await;
    let nothing = sweep(&scene).await;
    assert_eq!(
        (nothing.repositories, nothing.started.count),
        (1, 0),
        "{nothing:#?}"
    );
    assert_eq!(
        (nothing.failed.count, nothing.differing.count),
        (0, 0),
        "{nothing:#?}"
    );

    // Two pushes, of which neither is reported.
    let second = repository.commit_file("file", "second");
    let third = repository.commit_file("file", "third");
    let (one, two) = tokio::join!(sweep(&scene), sweep(&scene));
    assert_eq!(one.started.count + two.started.count, 1, "{one:#?}{two:#?}");
    let report = if one.started.count == 1 { one } else { two };
    let run = &follow(&scene, &report).await[MAIN];
    assert_eq!(run.events(), DELIVERED);
    let push = &run.state().push;
    assert_eq!((push.trigger, push.missed), (Trigger::Sweep, None));
    let delivered = scene.object(run.delivered()).await;
    let metadata = |name: &str| delivered.metadata[name].as_str();
    assert_eq!((metadata("before"), metadata("after")), (&*first, &*third));
    assert_eq!(metadata("trigger"), "sweep");

    // The webhooks come late.
    let early = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&first), Some(&second)))
        .await;
    assert_eq!(early.ended.status.as_str(), "SUCCEEDED", "{early:#?}");
    assert_eq!(early.state().superseded.as_ref().unwrap().by, run.push_id);
    let late = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&second), Some(&third)))
        .await;
    assert_eq!(late.ended.status.as_str(), "SUCCEEDED", "{late:#?}");
    let ignored = late.state().ignored.as_ref().unwrap();
    assert_eq!(ignored.duplicate_of, Some(run.push_id));
    assert_eq!(scene.versions_of_zips().await, 2);
    let nothing = sweep(&scene).await;
    assert_eq!(
        (nothing.started.count, nothing.started_before),
        (0, 0),
        "{nothing:#?}"
    );
}

#[tokio::test]
async fn a_webhook_that_comes_while_the_sweep_starts_the_push_delivers_nothing_twice() {
    let (scene, _host) = Scene::over_http("swept-meanwhile", Options::default()).await;
    let repository = scene.repository("group/project");
    let first = repository.commit_file("file", "first");
    scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&first)))
        .await;
    let second = repository.commit_file("file", "second");
    let hook = scene.hook(&repository.path, MAIN, Some(&first), Some(&second));
    let (report, hooked) = tokio::join!(sweep(&scene), scene.push(&hook));
    // The webhook may have been numbered before the sweep has looked.
    let runs = follow(&scene, &report).await;
    for run in runs.values().chain([&hooked]) {
        assert_eq!(run.ended.status.as_str(), "SUCCEEDED", "{run:#?}");
    }
    assert_eq!(scene.versions_of_zips().await, 2, "{report:#?}{hooked:#?}");
}

#[tokio::test]
async fn branches_tags_and_deletions_that_no_webhook_reported_are_found_in_one_sweep() {
    let (scene, _host) = Scene::over_http("swept-refs", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    repository.git(["branch", "gone"]);
    for ref_name in [MAIN, "refs/heads/gone"] {
        scene
            .push(&scene.hook(&repository.path, ref_name, None, Some(&commit)))
            .await;
    }
    // GitLab sends no webhook for a push of more than three branches.
    let next = repository.commit_file("file", "next");
    for branch in ["a", "b", "c"] {
        repository.git(["branch", branch]);
    }
    repository.git(["branch", "--delete", "--force", "gone"]);
    repository.git(["tag", "--annotate", "v1", "--message", "One"]);
    let tag = repository.git(["rev-parse", "refs/tags/v1"]);

    let report = sweep(&scene).await;
    let runs = follow(&scene, &report).await;
    let names: Vec<_> = runs.keys().map(String::as_str).collect();
    let branches = [
        "refs/heads/a",
        "refs/heads/b",
        "refs/heads/c",
        "refs/heads/gone",
        MAIN,
    ];
    assert_eq!(names, [&branches[..], &["refs/tags/v1"]].concat());
    for (name, run) in &runs {
        let push = &run.state().push;
        let of_branch = name.starts_with("refs/heads/");
        assert_eq!(
            push.missed,
            of_branch.then_some(Missed::PushEventHooksLimit),
            "{name}"
        );
        if name == "refs/heads/gone" {
            assert_eq!(run.events(), ["PushReceived", "PushIgnored"], "{run:#?}");
            continue;
        }
        let metadata = scene.object(run.delivered()).await.metadata;
        let after = if of_branch { &next } else { &tag };
        assert_eq!(
            (&metadata["after"], &metadata["commit"]),
            (after, &next),
            "{name}"
        );
    }
    let nothing = sweep(&scene).await;
    assert_eq!(
        (nothing.started.count, nothing.started_before),
        (0, 0),
        "{nothing:#?}"
    );
}

#[tokio::test]
async fn what_cannot_be_put_right_is_reported_and_does_not_hold_up_the_others() {
    let (scene, _host) = Scene::over_http("swept-findings", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let run = scene.push(&hook).await;
    let delivered = run.delivered().clone();
    // A repository that does not exist, and a host that never answers.
    let silent = Host::serve(|_, connection| async move {
        std::future::pending::<()>().await;
        drop(connection);
        Ok(())
    })
    .await;
    scene
        .configure(|settings| {
            settings["repositories"] = json!(["group/**", "other/missing"]);
            let hosts = settings["git_hosts"].as_array_mut().unwrap();
            hosts.push(json!(silent.origin()));
        })
        .await;
    let mut of_silent = scene.hook("group/silent", MAIN, None, Some(&commit));
    of_silent.git_http_url = format!("{}/group/silent.git", silent.origin());
    let calls = Calls::of(&scene, &of_silent, &Delivery::fresh());
    let mut validate = calls.validate();
    let mut settings = scene.settings();
    settings["git_hosts"] = json!([silent.origin()]);
    validate["input"]["settings"] = json!(settings.to_string());
    validate["execution"]["id"] = json!(scene.stack.handle().execution_arn("never-begun").unwrap());
    let validated = scene.stack.invoke("Validate", &validate).await.value();
    assert!(validated["sequence"].is_u64(), "{validated}");

    let put = scene.stack.handle().s3().put_object();
    let put = put.bucket(&delivered.bucket).key(delivered.key.as_str());
    put.body(b"by hand".to_vec().into()).send().await.unwrap();
    let report = sweep(&scene).await;
    let errors: Vec<_> = report
        .failed
        .first
        .iter()
        .map(|failed| failed.error.as_str())
        .collect();
    assert_eq!(errors, ["GitHostTimedOut", "RepositoryNotFound"], "{report:#?}");
    assert_eq!(report.started.count, 0, "{report:#?}");
    let [found] = &report.differing.first[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(
        (found.difference, found.push_id),
        (Difference::Foreign, run.push_id)
    );
    // That of the execution that was never begun.
    let [stuck] = &report.stuck.first[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(
        (stuck.push_id, stuck.error.as_str()),
        (calls.push.push_id, "ExecutionAborted")
    );
    let state = scene.trail(stuck.push_id).await.state.unwrap();
    assert_eq!(state.status, domain::state::Status::Failed);

    scene.remove_delivered().await;
    let report = sweep(&scene).await;
    let [found] = &report.differing.first[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(found.difference, Difference::Missing);
    assert_eq!(report.stuck.count, 0, "{report:#?}");
}

#[tokio::test]
async fn a_schedule_starts_the_sweep() {
    let (scene, _host) = Scene::over_http("swept-by-schedule", Options::default()).await;
    let repository = scene.repository("group/project");
    repository.commit_file("file", "content");
    scene
        .configure(|settings| settings["repositories"] = json!(["group/project"]))
        .await;
    let input: Value = json!({ "sources": [scene.source], "grace_seconds": 0 });
    scene.stack.schedule("sweep-once", "Sweep", &input).await;
    let began = std::time::Instant::now();
    loop {
        if scene.delivered_keys().await == ["swept-by-schedule/group/project/heads/main.zip"] {
            break;
        }
        assert!(
            began.elapsed().as_secs() < 120,
            "the schedule has delivered nothing"
        );
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
