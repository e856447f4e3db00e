//! Logins that are exchanged for what is sent, with the deployed functions.

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;
use crate::{DELIVERED, assert_fetch_fails_once, assert_is_archive, commit_files_of_every_kind};

#[tokio::test]
async fn a_push_that_a_github_app_may_read_becomes_the_zip_of_its_commit() {
    let (scene, github) = Scene::on_github("github-app").await;
    let repository = scene.repository("group/project");
    let commit = commit_files_of_every_kind(&repository);
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    assert_eq!(run.events(), DELIVERED, "{run:#?}");
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    assert_eq!(github.issued()[0].repository, "group/project");
}

#[tokio::test]
async fn an_app_that_is_not_the_keys_fails_the_push() {
    let (scene, github) = Scene::on_github("strange-app").await;
    let mut entry = github.credential();
    entry["app_id"] = "54321".into();
    scene
        .put_git_secret(&serde_json::json!({ "credentials": [entry] }))
        .await;
    assert_fetch_fails_once(&scene, "InstallationTokenRefused").await;
    assert!(github.issued().is_empty());
}
