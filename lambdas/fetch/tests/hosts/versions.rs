//! What the ref points to when an earlier version is delivered again.

use std::sync::{Arc, Mutex};

use audit::{EventStore as _, MemoryTrail, PushTrail as _};
use aws::secrets::{SecretError, Secrets};
use domain::contract::{Deliver, FetchInput, FoundVersion};
use domain::error::{Code, Coded as _};
use domain::push::{Push, SourceName};
use domain::samples;
use fetch::TransferProgram;
use secrecy::SecretString;
use serde_json::json;
use testkit::http::Host;
use uuid::Uuid;

use crate::scene::{PASSWORD, PROGRAM, Scene};

/// Pushes that come while the secret is read, which is before the git host is asked: each moves the ref to a commit.
struct Meanwhile<'a> {
    scene: &'a Scene,
    trail: &'a MemoryTrail,
    secret: String,
    pushes: Mutex<Vec<(Push, String)>>,
}

impl Secrets for Meanwhile<'_> {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        let next = self.pushes.lock().unwrap().pop();
        if let Some((push, commit)) = next {
            self.scene
                .git(&["update-ref", push.ref_name.as_str(), &commit], b"");
            self.trail.number(&push).await.unwrap();
        }
        Ok(self.secret.clone().into())
    }
}

/// Finds the zip of a push that was delivered, while these pushes come. Returns what was found, and the trail.
async fn find(scene: &Scene, url: &str, pushes: Vec<(Push, String)>) -> (FoundVersion, MemoryTrail) {
    let trail = MemoryTrail::default();
    let to = samples::push("d1", "refs/heads/main");
    for event in samples::delivered_trail(&to) {
        trail.append(to.push_id, |_| Some(event.clone())).await.unwrap();
    }
    let rollback = to.rolled_back_to(Uuid::nil(), None);
    let deliver = Deliver {
        clone_url: url.parse().unwrap(),
        rollback: Some(samples::version()),
        ..samples::deliver()
    };
    let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
    let secrets = Meanwhile {
        scene,
        trail: &trail,
        secret: json!({"credentials": [{"host": host, "username": "u", "password": PASSWORD}]}).to_string(),
        pushes: Mutex::new(pushes),
    };
    let envelope = samples::envelope(rollback, FetchInput { deliver });
    let transfer = TransferProgram::new(PROGRAM.into(), 1 << 30);
    let found = fetch::find_version(&secrets, &Arc::default(), &transfer, &trail, &envelope)
        .await
        .unwrap();
    (found, trail)
}

#[tokio::test]
async fn the_git_host_is_asked_what_the_ref_points_to_and_for_nothing_else() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::of(&scene).await;
    let (found, trail) = find(&scene, &host.url(), vec![]).await;
    assert_eq!(found.fetched.ref_now, Some(commit.parse().unwrap()));
    assert_eq!(found.archive, samples::archive());
    assert_eq!(found.fetched.commit, samples::fetched().commit);
    let rollback = samples::push("d1", "refs/heads/main").rolled_back_to(Uuid::nil(), None);
    assert_eq!(found.deliver.sequence, trail.number(&rollback).await.unwrap());
    scene.git(&["update-ref", "-d", "refs/heads/main"], b"");
    let (found, _) = find(&scene, &host.url(), vec![]).await;
    assert_eq!((found.fetched.ref_now, found.archive.warnings.len()), (None, 0));
}

#[tokio::test]
async fn a_push_that_comes_while_the_git_host_is_asked_is_one_of_before() {
    let scene = Scene::new();
    let [first, second, third] = scene.history();
    let host = Host::of(&scene).await;
    let push = |id: &str, commit: &String| (samples::push(id, "refs/heads/main"), commit.clone());
    let pushes = vec![push("d3", &third), push("d2", &second), push("d4", &first)];
    let (last, commit) = pushes[0].clone();
    let (found, trail) = find(&scene, &host.url(), pushes).await;
    assert_eq!(found.fetched.ref_now, Some(commit.parse().unwrap()));
    // The number of the last one is the one before that of the rollback.
    let numbered = trail.last_push(&audit::RefKey::of(&last)).await.unwrap().unwrap();
    assert_eq!(numbered.sequence, found.deliver.sequence);
    assert_eq!(found.archive.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_rollback_does_not_wait_for_pushes_to_stop() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::of(&scene).await;
    let pushes = (0..20).map(|number| {
        (
            samples::push(&format!("d{number}"), "refs/heads/main"),
            commit.clone(),
        )
    });
    let (found, _) = find(&scene, &host.url(), pushes.collect()).await;
    assert_eq!(found.fetched.ref_now, None);
    let warning = &found.archive.warnings[0];
    assert!(warning.ends_with("pushes keep coming"), "{warning}");
}

#[tokio::test]
async fn a_version_is_found_without_a_git_host_and_a_warning_says_what_is_not_known() {
    let scene = Scene::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/group/project.git", nobody.local_addr().unwrap());
    drop(nobody);
    let (found, _) = find(&scene, &url, vec![]).await;
    assert_eq!(found.fetched.ref_now, None);
    let [warning] = &found.archive.warnings[..] else {
        panic!("{:?}", found.archive)
    };
    assert!(
        warning.contains("refs/heads/main") && warning.contains(&url),
        "{warning}"
    );
    assert!(!warning.contains(PASSWORD), "{warning}");
}

#[tokio::test]
async fn a_trail_that_does_not_have_the_zip_is_an_error() {
    let trail = MemoryTrail::default();
    let scene = Scene::new();
    let secrets = Meanwhile {
        scene: &scene,
        trail: &trail,
        secret: String::new(),
        pushes: Mutex::default(),
    };
    let transfer = TransferProgram::new(PROGRAM.into(), 1 << 30);
    let to = samples::push("d1", "refs/heads/main");
    let code = async |deliver: Deliver| {
        let envelope = samples::envelope(to.rolled_back_to(Uuid::nil(), None), FetchInput { deliver });
        let found = fetch::find_version(&secrets, &Arc::default(), &transfer, &trail, &envelope).await;
        found.unwrap_err().code()
    };
    assert_eq!(code(samples::deliver()).await, Code::InputInvalid);
    let deliver = Deliver {
        rollback: Some(samples::version()),
        ..samples::deliver()
    };
    assert_eq!(code(deliver).await, Code::VersionMissing);
}
