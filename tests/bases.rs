//! Pushes that are fetched as the difference from the one before, with what can go wrong with what that one has left.

use domain::contract::{BaseUse, FetchedCommit};
use git_host::Options;
use serde_json::json;
use webhook::gitlab::Delivery;

use crate::assert_is_archive;
use crate::fixtures::repository::{MAIN, Repository, noise};
use crate::fixtures::scene::{Run, Scene};

/// Pushes a change, and checks the zip. Returns the run.
async fn push(scene: &Scene, repository: &Repository, content: &str) -> Run {
    let before = repository.git(["for-each-ref", "--format=%(objectname)", MAIN]);
    let after = repository.commit_file("src/changed.txt", content);
    let before = Some(&*before).filter(|before| !before.is_empty());
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, before, Some(&after)))
        .await;
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, repository, MAIN, &after).await;
    run
}

fn fetched(run: &Run) -> &FetchedCommit {
    run.state().fetched.as_ref().unwrap()
}

fn why_not(run: &Run) -> &str {
    match &fetched(run).base {
        Some(BaseUse::WhyNot(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn assert_used(run: &Run, base: &Run, packs: usize) {
    match &fetched(run).base {
        Some(BaseUse::Used(used)) => {
            assert_eq!(
                (used.push_id, used.packs.len()),
                (base.push_id, packs),
                "{used:#?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(fetched(run).received_bytes.unwrap() < 10_000, "{run:#?}");
}

/// The first host refuses to serve a commit by its id, and serves its refs.
#[tokio::test]
async fn a_push_costs_what_has_changed() {
    for (source, options) in [
        ("changes", Options::default()),
        ("changes-by-id", Options::with_any_commit()),
    ] {
        let (scene, _host) = Scene::over_http(source, options).await;
        let repository = scene.repository("group/project");
        let first = push(&scene, &repository, "1").await;
        let second = push(&scene, &repository, "2").await;
        assert_used(&second, &first, 1);
        // Only the file that changes, and build-info.json.
        repository.write("other", "stays");
        let third = push(&scene, &repository, "3").await;
        assert_eq!(third.state().archive.as_ref().unwrap().taken_entries, Some(0));
        let fourth = push(&scene, &repository, "4").await;
        assert_eq!(fourth.state().archive.as_ref().unwrap().taken_entries, Some(1));
        // Of the zips, that of the last push is left.
        let zips = async |run: &Run| {
            let keys = scene.left_keys(run.push_id).await;
            keys.iter().filter(|key| key.ends_with(".zip")).count()
        };
        assert_eq!((zips(&third).await, zips(&fourth).await), (0, 1));
        // The same commit once more, which the host has nothing to send of.
        let commit = repository.git(["rev-parse", MAIN]);
        let again = scene
            .push(&scene.hook(&repository.path, MAIN, Some(&commit), Some(&commit)))
            .await;
        assert_eq!(again.ended.status.as_str(), "SUCCEEDED", "{again:#?}");
        assert_used(&again, &fourth, 3);
        // A new branch begins from there too, and leaves the zip to the next push of `main`.
        let branch = "refs/heads/next";
        repository.git(["update-ref", branch, &commit]);
        let new = scene
            .push(&scene.hook(&repository.path, branch, None, Some(&commit)))
            .await;
        assert_used(&new, &again, 3);
        let Some(BaseUse::Used(base)) = &fetched(&new).base else {
            unreachable!("it was used")
        };
        assert_eq!(base.other_ref.as_ref().unwrap().as_str(), MAIN);
        assert_eq!(new.state().archive.as_ref().unwrap().taken_entries, Some(2));
        let fifth = push(&scene, &repository, "5").await;
        assert_eq!(fifth.state().archive.as_ref().unwrap().taken_entries, Some(1));
    }
}

#[tokio::test]
async fn a_base_that_is_gone_costs_a_whole_fetch() {
    let (scene, _host) = Scene::over_http("bases", Options::default()).await;
    let repository = scene.repository("group/project");
    repository.write("large", noise(1 << 20));
    let first = push(&scene, &repository, "1").await;
    assert_eq!(why_not(&first), "no push of the repository was delivered");
    assert!(fetched(&first).received_bytes.unwrap() > 1 << 20);
    let second = push(&scene, &repository, "2").await;
    assert_used(&second, &first, 1);
    let third = push(&scene, &repository, "3").await;
    assert_used(&third, &second, 2);
    // What the push does not leave is removed at its end.
    assert_eq!(scene.staged_keys(third.push_id).await, [""; 0]);

    // The lifecycle rule has removed the pack of the first push.
    scene.expire_base(first.push_id).await;
    let fourth = push(&scene, &repository, "4").await;
    assert!(why_not(&fourth).contains("is gone"), "{fourth:#?}");
    assert!(fetched(&fourth).received_bytes.unwrap() > 1 << 20);
    let fifth = push(&scene, &repository, "5").await;
    assert_used(&fifth, &fourth, 1);
}

/// Puts an object of other bytes at a key of the staging bucket.
async fn overwrite(scene: &Scene, key: &str) {
    let put = scene.stack.handle().s3().put_object();
    let put = put.bucket(scene.stack.output("StagingBucketName")).key(key);
    put.body(b"something else".to_vec().into()).send().await.unwrap();
}

/// Somebody who may write to the bucket puts another object in the place of a pack.
#[tokio::test]
async fn a_base_that_was_tampered_with_changes_no_zip() {
    let (scene, _host) = Scene::over_http("tampered-bases", Options::default()).await;
    let repository = scene.repository("group/project");
    let first = push(&scene, &repository, "1").await;
    let key = fetched(&first).pack.key.as_str();
    // The version that was recorded is still there.
    overwrite(&scene, key).await;
    let second = push(&scene, &repository, "2").await;
    assert_used(&second, &first, 1);
    scene.expire_base(first.push_id).await;
    overwrite(&scene, key).await;
    let third = push(&scene, &repository, "3").await;
    why_not(&third);
}

/// The zip alone is gone, or another one.
#[tokio::test]
async fn a_zip_that_was_tampered_with_changes_no_zip() {
    let (scene, _host) = Scene::over_http("tampered-zips", Options::default()).await;
    let repository = scene.repository("group/project");
    repository.write("other", "stays");
    let first = push(&scene, &repository, "1").await;
    let key = first
        .state()
        .archive
        .as_ref()
        .unwrap()
        .object
        .key
        .as_str()
        .to_owned();
    for (_, version_id) in scene.stack.versions("StagingBucketName", &key).await {
        let delete = scene.stack.handle().s3().delete_object().key(&key);
        let delete = delete.bucket(scene.stack.output("StagingBucketName"));
        delete.version_id(version_id).send().await.unwrap();
    }
    overwrite(&scene, &key).await;
    let second = push(&scene, &repository, "2").await;
    assert_used(&second, &first, 1);
    assert_eq!(second.state().archive.as_ref().unwrap().taken_entries, None);
    let third = push(&scene, &repository, "3").await;
    assert_eq!(third.state().archive.as_ref().unwrap().taken_entries, Some(1));
}

#[tokio::test]
async fn two_pushes_at_once_may_begin_from_the_same_one() {
    let (scene, _host) = Scene::over_http("bases-at-once", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    push(&scene, &repository, "1").await;
    let mut commits = vec![repository.git(["rev-parse", MAIN])];
    for content in ["2", "3", "4"] {
        commits.push(repository.commit_file("src/changed.txt", content));
    }
    let hooks: Vec<_> = commits
        .windows(2)
        .map(|pair| scene.hook(&repository.path, MAIN, Some(&pair[0]), Some(&pair[1])))
        .collect();
    let runs = futures::future::join_all(hooks.iter().map(|hook| scene.push(hook))).await;
    for run in &runs {
        assert_eq!(run.ended.status.as_str(), "SUCCEEDED", "{run:#?}");
        assert!(
            fetched(run).base.as_ref().and_then(BaseUse::used).is_some(),
            "{run:#?}"
        );
    }
    let last = scene.object(runs[2].delivered()).await;
    assert_is_archive(&last.bytes, &repository, MAIN, &commits[3]).await;
    // The next one begins from the last.
    let next = push(&scene, &repository, "5").await;
    let base = fetched(&next).base.as_ref().and_then(BaseUse::used).unwrap();
    assert_eq!(base.push_id, runs[2].push_id);
}

/// It is retried when what has failed is mended.
#[tokio::test]
async fn a_push_that_fails_after_its_base_was_read_is_delivered_in_the_end() {
    let (scene, _host) = Scene::over_http("bases-of-failed", Options::default()).await;
    let repository = scene.repository("group/project");
    repository.write("other", "stays");
    push(&scene, &repository, "1").await;
    let key = scene.delivered_keys().await.remove(0);
    for (content, stage, limit) in [
        ("2", "Fetch", "objects"),
        ("3", "Package", "file_bytes"),
        ("4", "Upload", ""),
    ] {
        let before = repository.git(["rev-parse", MAIN]);
        let after = repository.commit_file("src/changed.txt", content);
        let hook = scene.hook(&repository.path, MAIN, Some(&before), Some(&after));
        let foreign = async || {
            let put = scene.stack.handle().s3().put_object().key(&key);
            let put = put.bucket(scene.stack.output("DestinationBucket"));
            put.body(b"of somebody else".to_vec().into())
                .send()
                .await
                .unwrap();
        };
        let error = if limit.is_empty() {
            foreign().await;
            "DestinationOccupied"
        } else {
            let limits = json!({ limit: 1 });
            scene
                .configure(|settings| settings["options"] = json!({ "limits": limits }))
                .await;
            "LimitExceeded"
        };
        let delivery = Delivery::fresh();
        let failed = scene.deliver(&hook, &delivery).await;
        assert_eq!(failed.ended.error.as_deref(), Some(error), "{failed:#?}");
        assert_eq!(failed.state().failure.as_ref().unwrap().failure.stage, stage);
        if stage != "Fetch" {
            assert!(fetched(&failed).base.as_ref().and_then(BaseUse::used).is_some());
        }
        scene.configure(|_| ()).await;
        if limit.is_empty() {
            scene.remove_delivered().await;
        }
        let run = scene.resend(&hook, &delivery, 2).await;
        assert!(
            fetched(&run).base.as_ref().and_then(BaseUse::used).is_some(),
            "{run:#?}"
        );
        let object = scene.object(run.delivered()).await;
        assert_is_archive(&object.bytes, &repository, MAIN, &after).await;
    }
}
