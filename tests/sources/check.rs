//! Sources that are tried: what is wrong is found, named with a remedy, and nothing is written.

use domain::push::SourceName;
use serde_json::{Value, json};
use sources::{Captured, Check, Expected, Outcome, ProofFound, check, expect, set_disabled};
use testkit::ssh::Sshd;

use super::{Subject, program};
use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Scene, http_secret, login, ssh_secret};

async fn tried(scene: &Scene) -> Vec<Check> {
    let name: SourceName = scene.source.parse().unwrap();
    let repository = "group/project".parse().unwrap();
    let handle = scene.stack.handle();
    check(&handle, &name, Some(&repository), &program())
        .await
        .unwrap()
}

/// Asserts that just one check fails, whose subject and reason contain these texts. If it is about a git host, the
/// function fails with the same error.
async fn assert_wrong(scene: &Scene, subject: &str, expected: &str) {
    let checks = tried(scene).await;
    let failed: Vec<_> = checks.iter().filter(|check| check.is_failed()).collect();
    let is_of_host = failed[0].subject.contains("127.0.0.1");
    assert_eq!(failed.len(), if is_of_host { 2 } else { 1 }, "{checks:#?}");
    assert!(failed[0].subject.contains(subject), "{failed:#?}");
    assert!(
        !is_of_host || failed[1].subject.ends_with(" from the function fetch"),
        "{failed:#?}"
    );
    for check in failed {
        let Outcome::Failed { reason, remedy } = &check.outcome else {
            panic!("{check:?}");
        };
        assert!(reason.contains(expected) && !remedy.is_empty(), "{check:?}");
    }
}

/// What nobody can check is told as such: the local AWS has no CodePipeline, and nothing was pushed yet.
const NOT_CHECKED: [&str; 2] = ["arrival of webhooks", "pipelines"];

fn assert_all_ok(checks: &[Check]) {
    let not_ok = |check: &&Check| !matches!(check.outcome, Outcome::Ok { .. });
    let wrong = checks.iter().filter(not_ok);
    let wrong: Vec<_> = wrong
        .filter(|check| !NOT_CHECKED.contains(&&*check.subject))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_source_over_http_is_named() {
    let subject = Subject::added("tried").await;
    let scene = &subject.scene;
    let repository = scene.repository("group/project");
    repository.commit_file("README.md", "# Fine\n");
    let checks = tried(scene).await;
    assert_all_ok(&checks);
    assert!(
        json!(checks)
            .to_string()
            .contains("it lists 1 refs, of which 1 are delivered"),
        "{checks:#?}"
    );
    let no_wildcard = check(&scene.stack.handle(), &subject.name(), None, &program()).await;
    let no_wildcard = no_wildcard.unwrap();
    let is_open = |check: &Check| matches!(check.outcome, Outcome::NotChecked { .. });
    let open: Vec<_> = no_wildcard.iter().filter(|check| is_open(check)).collect();
    assert_eq!(open.len(), 3, "{open:#?}");
    assert_eq!([&*open[0].subject, &*open[2].subject], NOT_CHECKED);

    set_disabled(&subject.store, &subject.name(), true).await.unwrap();
    assert_wrong(scene, "settings", "disabled").await;
    let settings = |change: &dyn Fn(&mut Value)| {
        let mut settings = scene.settings();
        change(&mut settings);
        settings
    };
    for (change, at, expected) in [
        (
            settings(&|settings| settings["ref"] = json!([])),
            "settings",
            "unknown: ref",
        ),
        (
            settings(&|settings| settings["provider"] = json!("github")),
            "webhook secret",
            "webhooks of GitLab",
        ),
        (
            settings(&|settings| settings["git_hosts"] = json!(["http://127.0.0.1:1"])),
            "http://127.0.0.1:1",
            "GitHostUnreachable",
        ),
    ] {
        scene.stack.put_settings("tried", &change.to_string()).await;
        assert_wrong(scene, at, expected).await;
    }
    scene.configure(|_| ()).await;

    let wrong_password = git_host::Credentials {
        password: "another".to_owned(),
        ..login()
    };
    for (secret, at, expected) in [
        (
            http_secret(scene.origin(), &wrong_password),
            "group/project",
            "AuthenticationFailed",
        ),
        (json!({"credentials": []}), "group/project", "CredentialsMissing"),
        (json!({"credential": []}), "git secret", "does not have the form"),
    ] {
        scene.put_git_secret(&secret).await;
        assert_wrong(scene, at, expected).await;
    }
    scene.put_git_secret(&http_secret(scene.origin(), &login())).await;
    for (secret, expected) in [
        (json!({"provider": "gitlab", "secret": "short"}), "can be guessed"),
        (json!({"provider": "gitlab"}), "malformed"),
    ] {
        scene.stack.put_secret("tried", "webhook", &secret).await;
        assert_wrong(scene, "webhook secret", expected).await;
    }
}

#[tokio::test]
async fn a_bucket_that_cannot_be_delivered_to_is_named_with_the_rights_that_are_missing() {
    let subject = Subject::added("tried-bucket").await;
    let scene = &subject.scene;
    scene
        .repository("group/project")
        .commit_file("README.md", "# Fine\n");
    let bucket = "another-bucket-of-the-account";
    let s3 = scene.stack.handle().s3();
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    scene
        .configure(|settings| {
            settings["further_destinations"] = json!([{"name": "more", "destination": {"bucket": bucket}}]);
        })
        .await;
    let checks = tried(scene).await;
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.is_failed())
        .map(|check| (check.subject.as_str(), json!(check)["reason"].to_string()))
        .collect();
    let subjects: Vec<_> = failed.iter().map(|(subject, _)| *subject).collect();
    let versions = format!("versions in {bucket}");
    assert_eq!(subjects, [&*versions, "rights of upload", "rights of sweep"]);
    assert!(failed[1].1.contains("s3:PutObject"), "{failed:?}");
    scene
        .configure(|settings| settings["destination"]["bucket"] = json!("no-such-bucket"))
        .await;
    let checks = tried(scene).await;
    let missing = checks
        .iter()
        .find(|check| check.subject == "bucket no-such-bucket");
    assert!(
        json!(missing)["reason"]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
}

#[tokio::test]
async fn a_host_key_that_is_not_pinned_is_told_before_anybody_logs_in() {
    let root = tempfile::tempdir().unwrap();
    let sshd = Sshd::of(root.path()).await;
    let scene = Scene::without_source("tried-ssh", root, sshd.origin.clone()).await;
    let (stack, source) = (scene.stack, "tried-ssh");
    let webhook = json!({"provider": "gitlab", "secret": "0123456789abcdef"});
    stack.create_secret(source, "webhook", &webhook).await;
    let secret = |key: &str, lines: &str| ssh_secret(scene.origin(), key, lines);
    let right = secret(&sshd.private_key, &sshd.known_hosts());
    stack.create_secret(source, "git", &right).await;
    scene.configure(|_| ()).await;
    scene
        .repository("group/project")
        .commit_file("README.md", "# Fine\n");
    assert_all_ok(&tried(&scene).await);
    let (private, public) = sshd.make_key("ed25519", "");
    let logged = sshd.log();
    scene
        .put_git_secret(&secret(&sshd.private_key, &sshd.pin(&public)))
        .await;
    assert_wrong(&scene, "host key of", "HostKeyMismatch").await;
    let more = sshd.log().split_off(logged.len());
    assert!(!more.contains("publickey"), "{more}");
    scene.put_git_secret(&secret(&private, &sshd.known_hosts())).await;
    assert_wrong(&scene, "group/project", "AuthenticationFailed").await;
    scene.put_git_secret(&json!({"credentials": []})).await;
    assert_wrong(&scene, "host key of", "CredentialsMissing").await;
}

#[tokio::test]
async fn a_captured_webhook_says_what_would_come_of_it_and_starts_nothing() {
    let subject = Subject::added("captured").await;
    let scene = &subject.scene;
    let captured = |repository: &str, token: &str| {
        let hook = scene.hook(repository, MAIN, None, Some(&"a".repeat(40)));
        let text = format!(
            "POST /hooks/captured HTTP/1.1\r\nX-Gitlab-Event: {}\r\nX-Gitlab-Token: {token}\r\n\r\n{}",
            hook.event(),
            hook.payload()
        );
        Captured::read(text.as_bytes()).unwrap()
    };
    let says = async |captured: &Captured| expect(&subject.store, &subject.name(), captured).await.unwrap();
    let token = &scene.webhook.token;
    let (proof, expected) = says(&captured("group/project", token)).await;
    assert_eq!(proof, ProofFound::Proven);
    let [Expected::Delivered { key, clone_url, .. }] = &expected[..] else {
        panic!("{expected:?}");
    };
    assert_eq!(key, "captured/group/project/heads/main.zip");
    assert!(clone_url.starts_with(scene.origin()), "{clone_url}");
    let (proof, expected) = says(&captured("another/project", "wrong")).await;
    assert!(matches!(proof, ProofFound::Refused { .. }), "{proof:?}");
    assert!(matches!(expected[..], [Expected::Ignored { .. }]), "{expected:?}");
    let alone = Captured::read(b"{}").unwrap();
    let (proof, expected) = says(&alone).await;
    assert!(matches!(proof, ProofFound::Refused { .. }), "{proof:?}");
    assert!(
        matches!(expected[..], [Expected::Unreadable { .. }]),
        "{expected:?}"
    );
    assert_eq!(scene.executions_of("").await, [""; 0]);
}
