//! Tests the whole as it is deployed: pushes to real git hosts, webhooks, the state machine and the functions' binaries
//! in a local AWS that enforces IAM roles.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot do its work has failed the test"
)]

mod attempts;
mod bases;
mod board;
mod burst;
mod checkpoints;
mod commit_status;
mod credentials;
mod deepest;
mod deployer;
mod deployments;
mod fixtures;
mod histories;
mod hostile;
mod listeners;
mod options;
mod order;
mod providers;
mod read_models;
mod redrives;
mod remedies;
mod retries;
mod roles;
mod rollbacks;
mod routing;
mod sample;
mod sources;
mod strict;
mod sweep;
mod unhappy;
mod upgrade;
mod watch;

use chrono::Utc;
use domain::contract::{
    Archive, Deliver, Envelope, FetchInput, FetchedCommit, FetchedInput, RecordInput, UploadInput,
    ValidateInput,
};
use domain::execution::Execution;
use domain::push::{Push, PushId, Trigger};
use domain::state::Status;
use fixtures::archive;
use fixtures::aws::Caller;
use fixtures::repository::{MAIN, Repository, noise};
use fixtures::scene::{Run, Scene, cause_of, http_secret, login, names, ssh_secret, webhook};
use fixtures::stack::{Stack, stack};
use git_host::{Credentials, Options};
use local_aws::build::Profile;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use webhook::gitlab::{Delivery, PushHook};

/// The events of a push that is delivered, in order.
const DELIVERED: [&str; 6] = [
    "PushReceived",
    "PushValidated",
    "CommitFetched",
    "ArchivePackaged",
    "ArchiveUploaded",
    "PushDelivered",
];

/// Commits files of every kind that git has, with names that are easily handled wrongly.
fn commit_files_of_every_kind(repository: &Repository) -> String {
    repository
        .write("README.md", "# A project\n")
        .write("empty", "")
        .write("with space.txt", "a space\n")
        .write("ünïcödé/Grüße 推送.txt", "more than ASCII\n")
        .write("deep/er/and/deeper/still/file", "deep\n")
        .write("binary", noise(3 << 20))
        .write("text", "a line that is repeated\n".repeat(100_000))
        .write(".github/workflows/ci.yml", "on: push\n")
        .write(".gitignore", "target/\n")
        .write_executable("bin/run.sh", "#!/bin/sh\nexit 0\n")
        .link("link", "README.md")
        .link("deep/up", "../bin")
        .link("dangling", "nowhere/at all")
        .submodule("vendor/library", &"5".repeat(40))
        .commit("Add files of every kind: Grüße\n\nWith a body.\n")
}

/// Checks that a zip holds what `git archive` exports of the commit, and `build-info.json`.
async fn assert_is_archive(zip: &[u8], repository: &Repository, ref_name: &str, commit: &str) {
    let mut entries = archive::of_zip(zip).await;
    let info = entries.iter().position(|entry| entry.path == "build-info.json");
    let info = entries.remove(info.expect("the zip has no build-info.json"));
    let mut sorted = entries.clone();
    sorted.sort();
    assert_eq!(sorted, repository.archive(commit).await);
    assert_eq!(entries, sorted, "the entries are ordered by path");
    assert_eq!(info.mode, "0o100644");
    let info: Value = serde_json::from_str(&info.text.unwrap()).unwrap();
    let git = |format: &str| repository.git(["log", "-1", &format!("--format={format}"), commit]);
    assert_eq!(
        info,
        json!({
            "repository": repository.path,
            "ref": ref_name,
            "commit": git("%H"),
            "tree": git("%T"),
            "author": {"name": "Jörg Äpfel", "email": "joerg@example.com"},
            "committed_at": "2024-03-06T05:08:10+00:00",
            "subject": git("%s"),
        })
    );
}

/// Returns the id that a push gets.
fn push_id(scene: &Scene, delivery: &Delivery, ref_name: &str) -> PushId {
    let delivery_id = delivery.idempotency_key.to_string().parse().unwrap();
    PushId::new(
        &scene.source.parse().unwrap(),
        &delivery_id,
        &ref_name.parse().unwrap(),
    )
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn a_push_over_http_with_a_token_becomes_the_zip_of_its_commit() {
    let (scene, _host) = Scene::of_the_template().await;
    let repository = scene.repository("group/sub-group/project");
    let before = repository.commit_file("README.md", "old");
    let commit = commit_files_of_every_kind(&repository);
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&before), Some(&commit)))
        .await;

    let delivered = run.delivered();
    assert_eq!(run.events(), DELIVERED);
    assert_eq!(delivered.bucket, scene.stack.output("DestinationBucket"));
    assert_eq!(
        delivered.key.as_str(),
        "gitlab/group/sub-group/project/heads/main.zip"
    );
    let object = scene.object(delivered).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    assert_eq!(object.content_type, "application/zip");
    // S3 returns text that is not ASCII encoded.
    let expected = [
        (
            "codepipeline-artifact-revision-summary",
            "=?UTF-8?Q?Add_files_of_every_kind=3A_Gr=C3=BC=C3=9Fe?=",
        ),
        ("commit", &commit),
        ("commit-time", "2024-03-06T05:08:10Z"),
        (
            "author",
            "=?UTF-8?Q?J=C3=B6rg_=C3=84pfel_=3Cjoerg=40example=2Ecom=3E?=",
        ),
        ("sha256", &sha256(&object.bytes)),
        ("push-id", &run.push_id.to_string()),
        (
            "sequence",
            &run.state().deliver.as_ref().unwrap().sequence.to_string(),
        ),
        ("source", "gitlab"),
        ("repository", "group/sub-group/project"),
        ("ref", MAIN),
        ("before", &before),
        ("after", &commit),
        ("ref-now", &commit),
        ("provenance", delivered.provenance.as_ref().unwrap().as_str()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(object.metadata, expected.into());

    let event = scene
        .stack
        .inbox
        .event("Push Delivered", &run.push_id.to_string())
        .await;
    assert_eq!(event["detail"]["sha256"], sha256(&object.bytes));
    assert_eq!(
        event["detail"]["delivered"],
        serde_json::to_value(delivered).unwrap()
    );
    assert_eq!(scene.staged_keys(run.push_id).await, [""; 0]);

    // What functions say is in a file while they run, as on AWS.
    let log = std::fs::read_to_string(scene.stack.local.folder().join("functions.log")).unwrap();
    let mut lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fetched = json!({ "event": "CommitFetched", "push_id": run.push_id });
    assert!(
        lines.any(|line| ["event", "push_id"]
            .iter()
            .all(|name| line["fields"][name] == fetched[name])),
        "{log}"
    );
}

#[tokio::test]
async fn a_push_over_ssh_with_a_key_becomes_the_zip_of_its_commit() {
    let (scene, host) = Scene::over_ssh("ssh").await;
    let repository = scene.repository("group/project");
    let commit = commit_files_of_every_kind(&repository);
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    assert_eq!(
        run.ended.status.as_str(),
        "SUCCEEDED",
        "{run:#?}\nsshd: {}",
        host.log()
    );
    assert_eq!(run.events(), DELIVERED);
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    assert_eq!(scene.staged_keys(run.push_id).await, [""; 0]);
}

#[tokio::test]
async fn a_commit_that_is_pushed_again_becomes_the_same_bytes() {
    let (scene, _host) = Scene::over_http("same-bytes", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = commit_files_of_every_kind(&repository);
    let first = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let first_object = scene.object(first.delivered()).await;
    // If its user asks for it, a host sends a webhook again for a ref that has not moved.
    let again = scene.hook(&repository.path, MAIN, Some(&commit), Some(&commit));
    let second = scene.push(&again).await;
    let second_object = scene.object(second.delivered()).await;
    assert_ne!(
        second_object.metadata["push-id"],
        first_object.metadata["push-id"]
    );
    assert_eq!(second_object.metadata["push-id"], second.push_id.to_string());
    let number = |object: &fixtures::scene::Object| object.metadata["sequence"].parse::<u64>().unwrap();
    assert!(number(&second_object) > number(&first_object));
    assert_eq!(sha256(&second_object.bytes), sha256(&first_object.bytes));
    assert_eq!(second.delivered().etag, first.delivered().etag);
}

#[tokio::test]
async fn an_annotated_tag_becomes_the_zip_of_the_commit_that_it_names() {
    let (scene, _host) = Scene::over_http("annotated-tag", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = commit_files_of_every_kind(&repository);
    repository.commit_file("later", "not in the tag");
    repository.git(["tag", "--annotate", "v1.0", "--message", "One", &commit]);
    let tag = repository.git(["rev-parse", "refs/tags/v1.0"]);
    let run = scene
        .push(&scene.hook(&repository.path, "refs/tags/v1.0", None, Some(&tag)))
        .await;
    assert_eq!(
        run.delivered().key.as_str(),
        "annotated-tag/group/project/tags/v1.0.zip"
    );
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, "refs/tags/v1.0", &commit).await;
    assert_eq!(
        (&object.metadata["commit"], &object.metadata["after"]),
        (&commit, &tag)
    );
}

#[tokio::test]
async fn a_repository_larger_than_one_part_of_an_upload_is_delivered_whole() {
    let (scene, _host) = Scene::over_http("large", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository
        .write("large", noise(18 << 20))
        .write("small", "small")
        .commit("Add a large file");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    let (fetched, archive) = (run.state().fetched.as_ref(), run.state().archive.as_ref());
    for size in [fetched.unwrap().pack.size, archive.unwrap().object.size] {
        assert!(
            size > aws::staging::PIECE_BYTES as u64,
            "{size} bytes are one part"
        );
    }
}

#[tokio::test]
async fn a_zip_has_no_build_info_if_the_source_disables_it() {
    let (scene, _host) = Scene::over_http("no-build-info", Options::default()).await;
    scene
        .configure(|settings| settings["options"] = json!({"build_info": false}))
        .await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let entries = archive::of_zip(&scene.object(run.delivered()).await.bytes).await;
    assert_eq!(entries, repository.archive(&commit).await);
}

#[tokio::test]
async fn a_wrong_or_missing_token_or_an_unknown_source_is_refused_and_starts_nothing() {
    let (scene, _host) = Scene::over_http("wrong-token", Options::default()).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let delivery = Delivery::fresh();
    let mut wrong = scene.webhook.clone();
    wrong.token.push('x');
    let mut unknown = webhook(scene.stack, "no-such-source");
    unknown.token.clone_from(&scene.webhook.token);
    let mut other = webhook(scene.stack, "gitlab");
    other.token.clone_from(&scene.webhook.token);
    for refused in [wrong, unknown, other] {
        let response = refused
            .post(hook.event(), &delivery, &hook.payload())
            .await
            .unwrap();
        assert!(
            matches!(response.status().as_u16(), 401 | 403),
            "{refused:?}: {response:?}"
        );
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let without = client
        .post(&scene.webhook.url)
        .header("X-Gitlab-Event", hook.event());
    let response = without.json(&hook.payload()).send().await.unwrap();
    assert!(matches!(response.status().as_u16(), 401 | 403), "{response:?}");

    assert_eq!(scene.executions_of("").await, [""; 0]);
}

#[tokio::test]
async fn a_push_that_the_settings_exclude_is_ignored_with_its_reason() {
    let (scene, _host) = Scene::over_http("not-wanted", Options::default()).await;
    scene
        .configure(|settings| settings["refs"] = json!(["refs/heads/main", "refs/heads/old"]))
        .await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    for (hook, reason) in [
        (
            scene.hook("group/project", "refs/heads/old", Some(&commit), None),
            "RefDeleted",
        ),
        (
            scene.hook("group/project", "refs/heads/next", None, Some(&commit)),
            "RefNotWanted",
        ),
        (
            scene.hook("other/project", MAIN, None, Some(&commit)),
            "RepositoryNotAllowed",
        ),
    ] {
        let run = scene.push(&hook).await;
        assert_eq!(run.ended.status.as_str(), "SUCCEEDED", "{run:#?}");
        assert_eq!(run.events(), ["PushReceived", "PushIgnored"]);
        let ignored = run.state().ignored.as_ref().unwrap();
        assert_eq!(serde_json::to_value(ignored.reason).unwrap(), reason);
        let event = scene
            .stack
            .inbox
            .event("Push Ignored", &run.push_id.to_string())
            .await;
        assert_eq!(event["detail"]["reason"], ignored.detail);
    }
    assert_eq!(scene.delivered_keys().await, [""; 0]);
}

#[tokio::test]
async fn a_hook_that_is_not_a_push_gets_a_reason_and_starts_nothing() {
    let (scene, _host) = Scene::over_http("no-push", Options::default()).await;
    let payload = json!({"object_kind": "issue", "event_type": "issue", "project": {"id": 1}});
    let response = scene
        .webhook
        .post("Issue Hook", &Delivery::fresh(), &payload)
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(
        answer,
        json!({"pushes": [], "reason": "a Issue Hook is not a push"})
    );
    assert_eq!(scene.executions_of("").await, [""; 0]);
}

#[tokio::test]
async fn a_hook_that_cannot_be_read_is_refused_and_starts_nothing() {
    let (scene, _host) = Scene::over_http("unreadable", Options::default()).await;
    let mut payload = scene
        .hook("group/project", MAIN, None, Some(&"a".repeat(40)))
        .payload();
    payload["after"] = json!("not an object id");
    let response = scene
        .webhook
        .post("Push Hook", &Delivery::fresh(), &payload)
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("not an object id"));
    assert_eq!(scene.executions_of("").await, [""; 0]);
}

#[tokio::test]
async fn a_fetch_is_retried_if_the_host_is_down_at_first() {
    let down_at_first = Options {
        unavailable: 2,
        ..Options::default()
    };
    let (scene, host) = Scene::over_http("down-at-first", down_at_first).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let attempt = |number| ("Fetch".to_owned(), number, "GitHostUnreachable");
    assert_eq!(run.failed_attempts(), [attempt(0), attempt(1)]);
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    assert!(host.requests() > 2);
    let mut events = run.events();
    events.retain(|event| *event != "AttemptFailed");
    assert_eq!(events, DELIVERED);
}

#[tokio::test]
async fn a_host_that_stays_down_fails_the_push_after_all_its_attempts() {
    let (scene, host) = Scene::over_http("down", Options::default()).await;
    drop(host);
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let run = scene.push(&hook).await;
    scene.assert_failed(&run, "Fetch", "GitHostUnreachable").await;
    let attempts: Vec<_> = (0..6)
        .map(|number| ("Fetch".to_owned(), number, "GitHostUnreachable"))
        .collect();
    assert_eq!(run.failed_attempts(), attempts);
}

/// Pushes a commit that exists, and checks that the fetch fails with `error` and is tried once.
async fn assert_fetch_fails_once(scene: &Scene, error: &str) -> Run {
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Fetch", error).await;
    assert_eq!(run.failed_attempts(), [("Fetch".to_owned(), 0, error)]);
    assert_eq!(
        run.events(),
        ["PushReceived", "PushValidated", "AttemptFailed", "PushFailed"]
    );
    run
}

#[tokio::test]
async fn a_wrong_password_fails_the_push() {
    let (scene, host) = Scene::over_http("wrong-password", Options::default()).await;
    let password = "wr0ng-passw0rd".to_owned();
    let wrong = Credentials {
        password: password.clone(),
        ..login()
    };
    scene.put_git_secret(&http_secret(&host.origin(), &wrong)).await;
    let run = assert_fetch_fails_once(&scene, "AuthenticationFailed").await;
    assert!(!format!("{run:?}").contains(&password));
}

#[tokio::test]
async fn a_password_for_another_host_is_not_used() {
    let (scene, _host) = Scene::over_http("other-host", Options::default()).await;
    scene
        .put_git_secret(&http_secret("http://127.0.0.1:1", &login()))
        .await;
    assert_fetch_fails_once(&scene, "CredentialsMissing").await;
}

#[tokio::test]
async fn a_wrong_key_fails_the_push() {
    let (scene, host) = Scene::over_ssh("wrong-key").await;
    let (strange, _) = host.make_key("ed25519", "");
    scene
        .put_git_secret(&ssh_secret(&host.origin, &strange, &host.known_hosts()))
        .await;
    assert_fetch_fails_once(&scene, "AuthenticationFailed").await;
}

#[tokio::test]
async fn a_host_key_that_is_not_the_pinned_one_fails_the_push() {
    let (scene, host) = Scene::over_ssh("wrong-host-key").await;
    let (_, strange) = host.make_key("ed25519", "");
    let pinned = host.pin(&strange);
    scene
        .put_git_secret(&ssh_secret(&host.origin, &host.private_key, &pinned))
        .await;
    assert_fetch_fails_once(&scene, "HostKeyMismatch").await;
    assert!(!host.log().contains("Accepted publickey"), "{}", host.log());
}

#[tokio::test]
async fn a_host_without_a_pinned_key_fails_the_push() {
    let (scene, host) = Scene::over_ssh("no-host-key").await;
    scene
        .put_git_secret(&ssh_secret(&host.origin, &host.private_key, ""))
        .await;
    assert_fetch_fails_once(&scene, "HostKeyMismatch").await;
}

#[tokio::test]
async fn a_repository_that_does_not_exist_fails_the_push() {
    let (scene, _host) = Scene::over_http("no-repository", Options::default()).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let run = scene.push(&hook).await;
    scene.assert_failed(&run, "Fetch", "RepositoryNotFound").await;
}

/// Pushes a commit that does not exist, and checks that the push fails.
async fn assert_commit_is_not_found(source: &str, options: Options) {
    let (scene, _host) = Scene::over_http(source, options).await;
    let repository = scene.repository("group/project");
    repository.commit_file("file", "content");
    let gone = "0123456789abcdef0123456789abcdef01234567";
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(gone)))
        .await;
    scene.assert_failed(&run, "Fetch", "CommitNotFound").await;
    assert!(run.ended.cause.as_ref().unwrap().contains(gone), "{run:#?}");
}

#[tokio::test]
async fn a_missing_commit_fails_the_push_if_the_host_refuses_ids() {
    assert_commit_is_not_found("gone-refused", Options::default()).await;
}

#[tokio::test]
async fn a_missing_commit_fails_the_push_if_the_host_allows_any_id() {
    assert_commit_is_not_found("gone-allowed", Options::with_any_commit()).await;
}

/// Pushes a commit after which the ref moves on, and checks that the pushed commit is delivered.
async fn assert_delivers_what_was_pushed(source: &str, options: Options) {
    let (scene, _host) = Scene::over_http(source, options).await;
    let repository = scene.repository("group/project");
    repository.commit_file("file", "before");
    let pushed = commit_files_of_every_kind(&repository);
    repository.commit_file("file", "after");
    repository.commit_file("other", "later still");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&pushed)))
        .await;
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &pushed).await;
    assert_eq!(object.metadata["commit"], pushed);
}

#[tokio::test]
async fn the_pushed_commit_is_delivered_if_the_ref_has_moved_on_and_the_host_refuses_ids() {
    assert_delivers_what_was_pushed("moved-refused", Options::default()).await;
}

#[tokio::test]
async fn the_pushed_commit_is_delivered_if_the_ref_has_moved_on_and_the_host_allows_any_id() {
    assert_delivers_what_was_pushed("moved-allowed", Options::with_any_commit()).await;
}

#[tokio::test]
async fn a_commit_that_is_not_on_the_ref_fails_the_push_unless_any_is_allowed() {
    let (scene, _host) = Scene::over_http("forged", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let tip = repository.commit_file("file", "reviewed");
    repository.git(["switch", "--quiet", "--create", "next"]);
    let forged = repository.commit_file("file", "not reviewed");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&tip), Some(&forged)))
        .await;
    scene.assert_failed(&run, "Fetch", "CommitNotOnRef").await;
    let cause = run.ended.cause.as_ref().unwrap();
    assert!(
        [MAIN, &forged, &tip].iter().all(|named| cause.contains(named)),
        "{cause}"
    );
    // The option applies to a new execution of the same push.
    scene
        .configure(|settings| settings["options"] = json!({"commits": "any"}))
        .await;
    let again = scene.new_execution(run.push_id).await;
    let again = scene.follow(&again).await;
    assert_eq!(scene.object(again.delivered()).await.metadata["commit"], forged);
}

#[tokio::test]
async fn a_delivery_that_is_sent_twice_starts_one_execution() {
    let (scene, _host) = Scene::over_http("sent-twice", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let (one, two) = tokio::join!(scene.deliver(&hook, &delivery), scene.deliver(&hook, &delivery));
    let three = scene.deliver(&hook, &delivery).await;
    let id = push_id(&scene, &delivery, MAIN);
    assert_eq!([one.push_id, two.push_id, three.push_id], [id; 3]);
    assert_eq!(scene.executions_of(&id.to_string()).await, [id.to_string()]);
    assert_eq!(three.events(), DELIVERED);
    three.delivered();
}

#[tokio::test]
async fn a_delivery_id_with_another_content_is_refused() {
    let (scene, _host) = Scene::over_http("other-content", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let delivery = Delivery::fresh();
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    scene.deliver(&hook, &delivery).await.delivered();
    let other = scene.hook(&repository.path, MAIN, None, Some(&"a".repeat(40)));
    let response = scene
        .webhook
        .post(other.event(), &delivery, &other.payload())
        .await
        .unwrap();
    assert_eq!(response.status(), 409);
}

#[tokio::test]
async fn the_same_change_in_another_delivery_is_ignored_as_a_duplicate_if_its_zip_exists() {
    let (scene, _host) = Scene::over_http("duplicate", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let first = scene.push(&hook).await;
    let second = scene.push(&hook).await;
    assert_eq!(second.ended.status.as_str(), "SUCCEEDED", "{second:#?}");
    let ignored = [
        "PushReceived",
        "PushValidated",
        "CommitFetched",
        "ArchivePackaged",
        "PushIgnored",
    ];
    assert_eq!(second.events(), ignored);
    assert_eq!(scene.staged_keys(second.push_id).await, [""; 0]);
    let ignored = second.state().ignored.as_ref().unwrap();
    assert_eq!(serde_json::to_value(ignored.reason).unwrap(), "Duplicate");
    assert_eq!(ignored.duplicate_of, Some(first.push_id));
    let object = scene.object(first.delivered()).await;
    assert_eq!(object.metadata["push-id"], first.push_id.to_string());
}

#[tokio::test]
async fn an_older_push_that_arrives_late_is_superseded_and_the_newer_zip_stays() {
    let (scene, _host) = Scene::over_http("late", Options::with_any_commit()).await;
    let repository = scene.repository("group/project");
    let [zero, one, two] = ["0", "1", "2"].map(|content| repository.commit_file("file", content));
    let newer = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&one), Some(&two)))
        .await;
    let before = scene.object(newer.delivered()).await;
    let older = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&zero), Some(&one)))
        .await;

    assert_eq!(older.ended.status.as_str(), "SUCCEEDED", "{older:#?}");
    assert_eq!(older.state().status, Status::Superseded);
    assert_eq!(older.state().superseded.as_ref().unwrap().by, newer.push_id);
    let superseded = [
        "PushReceived",
        "PushValidated",
        "CommitFetched",
        "ArchivePackaged",
        "PushSuperseded",
    ];
    assert_eq!(older.events(), superseded);
    scene
        .stack
        .inbox
        .event("Push Superseded", &older.push_id.to_string())
        .await;
    assert_eq!(scene.staged_keys(older.push_id).await, [""; 0]);

    let after = scene.object(newer.delivered()).await;
    assert_eq!(sha256(&after.bytes), sha256(&before.bytes));
    assert_eq!(after.metadata, before.metadata);
    assert_eq!(after.metadata["commit"], two);
    assert_is_archive(&after.bytes, &repository, MAIN, &two).await;
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_after_a_failure_is_executed_again() {
    let (scene, host) = Scene::over_http("again", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    scene.put_git_secret(&json!({"credentials": []})).await;
    let failed = scene.deliver(&hook, &delivery).await;
    scene.assert_failed(&failed, "Fetch", "CredentialsMissing").await;

    scene.put_git_secret(&http_secret(&host.origin(), &login())).await;
    scene.webhook.send(&hook, &delivery).await.unwrap();
    let second = format!("{}-2", failed.push_id);
    let run = scene.follow(&second).await;
    assert_eq!(
        run.events(),
        [
            "PushReceived",
            "PushValidated",
            "AttemptFailed",
            "PushFailed",
            "PushRetried",
            "PushValidated",
            "CommitFetched",
            "ArchivePackaged",
            "ArchiveUploaded",
            "PushDelivered",
        ]
    );
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    let both = [failed.push_id.to_string(), second];
    assert_eq!(scene.executions_of(&failed.push_id.to_string()).await, both);
}

/// The inputs that the state machine passes to each stage of `push`, which are made of the outputs of earlier stages.
struct Calls {
    push: Push,
    execution: Execution,
    settings: String,
}

impl Calls {
    fn of(scene: &Scene, hook: &PushHook, delivery: &Delivery) -> Self {
        let id = |id: &Option<String>| id.as_ref().map(|id| id.parse().unwrap());
        Self {
            push: Push {
                push_id: push_id(scene, delivery, &hook.ref_name),
                source: scene.source.parse().unwrap(),
                delivery_id: delivery.idempotency_key.to_string().parse().unwrap(),
                repository: hook.repository.parse().unwrap(),
                clone_urls: vec![hook.git_http_url.clone()],
                ref_name: hook.ref_name.parse().unwrap(),
                destination: None,
                before: id(&hook.before),
                after: id(&hook.after),
                pusher: None,
                trigger: Trigger::Webhook,
                missed: None,
                rollback_to: None,
            },
            execution: Execution {
                id: "arn:aws:states:us-east-1:000000000000:execution:by-hand:1".to_owned(),
                started_at: Utc::now(),
            },
            settings: scene.settings().to_string(),
        }
    }

    fn envelope(&self, input: impl Serialize) -> Value {
        serde_json::to_value(Envelope {
            push: self.push.clone(),
            execution: self.execution.clone(),
            attempt: 0,
            input,
        })
        .unwrap()
    }

    fn validate(&self) -> Value {
        let settings = self.settings.clone();
        self.envelope(ValidateInput { settings })
    }

    fn fetch(&self, deliver: &Deliver) -> Value {
        self.envelope(FetchInput {
            deliver: deliver.clone(),
        })
    }

    fn package(&self, deliver: &Deliver, fetched: &FetchedCommit) -> Value {
        self.envelope(FetchedInput {
            deliver: deliver.clone(),
            fetched: fetched.clone(),
        })
    }

    fn upload(&self, deliver: &Deliver, fetched: &FetchedCommit, archive: &Archive) -> Value {
        self.envelope(UploadInput {
            deliver: deliver.clone(),
            fetched: fetched.clone(),
            archive: archive.clone(),
        })
    }

    fn record(&self) -> Value {
        self.envelope(RecordInput {
            failure: None,
            failed_attempts: 0,
        })
    }
}

fn value(output: &impl Serialize) -> Value {
    serde_json::to_value(output).unwrap()
}

fn parsed<T: DeserializeOwned>(output: &Value) -> T {
    serde_json::from_value(output.clone()).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[tokio::test]
async fn each_stage_of_a_finished_push_returns_its_result_again_and_writes_nothing() {
    let (scene, _host) = Scene::over_http("stages-again", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let delivery = Delivery::fresh();
    let run = scene.deliver(&hook, &delivery).await;
    let object = scene.object(run.delivered()).await;
    let state = run.state();
    let (deliver, fetched, packed) = (&state.deliver, &state.fetched, &state.archive);
    let (deliver, fetched, packed) = (
        deliver.as_ref().unwrap(),
        fetched.as_ref().unwrap(),
        packed.as_ref().unwrap(),
    );
    let calls = Calls::of(&scene, &hook, &delivery);
    let with_decision = |decision: &str, output: Value| {
        let mut output = output;
        output["decision"] = json!(decision);
        output
    };
    for (stage, payload, expected) in [
        (
            "Validate",
            calls.validate(),
            with_decision("Deliver", value(deliver)),
        ),
        ("Fetch", calls.fetch(deliver), value(fetched)),
        ("Package", calls.package(deliver, fetched), value(packed)),
        (
            "Upload",
            calls.upload(deliver, fetched, packed),
            with_decision("Delivered", value(run.delivered())),
        ),
    ] {
        assert_eq!(
            scene.stack.invoke(stage, &payload).await.value(),
            expected,
            "{stage}"
        );
    }
    let output = serde_json::from_str::<Value>(run.ended.output.as_ref().unwrap()).unwrap();
    let recorded = scene.stack.invoke("Record", &calls.record()).await.value();
    assert_eq!(recorded, output);

    let expected = [run.events(), vec!["PushRetried"]].concat();
    assert_eq!(names(&scene.trail(run.push_id).await), expected);
    assert_eq!(scene.object(run.delivered()).await.metadata, object.metadata);
}

/// Returns the output of a stage without the versions of its staged objects and what the host has sent, because a stage
/// that died before it could return them fetches and stages the same bytes again.
fn without_staged_versions(output: &Value) -> Value {
    let mut output = output.clone();
    match &mut output {
        Value::Object(fields) => {
            let is_staged = |key: &Value| {
                key.as_str()
                    .is_some_and(|key| key.starts_with("pushes/") || key.starts_with("bases/"))
            };
            if fields.get("key").is_some_and(is_staged) {
                assert!(fields.remove("version_id").is_some(), "{fields:?}");
            }
            // A host also sends how far it is.
            fields.remove("received_bytes");
            fields
                .values_mut()
                .for_each(|value| *value = without_staged_versions(value));
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| *value = without_staged_versions(value)),
        _ => {}
    }
    output
}

/// Runs a stage, runs it again, and a third time as if it had died before it could write its event. Checks that the
/// result is always the same, and that there is one event. Returns the last result.
async fn run_three_times(scene: &Scene, push_id: PushId, stage: &str, payload: &Value) -> Value {
    let first = scene.stack.invoke(stage, payload).await.value();
    assert!(first.get("errorType").is_none(), "{stage}: {first}");
    let events = names(&scene.trail(push_id).await);
    assert_eq!(
        scene.stack.invoke(stage, payload).await.value(),
        first,
        "{stage}, again"
    );
    assert_eq!(names(&scene.trail(push_id).await), events, "{stage}, again");

    scene.forget_last_event(push_id).await;
    assert_eq!(names(&scene.trail(push_id).await), events[..events.len() - 1]);
    let last = scene.stack.invoke(stage, payload).await.value();
    assert_eq!(
        without_staged_versions(&last),
        without_staged_versions(&first),
        "{stage}, after it died"
    );
    assert_eq!(
        names(&scene.trail(push_id).await),
        events,
        "{stage}, after it died"
    );
    last
}

#[tokio::test]
async fn a_stage_that_is_run_again_returns_the_same_result_and_writes_one_event() {
    let (scene, _host) = Scene::over_http("stages-twice", Options::default()).await;
    let repository = scene.repository("group/project");
    let commit = commit_files_of_every_kind(&repository);
    let hook = scene.hook(&repository.path, MAIN, None, Some(&commit));
    let calls = Calls::of(&scene, &hook, &Delivery::fresh());
    let id = calls.push.push_id;
    let run = async |stage: &str, payload: Value| run_three_times(&scene, id, stage, &payload).await;

    let began = u64::try_from(Utc::now().timestamp_millis()).unwrap();
    let deliver: Deliver = parsed(&run("Validate", calls.validate()).await);
    assert!(deliver.sequence >= began, "{deliver:?}");
    let fetched: FetchedCommit = parsed(&run("Fetch", calls.fetch(&deliver)).await);
    let packed: Archive = parsed(&run("Package", calls.package(&deliver, &fetched)).await);
    let staged: Vec<&str> = [&fetched.index.key, &fetched.pack.key, &packed.object.key]
        .map(domain::destination::ObjectKey::as_str)
        .to_vec();
    assert_eq!(scene.left_keys(id).await.len(), staged.len());
    // The result contains the zip's version, so there is no second version.
    run("Upload", calls.upload(&deliver, &fetched, &packed)).await;
    let closed = run("Record", calls.record()).await;
    assert_eq!(closed["status"], "Delivered");
    assert_eq!(names(&scene.trail(id).await), DELIVERED);
    assert_eq!(scene.left_keys(id).await.len(), staged.len());
    assert_eq!(scene.delivered_keys().await, [deliver.destination.key.as_str()]);
}

#[tokio::test]
async fn settings_that_cannot_be_read_fail_the_push_in_validate() {
    let (scene, _host) = Scene::over_http("bad-settings", Options::default()).await;
    scene
        .configure(|settings| settings["repository"] = json!("misspelt"))
        .await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let run = scene.push(&hook).await;
    scene.assert_failed(&run, "Validate", "SourceInvalid").await;
    assert_eq!(run.events(), ["PushReceived", "AttemptFailed", "PushFailed"]);
}

#[tokio::test]
async fn a_clone_url_on_a_host_that_the_settings_do_not_name_fails_the_push_in_validate() {
    let (scene, host) = Scene::over_http("other-origin", Options::default()).await;
    scene
        .configure(|settings| settings["git_hosts"] = json!(["https://git.example.com"]))
        .await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let run = scene.push(&hook).await;
    scene.assert_failed(&run, "Validate", "GitHostNotAllowed").await;
    assert_eq!(host.requests(), 0);
}

#[tokio::test]
async fn a_source_without_settings_fails_the_push_before_validate() {
    let (scene, _host) = Scene::over_http("no-settings", Options::default()).await;
    scene.remove_settings().await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let run = scene.push(&hook).await;
    // The local AWS omits "Exception" from the name.
    let error = run.ended.error.clone().unwrap();
    assert!(error.starts_with("Ssm.ParameterNotFound"), "{run:#?}");
    scene.assert_failed(&run, "ReadSource", &error).await;
    assert_eq!(run.events(), ["PushReceived", "AttemptFailed", "PushFailed"]);
    assert_eq!(run.failed_attempts(), [("ReadSource".to_owned(), 0, &*error)]);
}

#[tokio::test]
async fn a_path_that_leads_out_of_the_zip_fails_the_push_in_package() {
    let (scene, _host) = Scene::over_http("hostile-path", Options::default()).await;
    let repository = scene.repository("group/project");
    let blob = repository.git_with(["hash-object", "-w", "--stdin"], b"hostile");
    // A folder named `..` with a file, which git itself would not write.
    let folder = repository.hostile_tree("100644 authorized_keys", &blob);
    let tree = repository.hostile_tree("40000 ..", &folder);
    let commit = repository.git(["commit-tree", "-m", "Climb", &tree]);
    repository.git(["update-ref", MAIN, &commit]);
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Package", "PathUnsafe").await;
    let events = [
        "PushReceived",
        "PushValidated",
        "CommitFetched",
        "AttemptFailed",
        "PushFailed",
    ];
    assert_eq!(run.events(), events);
}

#[tokio::test]
async fn a_destination_that_may_not_be_written_to_fails_the_push_in_upload() {
    let (scene, _host) = Scene::over_http("no-bucket", Options::default()).await;
    let bucket = "no-such-bucket-of-ours";
    scene
        .configure(|settings| settings["destination"]["bucket"] = json!(bucket))
        .await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    scene.assert_failed(&run, "Upload", "StorageRefused").await;
    assert!(run.ended.cause.as_ref().unwrap().contains(bucket), "{run:#?}");
    let archive = run.state().archive.as_ref().unwrap();
    let staged = scene.left_keys(run.push_id).await;
    assert!(
        staged.contains(&archive.object.key.to_string()),
        "kept for another execution: {staged:?}"
    );
}

#[tokio::test]
async fn a_zip_of_another_ref_is_never_overwritten() {
    let (scene, _host) = Scene::over_http("occupied", Options::default()).await;
    scene
        .configure(|settings| settings["destination"]["key_template"] = json!("{source}/latest.zip"))
        .await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let first = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    let object = scene.object(first.delivered()).await;
    repository.git(["branch", "next"]);
    let second = scene
        .push(&scene.hook(&repository.path, "refs/heads/next", None, Some(&commit)))
        .await;
    assert_eq!(
        second.ended.error.as_deref(),
        Some("DestinationOccupied"),
        "{second:#?}"
    );
    assert_eq!(scene.object(first.delivered()).await.metadata, object.metadata);
}

#[tokio::test]
async fn a_push_that_cannot_be_closed_fails_in_record() {
    let (scene, _host) = Scene::over_http("not-closed", Options::default()).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let calls = Calls::of(&scene, &hook, &Delivery::fresh());
    // The deployed definition, which begins at its last stage.
    let from_record = |definition: &mut Value| definition["States"]["Begin"]["Next"] = json!("Record");
    let run = scene.run_changed("from-record", &calls.push, from_record).await;
    scene.assert_failed(&run, "Record", "InputInvalid").await;
    assert_eq!(run.events(), ["PushReceived", "AttemptFailed", "PushFailed"]);
}

#[tokio::test]
async fn people_are_notified_of_a_failure_even_if_it_cannot_be_recorded() {
    let (scene, _host) = Scene::over_http("unrecorded", Options::default()).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let delivery = Delivery::fresh();
    let id = push_id(&scene, &delivery, MAIN);
    scene.spoil_trail(id).await;
    scene.webhook.send(&hook, &delivery).await.unwrap();
    let ended = scene.ended(&id.to_string()).await;
    assert_eq!(ended.status.as_str(), "FAILED", "{ended:#?}");
    assert_eq!(ended.error.as_deref(), Some("AuditInvalid"));
    let cause = cause_of(&ended);
    scene
        .assert_told(&id.to_string(), "Validate", "AuditInvalid", cause)
        .await;
    assert_eq!(scene.delivered_keys().await, [""; 0]);
}

/// Those of checkpoints run on a table of their own: here they would be among those that the stack's function signs.
#[tokio::test]
async fn the_trail_in_dynamodb_passes_the_tests_of_every_trail() {
    let trail = stack().await.handle().trail().unwrap();
    audit::conformance::check_all(&trail).await;
    audit::conformance::check_events(&trail.of::<audit::samples::Job>()).await;
    audit::conformance::check_deliveries(&trail).await;
    audit::conformance::check_sources(&trail).await;
    audit::conformance::check_deployments(&trail.of()).await;
    audit::conformance::check_queries(&trail).await;
    audit::conformance::check_index(&trail.of::<audit::samples::Job>()).await;
}

/// Reads a secret of the template's own source.
async fn read_secret(stack: &Stack, caller: &Caller, output: &str) -> fixtures::aws::Answer {
    let secret = json!({"SecretId": stack.output(output)});
    caller
        .json("secretsmanager", "secretsmanager.GetSecretValue", &secret)
        .await
}

/// Reads the sequence counter of a ref.
async fn read_table(stack: &Stack, caller: &Caller) -> fixtures::aws::Answer {
    let key = json!({"pk": {"S": "REF#none"}, "sk": {"S": "SEQUENCE"}});
    let item = json!({"TableName": stack.output("TableName"), "Key": key});
    caller.json("dynamodb", "DynamoDB_20120810.GetItem", &item).await
}

/// Requests an object with a method.
async fn object(
    stack: &Stack,
    caller: &Caller,
    method: Method,
    bucket_output: &str,
    key: &str,
) -> fixtures::aws::Answer {
    let path = format!("/{}/{key}", stack.output(bucket_output));
    caller.rest("s3", method, &path, "content".to_owned()).await
}

#[tokio::test]
async fn authorize_may_read_the_webhook_secret_and_not_the_git_secret() {
    let stack = stack().await;
    let role = stack.role_of("Authorize").await;
    assert_eq!(read_secret(stack, &role, "WebhookSecretName").await.status, 200);
    assert!(read_secret(stack, &role, "GitSecretName").await.is_denied());
}

#[tokio::test]
async fn accept_may_read_executions_and_the_webhook_secret_and_not_the_table() {
    let stack = stack().await;
    let role = stack.role_of("Accept").await;
    let execution = json!({"executionArn": stack.handle().execution_arn("none").unwrap()});
    let answer = role
        .json("states", "AWSStepFunctions.DescribeExecution", &execution)
        .await;
    assert!(answer.text.contains("ExecutionDoesNotExist"), "{answer:?}");
    assert!(read_table(stack, &role).await.is_denied());
    assert_eq!(read_secret(stack, &role, "WebhookSecretName").await.status, 200);
    assert!(read_secret(stack, &role, "GitSecretName").await.is_denied());
}

#[tokio::test]
async fn validate_may_read_the_table_and_no_secret() {
    let stack = stack().await;
    let role = stack.role_of("Validate").await;
    assert_eq!(read_table(stack, &role).await.status, 200);
    assert!(read_secret(stack, &role, "GitSecretName").await.is_denied());
    assert!(read_secret(stack, &role, "WebhookSecretName").await.is_denied());
}

#[tokio::test]
async fn upload_may_sign_provenance_and_nobody_else() {
    let stack = stack().await;
    let digest = "iVYjPX5v6S0pLsQp5qVlJEdkYqzCw7Hp7fCyl3sJ8Tk=";
    let sign = json!({
        "KeyId": stack.output("ProvenanceKeyArn"), "Message": digest,
        "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256",
    });
    let upload = stack.role_of("Upload").await;
    let signed = upload.json("kms", "TrentService.Sign", &sign).await;
    assert_eq!(signed.status, 200, "{signed:?}");
    let record = stack.role_of("Record").await;
    let refused = record.json("kms", "TrentService.Sign", &sign).await;
    assert!(refused.is_denied(), "{refused:?}");
}

#[tokio::test]
async fn the_names_of_a_function_and_its_role_do_not_reveal_its_secret() {
    let stack = stack().await;
    // Only a function that was started has a secret. Its input makes no difference.
    stack.invoke("Fetch", &json!({})).await;
    let answer = read_secret(stack, &stack.who_guesses("Fetch"), "GitSecretName").await;
    assert!(
        answer.status >= 400 && answer.text.contains("InvalidSignatureException"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn fetch_may_stage_objects_and_not_deliver_them() {
    let stack = stack().await;
    let role = stack.role_of("Fetch").await;
    assert_eq!(read_secret(stack, &role, "GitSecretName").await.status, 200);
    assert!(read_secret(stack, &role, "WebhookSecretName").await.is_denied());
    let staged = object(
        stack,
        &role,
        Method::PUT,
        "StagingBucketName",
        "pushes/role-of-fetch",
    )
    .await;
    assert_eq!(staged.status, 200);
    assert!(
        object(stack, &role, Method::PUT, "DestinationBucket", "role-of-fetch")
            .await
            .is_denied()
    );
    assert!(
        object(stack, &role, Method::PUT, "StagingBucketName", "elsewhere")
            .await
            .is_denied()
    );
}

#[tokio::test]
async fn package_may_stage_objects_and_not_read_secrets() {
    let stack = stack().await;
    let role = stack.role_of("Package").await;
    let staged = object(
        stack,
        &role,
        Method::PUT,
        "StagingBucketName",
        "pushes/role-of-package",
    )
    .await;
    assert_eq!(staged.status, 200);
    assert!(read_secret(stack, &role, "GitSecretName").await.is_denied());
    assert!(
        object(stack, &role, Method::PUT, "DestinationBucket", "role-of-package")
            .await
            .is_denied()
    );
}

#[tokio::test]
async fn upload_may_deliver_and_hide_objects_and_remove_no_version() {
    let stack = stack().await;
    let role = stack.role_of("Upload").await;
    let delivered = object(stack, &role, Method::PUT, "DestinationBucket", "role-of-upload").await;
    assert_eq!(delivered.status, 200);
    // The zip of a deleted ref is hidden by a delete marker. Its versions stay.
    let hide = object(
        stack,
        &role,
        Method::DELETE,
        "DestinationBucket",
        "role-of-upload",
    )
    .await;
    assert_eq!(hide.status, 204);
    let version = "role-of-upload?versionId=null";
    assert!(
        object(stack, &role, Method::DELETE, "DestinationBucket", version)
            .await
            .is_denied()
    );
    assert!(
        object(stack, &role, Method::DELETE, "StagingBucketName", "pushes/any")
            .await
            .is_denied()
    );
    assert!(read_secret(stack, &role, "GitSecretName").await.is_denied());
}

#[tokio::test]
async fn record_may_remove_staged_objects_and_not_read_delivered_ones() {
    let stack = stack().await;
    let role = stack.role_of("Record").await;
    let removed = object(stack, &role, Method::DELETE, "StagingBucketName", "pushes/none").await;
    assert_eq!(removed.status, 204);
    assert!(
        object(stack, &role, Method::GET, "DestinationBucket", "any")
            .await
            .is_denied()
    );
    assert!(
        object(stack, &role, Method::DELETE, "DestinationBucket", "any")
            .await
            .is_denied()
    );
    assert!(read_secret(stack, &role, "GitSecretName").await.is_denied());
}

#[tokio::test]
async fn sweep_may_read_the_git_secret_and_the_table_and_write_no_object() {
    let stack = stack().await;
    let role = stack.role_of("Sweep").await;
    assert_eq!(read_secret(stack, &role, "GitSecretName").await.status, 200);
    assert_eq!(read_table(stack, &role).await.status, 200);
    assert!(read_secret(stack, &role, "WebhookSecretName").await.is_denied());
    for bucket in ["DestinationBucket", "StagingBucketName"] {
        let written = object(stack, &role, Method::PUT, bucket, "pushes/role-of-sweep").await;
        assert!(written.is_denied(), "{bucket}: {written:?}");
    }
    // The local AWS does not compare the keys of an index with the condition, only the index itself.
    let find = async |index: &str, key: &str, value: &str| {
        let query = json!({
            "TableName": stack.output("TableName"),
            "IndexName": index,
            "KeyConditionExpression": format!("{key} = :key"),
            "ExpressionAttributeValues": {":key": {"S": value}},
        });
        role.json("dynamodb", "DynamoDB_20120810.Query", &query).await
    };
    let open = find("PushesByStatus", "gsi2pk", "STATUS#Open#2026-01-01").await;
    assert_eq!(open.status, 200, "{open:?}");
    assert!(
        find("PushesByCommit", "gsi3pk", "COMMIT#aaaaaaa")
            .await
            .is_denied()
    );
}

#[tokio::test]
async fn report_may_read_the_git_secret_and_write_no_object() {
    let stack = stack().await;
    let role = stack.role_of("Report").await;
    assert_eq!(read_secret(stack, &role, "GitSecretName").await.status, 200);
    assert!(read_secret(stack, &role, "WebhookSecretName").await.is_denied());
    assert!(read_table(stack, &role).await.is_denied());
    for bucket in ["DestinationBucket", "StagingBucketName"] {
        for method in [Method::GET, Method::PUT] {
            let answer = object(stack, &role, method, bucket, "pushes/role-of-report").await;
            assert!(answer.is_denied(), "{bucket}: {answer:?}");
        }
    }
}

/// Returns the `N` of `2.N`, the newest version of glibc that a binary's symbols need.
fn needed_glibc(binary: &[u8]) -> u32 {
    let prefix = b"GLIBC_2.";
    let versions = binary.windows(prefix.len() + 3).filter_map(|window| {
        let minor = window.strip_prefix(prefix)?;
        let digits = minor.iter().take_while(|byte| byte.is_ascii_digit());
        let minor: String = digits.map(|byte| char::from(*byte)).collect();
        minor.parse::<u32>().ok()
    });
    versions.max().unwrap()
}

/// Checks the functions that `sam build` has written to a folder, by their largest sizes in tenths of a megabyte: what
/// docs/performance.md has, and a twentieth more.
fn check_binaries(folder: &str, limits: &[(&str, usize)]) {
    let build = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.aws-sam")
        .join(folder);
    let folders = std::fs::read_dir(&build).unwrap();
    let built = folders.filter(|folder| folder.as_ref().unwrap().path().join("bootstrap").exists());
    assert_eq!(built.count(), limits.len());
    for (function, limit) in limits {
        let path = build.join(format!("{function}Function/bootstrap"));
        let binary = std::fs::read(&path).unwrap();
        // Amazon Linux 2023 has glibc 2.34.
        let glibc = needed_glibc(&binary);
        assert!(glibc <= 34, "{} needs glibc 2.{glibc}", path.display());
        let size = binary.len().div_ceil(100_000);
        assert!(
            size <= *limit,
            "{} has {size} tenths of a megabyte",
            path.display()
        );
        let symbols = binary.windows(8).any(|window| window == b".symtab\0");
        assert!(!symbols, "{} is not stripped", path.display());
    }
}

#[tokio::test]
async fn every_function_is_a_small_stripped_binary_that_runs_on_al2023() {
    if stack().await.profile == Profile::Dev {
        // A development build is for this machine alone.
        return;
    }
    let limits = [
        ("Accept", 66),
        ("Authorize", 60),
        ("Checkpoint", 64),
        ("Fetch", 180),
        ("Package", 104),
        ("Record", 85),
        ("Report", 118),
        ("Sweep", 163),
        ("Upload", 90),
        ("Validate", 74),
    ];
    check_binaries("build", &limits);
}
