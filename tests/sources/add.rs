//! A source that was added, from the command's output to the zip.

use secrecy::ExposeSecret as _;
use serde_json::json;
use sources::{DeployKey, Error, Secret, Trust, add, pin, show};
use testkit::ssh::Sshd;

use super::{Subject, program};
use crate::assert_is_archive;
use crate::fixtures::repository::{MAIN, Repository};
use crate::fixtures::scene::{Scene, login};

/// Checks that the first push to a new repository becomes its zip. Returns the repository and the commit.
async fn assert_delivers(scene: &Scene) -> (Repository, String) {
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let run = scene.push(&hook).await;
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    (repository, commit)
}

#[tokio::test]
async fn a_source_that_was_added_over_http_delivers_and_its_secrets_are_not_shown() {
    let mut subject = Subject::over_http("added-http").await;
    let added = subject.add().await;
    let scene = &subject.scene;
    let (repository, commit) = assert_delivers(scene).await;

    let shown = show(&subject.store, &subject.name()).await.unwrap();
    let Secret::There(secret) = &shown.git_secret else {
        panic!("{shown:#?}");
    };
    assert_eq!(secret.logins.len(), 1);
    let text = format!("{shown:?}{added:?}{}", json!(shown));
    for secret in [login().password.as_str(), added.webhook_secret.expose_secret()] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(added.webhook_secret.expose_secret().len(), 64);

    let again = add(&subject.store, &subject.new_source()).await;
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");
    // The secret that the host has is still the one.
    let next = repository.commit_file("README.md", "# Better\n");
    let hook = scene.hook(&repository.path, MAIN, Some(&commit), Some(&next));
    assert!(scene.push(&hook).await.state().delivered.is_some());
}

#[tokio::test]
async fn a_source_that_was_added_over_ssh_delivers_by_the_key_that_was_made_for_it() {
    let root = tempfile::tempdir().unwrap();
    let sshd = Sshd::of(root.path()).await;
    let scene = Scene::without_source("added-ssh", root, sshd.origin.clone()).await;
    let mut subject = Subject::of(scene, sshd);
    let sshd = &subject.host;
    let settings = subject.scene.settings().to_string();
    let source = subject.with_settings(&settings);
    // The key of the host is trusted by what was given, and never by itself.
    let hosts = source.settings().git_hosts.clone();
    let fingerprint = fingerprint(&sshd.known_hosts());
    let another = ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".to_owned()];
    let other_line = sshd.pin(&sshd.make_key("ed25519", "").1);
    let disagrees = |_: &_, _: &_| Err("no".to_owned());
    for trust in [
        Trust::Fingerprints(&another),
        Trust::KnownHosts(&other_line),
        Trust::KnownHosts(""),
        Trust::Person(&disagrees),
    ] {
        let refused = pin(&hosts, &program(), &trust).await.unwrap_err();
        assert!(matches!(refused, Error::HostKey { .. }), "{refused}");
    }
    let agrees = |_: &_, key: &remote::HostKey| match key.fingerprint() == fingerprint {
        true => Ok(()),
        false => Err(key.fingerprint()),
    };
    let right = [another[0].clone(), fingerprint.clone()];
    let lines = sshd.known_hosts();
    for trust in [
        Trust::Person(&agrees),
        Trust::KnownHosts(&lines),
        Trust::Fingerprints(&right),
    ] {
        let pinned = pin(&hosts, &program(), &trust).await.unwrap();
        assert_eq!(pinned.len(), 1);
        // A line of the host's file has a comment too.
        assert!(lines.starts_with(pinned[0].known_hosts.trim()), "{pinned:?}");
    }
    // Without a key nothing is written.
    let without = add(&subject.store, &source).await;
    assert!(matches!(without, Err(Error::NoKey(_))), "{without:?}");
    let pinned = pin(&hosts, &program(), &Trust::Fingerprints(&right))
        .await
        .unwrap();
    let key = DeployKey::generate(&subject.name()).unwrap();
    let source = source.with_key(&pinned[0], &key.private);
    let added = add(&subject.store, &source).await.unwrap();
    sshd.let_in(&key.public);
    subject.use_webhook(&added);

    let shown = show(&subject.store, &subject.name()).await.unwrap();
    assert!(json!(shown).to_string().contains(&key.public), "{shown:#?}");
    let scene = &subject.scene;
    assert_delivers(scene).await;
}

/// Returns the fingerprint of a line of `known_hosts`, as `ssh-keygen` prints it.
fn fingerprint(line: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, line).unwrap();
    let mut command = std::process::Command::new(tools::program("ssh-keygen"));
    let printed = testkit::git::line(command.arg("-lf").arg(&file), b"");
    printed.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn settings_that_the_functions_refuse_are_not_written() {
    let subject = Subject::over_http("added-wrong").await;
    let mut settings = subject.scene.settings();
    settings["ref"] = json!([]);
    let refused = sources::NewSource::new(subject.name(), settings.to_string()).err();
    let refused = refused.unwrap();
    assert!(refused.to_string().contains("unknown: ref"), "{refused}");
    let missing = show(&subject.store, &subject.name()).await;
    assert!(matches!(missing, Err(Error::Missing(_))), "{missing:?}");
}

#[tokio::test]
async fn two_sources_of_one_repository_deliver_each_for_itself() {
    let mut one = Subject::added("added-one").await;
    let repository = one.scene.repository("group/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    let mut other = Subject::over_http("added-other").await;
    // It is a source of the first one's host.
    let settings = one.scene.settings().to_string();
    let login = login();
    let source = other.with_settings(&settings);
    let source = source.with_password(&login.username, &login.password.into());
    let added = add(&other.store, &source).await.unwrap();
    other.use_webhook(&added);
    let hook = one.scene.hook(&repository.path, MAIN, None, Some(&commit));
    // One delivery of the host is another push for each source.
    let delivery = webhook::gitlab::Delivery::fresh();
    let of_one = one.scene.deliver(&hook, &delivery).await;
    let of_other = other.scene.deliver(&hook, &delivery).await;
    assert_ne!(of_one.push_id, of_other.push_id);
    for (run, subject) in [(&of_one, &one), (&of_other, &other)] {
        let prefix = format!("{}/", subject.name());
        assert!(run.delivered().key.as_str().starts_with(&prefix));
    }
    // The secret of one does not let in webhooks of the other.
    one.use_secret(&added.webhook_secret);
    assert!(one.scene.webhook.send(&hook, &delivery).await.is_err());
}
