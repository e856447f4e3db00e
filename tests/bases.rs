//! Pushes that are fetched as the difference from the one before, with what can go wrong with what that one has left.

use domain::contract::{BaseUse, FetchedCommit};
use git_host::Options;

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
        assert_used(&new, &fourth, 3);
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

/// Somebody who may write to the bucket puts another object in the place of a pack.
#[tokio::test]
async fn a_base_that_was_tampered_with_changes_no_zip() {
    let (scene, _host) = Scene::over_http("tampered-bases", Options::default()).await;
    let repository = scene.repository("group/project");
    let first = push(&scene, &repository, "1").await;
    let s3 = scene.stack.handle().s3();
    let key = fetched(&first).pack.key.as_str();
    let put = async || {
        let put = s3.put_object().bucket(scene.stack.output("StagingBucketName"));
        put.key(key)
            .body(b"another pack".to_vec().into())
            .send()
            .await
            .unwrap();
    };
    // The version that was recorded is still there.
    put().await;
    let second = push(&scene, &repository, "2").await;
    assert_used(&second, &first, 1);
    scene.expire_base(first.push_id).await;
    put().await;
    let third = push(&scene, &repository, "3").await;
    why_not(&third);
}
