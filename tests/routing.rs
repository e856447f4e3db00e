//! Monorepos: several destinations of a source, each of which watches its own paths, and refs whose zips are removed
//! with them.

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use domain::contract::IgnoreReason;
use domain::push::PushId;
use domain::state::Status;
use git_host::Options;
use serde_json::{Value, json};
use webhook::gitlab::{Delivery, PushHook};

use crate::fixtures::repository::{MAIN, Repository};
use crate::fixtures::scene::{Object, Run, Scene, cause_of};
use crate::fixtures::stack::FURTHER_BUCKETS;
use crate::sweep::sweep;
use crate::{DELIVERED, assert_is_archive};

/// The further destinations, each with a prefix of its own in the bucket of the scene.
fn further(scene: &Scene, destinations: &[(&str, &[&str])]) -> Value {
    let bucket = scene.stack.output("DestinationBucket");
    let further = destinations.iter().map(|(name, paths)| {
        let template = format!("{{source}}/{name}/{{repository}}/{{ref}}.zip");
        json!({"name": name, "destination": {"bucket": bucket, "key_template": template, "paths": paths}})
    });
    further.collect()
}

/// Returns the id of the push that a delivery reports to a further destination.
fn id_at(scene: &Scene, delivery: &Delivery, name: &str) -> PushId {
    let delivery_id = delivery.idempotency_key.to_string().parse().unwrap();
    let source = scene.source.parse().unwrap();
    PushId::at(
        &source,
        &delivery_id,
        &MAIN.parse().unwrap(),
        Some(&name.parse().unwrap()),
    )
}

/// Sends a webhook, and waits for the pushes to the source's own destination and to these.
async fn deliver<const N: usize>(scene: &Scene, hook: &PushHook, names: [&str; N]) -> (Run, [Run; N]) {
    let delivery = Delivery::fresh();
    let own = scene.deliver(hook, &delivery).await;
    let mut runs = Vec::new();
    for name in names {
        let run = scene.follow(&id_at(scene, &delivery, name).to_string()).await;
        assert_eq!(run.ended.status.as_str(), "SUCCEEDED", "{name}: {run:#?}");
        runs.push(run);
    }
    (own, runs.try_into().unwrap())
}

/// Returns whether a push was delivered. If it was not, checks that it is said why, and that nothing is left.
async fn is_delivered(scene: &Scene, run: &Run, stays: PushId) -> bool {
    if run.state().status == Status::Delivered {
        assert_eq!(run.events(), DELIVERED, "{run:#?}");
        return true;
    }
    assert_eq!(
        run.events(),
        ["PushReceived", "PushValidated", "CommitFetched", "PushIgnored"],
        "{run:#?}"
    );
    let ignored = run.state().ignored.as_ref().unwrap();
    assert_eq!(ignored.reason, IgnoreReason::PathsUnchanged);
    assert!(ignored.detail.contains(&stays.to_string()), "{ignored:?}");
    assert_eq!(scene.staged_keys(run.push_id).await, [""; 0]);
    let event = scene
        .stack
        .inbox
        .event("Push Ignored", &run.push_id.to_string())
        .await;
    assert_eq!(event["detail"]["reason"], json!(ignored.detail));
    let name = run.state().push.destination.as_ref().unwrap();
    assert_eq!(event["detail"]["destination"], json!(name));
    false
}

/// Checks that what a push has delivered is what `git archive` makes of a commit. Returns it.
async fn assert_zip_is(
    scene: &Scene,
    run: &Run,
    repository: &Repository,
    ref_name: &str,
    commit: &str,
) -> Object {
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, repository, ref_name, commit).await;
    object
}

#[tokio::test]
async fn each_destination_of_a_monorepo_gets_the_pushes_that_concern_it() {
    let (scene, _host) = Scene::over_http("monorepo", Options::default()).await;
    let watched: [(&str, &[&str]); 2] = [
        ("api", &["services/api/**", "shared/**"]),
        ("web", &["services/web/**"]),
    ];
    scene
        .configure(|settings| settings["further_destinations"] = further(&scene, &watched))
        .await;
    let repository = scene.repository("group/project");
    let mut before: Option<String> = None;
    // The push whose zip each has, and its commit.
    let mut last: [Option<(Run, String)>; 2] = [None, None];
    for (file, concerned) in [
        ("README.md", [true, true]),
        ("services/api/main.rs", [true, false]),
        ("shared/log.rs", [true, false]),
        ("services/web/main.js", [false, true]),
        ("README.md", [false, false]),
        ("services/api/main.rs", [true, false]),
    ] {
        let after = repository.commit_file(file, &format!("after {before:?}"));
        let hook = scene.hook(&repository.path, MAIN, before.as_deref(), Some(&after));
        let (own, runs) = deliver(&scene, &hook, ["api", "web"]).await;
        // The source's own destination gets every push.
        assert_zip_is(&scene, &own, &repository, MAIN, &after).await;
        for ((run, last), concerned) in runs.into_iter().zip(&mut last).zip(concerned) {
            let stays = last.as_ref().map_or(run.push_id, |(run, _)| run.push_id);
            assert_eq!(
                is_delivered(&scene, &run, stays).await,
                concerned,
                "{file} {run:#?}"
            );
            if concerned {
                *last = Some((run, after.clone()));
            }
            let (of_zip, commit) = last.as_ref().unwrap();
            let object = assert_zip_is(&scene, of_zip, &repository, MAIN, commit).await;
            assert_eq!(object.metadata["push-id"], of_zip.push_id.to_string());
        }
        before = Some(after);
    }
    let report = sweep(&scene).await;
    assert_eq!(
        (report.started.count, report.differing.count),
        (0, 0),
        "{report:#?}"
    );
}

/// The roles have rights to the buckets of the parameter alone.
#[tokio::test]
async fn a_destination_is_in_one_of_the_buckets_that_the_stack_may_write_to() {
    let (scene, _host) = Scene::over_http("buckets", Options::default()).await;
    let s3 = scene.stack.handle().s3();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
    let [listed, unlisted] = [FURTHER_BUCKETS[1], "unlisted-zips"];
    for bucket in [listed, unlisted] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
        let versions = s3.put_bucket_versioning().bucket(bucket);
        let versions = versions.versioning_configuration(enabled.clone().build());
        versions.send().await.unwrap();
    }
    scene
        .configure(|settings| {
            let of = |bucket| json!({"name": bucket, "destination": {"bucket": bucket}});
            settings["further_destinations"] = json!([of(listed), of(unlisted)]);
        })
        .await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let own = scene.deliver(&hook, &delivery).await;
    assert_zip_is(&scene, &own, &repository, MAIN, &commit).await;
    let run_at = async |bucket| scene.follow(&id_at(&scene, &delivery, bucket).to_string()).await;
    let further = run_at(listed).await;
    assert_eq!(further.delivered().bucket, listed);
    assert_zip_is(&scene, &further, &repository, MAIN, &commit).await;
    let refused = run_at(unlisted).await;
    assert_eq!(
        refused.ended.error.as_deref(),
        Some("StorageRefused"),
        "{refused:#?}"
    );
    assert!(cause_of(&refused.ended).contains(unlisted), "{refused:#?}");
}

#[tokio::test]
async fn what_a_lost_push_has_changed_is_delivered_by_the_next_one() {
    let (scene, _host) = Scene::over_http("monorepo-lost", Options::with_any_commit()).await;
    scene
        .configure(|settings| settings["destination"]["paths"] = json!(["services/api/**"]))
        .await;
    let repository = scene.repository("group/project");
    let push = async |before: Option<&str>, after: &str| {
        scene
            .push(&scene.hook(&repository.path, MAIN, before, Some(after)))
            .await
    };
    let first = repository.commit_file("services/api/main.rs", "1");
    push(None, &first).await.delivered();
    let lost = repository.commit_file("services/api/main.rs", "2");
    let third = repository.commit_file("README.md", "3");
    let run = push(Some(&lost), &third).await;
    assert_zip_is(&scene, &run, &repository, MAIN, &third).await;
    let late = push(Some(&first), &lost).await;
    assert_eq!(late.state().status, Status::Superseded, "{late:#?}");

    // A change that is undone before it was delivered is not a change, and does not come back when its webhook comes
    // late.
    let changed = repository.commit_file("services/api/main.rs", "4");
    let undone = repository.commit_file("services/api/main.rs", "2");
    let unchanged = push(Some(&changed), &undone).await;
    assert_eq!(unchanged.state().status, Status::Ignored, "{unchanged:#?}");
    let late = push(Some(&third), &changed).await;
    assert_eq!(late.state().superseded.as_ref().unwrap().by, unchanged.push_id);
    let object = scene.object(run.delivered()).await;
    assert_eq!(object.metadata["commit"], third);

    // What was removed by hand is delivered by any push.
    scene.remove_delivered().await;
    let fifth = repository.commit_file("README.md", "5");
    let again = push(Some(&undone), &fifth).await;
    assert_zip_is(&scene, &again, &repository, MAIN, &fifth).await;
    assert_eq!(
        again.failed_attempts(),
        [("Keep".to_owned(), 0, "ComparisonOutdated")]
    );
}

#[tokio::test]
async fn a_destination_that_was_added_and_a_push_that_was_not_started_are_found_by_the_sweep() {
    let (scene, _host) = Scene::over_http("monorepo-swept", Options::default()).await;
    let repository = scene.repository("group/project");
    let first = repository.commit_file("services/api/main.rs", "1");
    scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&first)))
        .await
        .delivered();
    let watch = |settings: &mut Value| {
        settings["further_destinations"] = further(&scene, &[("api", &["services/api/**"])]);
    };
    scene.configure(watch).await;
    for _ in 0..2 {
        let report = sweep(&scene).await;
        assert_eq!(report.failed.first, [], "{report:#?}");
        let [started] = &report.started.first[..] else {
            panic!("{report:#?}")
        };
        let run = scene.follow(&started.push_id.to_string()).await;
        let state = run.state();
        assert_eq!(state.push.destination.as_ref().unwrap().as_str(), "api");
        assert_eq!(
            scene.object(run.delivered()).await.metadata["commit"],
            repository.git(["rev-parse", "HEAD"])
        );
        assert_eq!(sweep(&scene).await.started.count, 0);
        if run.state().push.before.is_some() {
            return;
        }
        // The settings lack the destination while the next push comes.
        scene.configure(|_| ()).await;
        let second = repository.commit_file("services/api/main.rs", "2");
        scene
            .push(&scene.hook(&repository.path, MAIN, Some(&first), Some(&second)))
            .await
            .delivered();
        scene.configure(watch).await;
    }
    panic!("the second push was not found");
}

#[tokio::test]
async fn the_zip_of_a_deleted_ref_is_removed_and_comes_back_with_the_ref() {
    let (scene, _host) = Scene::over_http("deleted-refs", Options::default()).await;
    scene
        .configure(|settings| {
            settings["destination"]["on_deletion"] = json!("expire");
            settings["refs"] = json!(["refs/heads/topic"]);
        })
        .await;
    let repository = scene.repository("group/project");
    let first = repository.commit_file("file", "1");
    repository.git(["branch", "topic"]);
    let topic = "refs/heads/topic";
    let hook = |before: Option<&str>, after: Option<&str>| scene.hook(&repository.path, topic, before, after);
    let delivered = scene.push(&hook(None, Some(&first))).await;
    let zip = delivered.delivered().clone();

    // Somebody says that the ref was deleted, and the host says that it was not.
    let claimed = scene.push(&hook(Some(&first), None)).await;
    let ignored = claimed.state().ignored.as_ref().unwrap();
    assert_eq!(ignored.reason, IgnoreReason::RefDeleted);
    assert!(
        ignored.detail.contains("shows refs/heads/topic again"),
        "{ignored:?}"
    );
    assert_eq!(scene.delivered_keys().await, [zip.key.as_str()]);

    repository.git(["branch", "--delete", "--force", "topic"]);
    let delivery = Delivery::fresh();
    let deletion = scene.deliver(&hook(Some(&first), None), &delivery).await;
    assert_eq!(deletion.ended.status.as_str(), "SUCCEEDED", "{deletion:#?}");
    assert_eq!(
        deletion.events(),
        ["PushReceived", "DeletionValidated", "PushExpired"]
    );
    let expired = deletion.state().expired.as_ref().unwrap();
    assert_eq!(
        (expired.push_id, &expired.version_id),
        (delivered.push_id, &zip.version_id)
    );
    assert_eq!(scene.delivered_keys().await, [""; 0]);
    assert_eq!(scene.versions_of_zips().await, 1, "the bucket keeps the version");
    let event = scene
        .stack
        .inbox
        .event("Push Expired", &deletion.push_id.to_string())
        .await;
    assert_eq!(event["detail"]["expired"]["key"], zip.key.as_str());
    assert_eq!(sweep(&scene).await.differing.count, 0);

    // The ref is made again at the same commit, and the webhook of its deletion comes once more.
    repository.git(["branch", "topic"]);
    let again = scene.push(&hook(None, Some(&first))).await;
    assert_zip_is(&scene, &again, &repository, topic, &first).await;
    let late = scene.push(&hook(Some(&first), None)).await;
    assert_eq!(late.state().status, Status::Ignored, "{late:#?}");
    assert_eq!(scene.delivered_keys().await, [zip.key.as_str()]);
}
