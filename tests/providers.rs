//! The webhooks of git hosts that sign what they send, from their real signature to the zip.

use std::time::Duration;

use deployed_stack::webhook_client::Accepted;
use domain::contract::IgnoreReason;
use domain::source::Provider;
use git_host::{GitHost, Options};
use serde_json::{Value, json};
use webhook::{
    PushHook, Request, azure_devops, bitbucket, bitbucket_data_center, codecommit, deliver, generic, gitea,
    github, gitlab, prove, standard,
};

use crate::assert_is_archive;
use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::Scene;

/// The secret of the webhook, and one that is accepted while it is rotated: Base64, as keys of Standard Webhooks are.
pub const SECRET: &str = "YSBzZWNyZXQgdGhhdCBzaWducw==";
const OLDER: &str = "dGhlIHNlY3JldCBiZWZvcmUgaXQ=";

/// A signing token of GitLab.
const SIGNING_TOKEN: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Creates a source on a host of this kind.
pub async fn source(name: &str, provider: Provider) -> (Scene, GitHost) {
    let (scene, host) = Scene::over_http(name, Options::default()).await;
    let secret = json!({"provider": provider, "secret": SECRET, "also_accepted": [OLDER]});
    scene.stack.put_secret(name, "webhook", &secret).await;
    scene
        .configure(|settings| settings["provider"] = json!(provider))
        .await;
    (scene, host)
}

/// Sends a request to a URL, and returns the status and the response.
pub async fn send_to(url: &str, request: &Request) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut post = client.post(url).body(request.body.clone());
    for (name, value) in &request.headers {
        post = post.header(*name, value);
    }
    let response = post.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn send(scene: &Scene, request: &Request) -> (u16, String) {
    send_to(&scene.webhook.url, request).await
}

pub async fn accepted(scene: &Scene, request: &Request) -> Accepted {
    let (status, text) = send(scene, request).await;
    scene.webhook.accepted(status, &text).unwrap()
}

/// Asserts that there is nothing to do for a request.
async fn assert_ignored(scene: &Scene, request: &Request) {
    let nothing = accepted(scene, request).await;
    assert!(
        nothing.pushes.is_empty() && nothing.reason.is_some(),
        "{nothing:?}"
    );
}

/// Pushes a branch twice and an annotated tag, and compares each zip with what `git archive` makes. Then deletes the
/// branch. What `deliver` returns for each, by its number, is sent twice, which starts nothing new.
async fn assert_delivers(scene: &Scene, deliver: impl Fn(&PushHook, usize) -> Request) {
    let repository = scene.repository("group/project");
    let first = repository.commit_file("README.md", "# Fine\n");
    let second = repository.commit_file("src/ünïcödé.txt", "more\n");
    repository.git(["tag", "--annotate", "--message", "A tag", "v1.0", &second]);
    let tag = repository.git(["rev-parse", "refs/tags/v1.0"]);
    let pushes = [
        (MAIN, None, &first, &first),
        (MAIN, Some(&*first), &second, &second),
        ("refs/tags/v1.0", None, &tag, &second),
    ];
    for (number, (ref_name, before, after, commit)) in pushes.into_iter().enumerate() {
        let mut hook = scene.hook(&repository.path, ref_name, before, Some(after));
        hook.commit = Some(commit.clone());
        let request = deliver(&hook, number);
        let started = accepted(scene, &request).await;
        assert_eq!(started.pushes.len(), 1, "{started:?}");
        let push = &started.pushes[0];
        let run = scene.follow(&push.push_id).await;
        let object = scene.object(run.delivered()).await;
        assert_is_archive(&object.bytes, &repository, ref_name, commit).await;
        assert_eq!(accepted(scene, &request).await, started);
        let executions = scene.executions_of(&push.push_id).await;
        assert_eq!(executions, [&*push.push_id]);
    }
    let deletion = scene.hook(&repository.path, MAIN, Some(&second), None);
    let started = accepted(scene, &deliver(&deletion, pushes.len())).await;
    let run = scene.follow(&started.pushes[0].push_id).await;
    let ignored = run.state().ignored.as_ref().unwrap();
    assert_eq!(ignored.reason, IgnoreReason::RefDeleted);
    assert_eq!(scene.executions_of("").await.len(), pushes.len() + 1);
}

/// Sends a hook with several changes: two refs are delivered, and the third is not wanted.
async fn assert_delivers_each_ref(scene: &Scene, deliver: impl Fn(&[&PushHook]) -> Request) {
    let repository = scene.repository("group/several");
    let first = repository.commit_file("README.md", "# Fine\n");
    let second = repository.commit_file("README.md", "# Finer\n");
    repository.git(["branch", "next", &first]);
    repository.git(["tag", "v1.0", &second]);
    let refs = [
        (MAIN, None, Some(&second)),
        ("refs/tags/v1.0", None, Some(&second)),
        ("refs/heads/next", Some(&second), Some(&first)),
    ];
    let hooks = refs.map(|(name, before, after)| {
        scene.hook(
            &repository.path,
            name,
            before.map(String::as_str),
            after.map(String::as_str),
        )
    });
    let request = deliver(&hooks.iter().collect::<Vec<_>>());
    let started = accepted(scene, &request).await;
    let of_refs: Vec<_> = started.pushes.iter().map(|push| &*push.ref_name).collect();
    assert_eq!(of_refs, refs.map(|(name, ..)| name));
    for (push, (name, _, commit)) in started.pushes.iter().zip(refs) {
        let run = scene.follow(&push.push_id).await;
        let object = scene.object(run.delivered()).await;
        assert_is_archive(&object.bytes, &repository, name, commit.unwrap()).await;
    }
    assert_eq!(accepted(scene, &request).await, started);
}

/// Sends forged deliveries to a source on a host of this kind that signs bodies.
async fn assert_refuses_what_is_forged(name: &str, provider: Provider) {
    let (scene, _host) = source(name, provider).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let genuine = deliver(provider, &hook, SECRET);
    let (header, signature) = prove(provider, SECRET, "", &genuine.body).remove(0);
    let (prefix, digits) = signature.split_at(signature.len() - 64);
    let mut other_body = genuine.clone();
    other_body.body.push(b' ');
    let unsigned = genuine.clone().without(header);
    for (forged, expected) in [
        (deliver(provider, &hook, "another-secret"), 401),
        (other_body, 401),
        (unsigned.clone(), 403),
        (
            unsigned
                .clone()
                .with("x-hub-signature", format!("sha1={}", &digits[24..])),
            403,
        ),
        (unsigned.with(gitlab::TOKEN_HEADER, SECRET), 403),
        (
            genuine
                .clone()
                .with(header, format!("{prefix}{}", digits.to_uppercase())),
            403,
        ),
        (genuine.with(header, &signature[1..]), 403),
    ] {
        let (status, text) = send(&scene, &forged).await;
        assert_eq!(status, expected, "{text}");
        assert!(!text.contains(SECRET) && !text.contains(digits), "{text}");
    }
    assert_eq!(scene.executions_of("").await, [""; 0]);
}

#[tokio::test]
async fn a_push_to_github_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("github", Provider::GitHub).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::GitHub, hook, OLDER),
        2 => github::request("push", github::form(&github::payload(hook)), SECRET),
        _ => deliver(Provider::GitHub, hook, SECRET),
    })
    .await;
    for (event, body) in [("ping", r#"{"zen":"Design for failure."}"#), ("create", "{}")] {
        assert_ignored(&scene, &github::request(event, body.to_owned(), SECRET)).await;
    }
}

#[tokio::test]
async fn a_push_to_gitea_or_forgejo_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("gitea", Provider::Gitea).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::Gitea, hook, OLDER),
        2 => gitea::forgejo_request(hook, SECRET),
        _ => deliver(Provider::Gitea, hook, SECRET),
    })
    .await;
    let body = r#"{"action":"opened"}"#;
    assert_ignored(&scene, &gitea::request("issues", body.to_owned(), SECRET)).await;
}

#[tokio::test]
async fn a_push_to_gogs_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("gogs", Provider::Gogs).await;
    assert_delivers(&scene, |hook, _| deliver(Provider::Gogs, hook, SECRET)).await;
}

#[tokio::test]
async fn a_push_to_bitbucket_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("bitbucket", Provider::Bitbucket).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::Bitbucket, hook, OLDER),
        _ => deliver(Provider::Bitbucket, hook, SECRET),
    })
    .await;
    let fork = bitbucket::request("repo:fork", "{}".to_owned(), SECRET);
    assert_ignored(&scene, &fork).await;
    assert_delivers_each_ref(&scene, |hooks| {
        bitbucket::request("repo:push", bitbucket::payload(hooks).to_string(), SECRET)
    })
    .await;
}

#[tokio::test]
async fn a_push_to_bitbucket_data_center_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("bitbucket-dc", Provider::BitbucketDataCenter).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::BitbucketDataCenter, hook, OLDER),
        _ => deliver(Provider::BitbucketDataCenter, hook, SECRET),
    })
    .await;
    let ping = bitbucket_data_center::request("diagnostics:ping", r#"{"test":true}"#.to_owned(), SECRET);
    assert_ignored(&scene, &ping).await;
    assert_delivers_each_ref(&scene, |hooks| {
        let payload = bitbucket_data_center::payload(hooks).to_string();
        bitbucket_data_center::request("repo:refs_changed", payload, SECRET)
    })
    .await;
}

#[tokio::test]
async fn a_push_to_azure_devops_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("azure", Provider::AzureDevOps).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::AzureDevOps, hook, OLDER),
        _ => deliver(Provider::AzureDevOps, hook, SECRET),
    })
    .await;
    let build = json!({"id": "1", "eventType": "build.complete", "resource": {}});
    assert_ignored(&scene, &azure_devops::request(&build, SECRET)).await;
    assert_delivers_each_ref(&scene, |hooks| {
        azure_devops::request(&azure_devops::payload(hooks), SECRET)
    })
    .await;
}

/// An event of CodeCommit, as the rule of the template sends it. The repository is on a git server that is not
/// CodeCommit.
#[tokio::test]
async fn a_change_in_codecommit_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("codecommit", Provider::CodeCommit).await;
    let prefix = format!("{}/v1/repos", scene.origin());
    scene
        .configure(|settings| {
            settings["git_hosts"] = json!([prefix]);
            settings["repositories"] = json!(["project"]);
        })
        .await;
    let send = async |event: &Value| {
        let sent = json!({"source_name": scene.source, "event": event});
        let answer = scene.stack.invoke("Accept", &sent).await;
        serde_json::from_str::<Accepted>(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    };
    let mut repository = scene.repository("v1/repos/project");
    let commit = repository.commit_file("README.md", "# Fine\n");
    repository.path = "project".to_owned();
    let mut hook = scene.hook("project", MAIN, None, Some(&commit));
    let event = codecommit::event(&hook);
    let started = send(&event).await;
    let run = scene.follow(&started.pushes[0].push_id).await;
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &commit).await;
    assert_eq!(send(&event).await, started);

    // A rule sends the next one. Nobody may send events in the name of AWS, so it is of another service.
    add_rule(&scene).await;
    let next = repository.commit_file("README.md", "# Better\n");
    hook = scene.hook("project", MAIN, Some(&commit), Some(&next));
    let event = codecommit::event(&hook);
    let entry = json!({
        "Source": TEST_SERVICE, "DetailType": event["detail-type"], "Detail": event["detail"].to_string(),
    });
    let sent = events(&scene, "PutEvents", &json!({ "Entries": [entry] })).await;
    assert_eq!(sent["FailedEntryCount"], 0, "{sent}");
    let mut executions = scene.executions_of("").await;
    while executions.len() < 2 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        executions = scene.executions_of("").await;
    }
    executions.retain(|name| *name != run.push_id.to_string());
    let run = scene.follow(&executions[0]).await;
    let object = scene.object(run.delivered()).await;
    assert_is_archive(&object.bytes, &repository, MAIN, &next).await;
    let (event, commit) = (event, next);
    let mut of_no_use = event;
    of_no_use["detail"]["event"] = json!("unreferencedMergeCommitCreated");
    assert!(send(&of_no_use).await.reason.is_some());
    (hook.before, hook.after) = (Some(commit), None);
    let deleted = send(&codecommit::event(&hook)).await;
    let run = scene.follow(&deleted.pushes[0].push_id).await;
    let ignored = run.state().ignored.as_ref().unwrap();
    assert_eq!(ignored.reason, IgnoreReason::RefDeleted);
    assert_eq!(scene.executions_of("").await.len(), 3);
}

/// The service in whose name a test sends events.
const TEST_SERVICE: &str = "test.codecommit";

/// Calls an action of EventBridge.
async fn events(scene: &Scene, action: &str, input: &Value) -> Value {
    let target = format!("AWSEvents.{action}");
    scene
        .stack
        .administrator
        .json("events", &target, input)
        .await
        .value()
}

/// Adds the rule for a further source, as docs/guides/git-hosts.md shows it.
async fn add_rule(scene: &Scene) {
    let guide = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/guides/git-hosts.md"
    ))
    .unwrap();
    let argument = |command: &str, option: &str| {
        let line = guide.lines().find(|line| line.starts_with(command)).unwrap();
        let (_, quoted) = line.split_once(&format!("--{option} '")).unwrap();
        quoted.trim_end_matches('\'').to_owned()
    };
    let name = format!("{}-source-{}", scene.stack.handle().name(), scene.source);
    let pattern = argument("aws events put-rule", "event-pattern").replace("aws.codecommit", TEST_SERVICE);
    events(
        scene,
        "PutRule",
        &json!({ "Name": name, "EventPattern": pattern }),
    )
    .await;
    let targets = argument("aws events put-targets", "targets")
        .replace("ARN_OF_ACCEPT", scene.stack.arn("Accept"))
        .replace("NAME", &scene.source);
    let targets: Value = serde_json::from_str(&targets).unwrap();
    events(scene, "PutTargets", &json!({ "Rule": name, "Targets": targets })).await;
}

#[tokio::test]
async fn a_push_that_a_script_reports_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("generic", Provider::Generic).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::Generic, hook, OLDER),
        _ => deliver(Provider::Generic, hook, SECRET),
    })
    .await;
    assert_delivers_each_ref(&scene, |hooks| generic::request(hooks, SECRET)).await;
}

#[tokio::test]
async fn a_push_that_gitlab_signs_becomes_the_zip_of_its_commit() {
    let (scene, _host) = source("gitlab-signs", Provider::GitLab).await;
    let secret = json!({"secret": SIGNING_TOKEN, "also_accepted": [OLDER]});
    scene.stack.put_secret("gitlab-signs", "webhook", &secret).await;
    assert_delivers(&scene, |hook, number| match number {
        1 => deliver(Provider::GitLab, hook, OLDER),
        _ => deliver(Provider::GitLab, hook, SIGNING_TOKEN),
    })
    .await;
}

/// Whoever has recorded a signed delivery can send it as it is, which starts nothing new, and not five minutes later.
#[tokio::test]
async fn a_signed_delivery_that_is_replayed_starts_nothing_new() {
    let (scene, _host) = source("replayed-delivery", Provider::Generic).await;
    let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let genuine = deliver(Provider::Generic, &hook, SECRET);
    let started = accepted(&scene, &genuine).await;
    assert_eq!(accepted(&scene, &genuine).await, started);
    let sent = chrono::Utc::now() - chrono::TimeDelta::seconds(301);
    let mut old = genuine.clone();
    for (name, value) in standard::headers(SECRET, "another", sent, &genuine.body) {
        old = old.with(name, value);
    }
    for (forged, expected) in [
        (genuine.clone().with(standard::ID_HEADER, "another"), 401),
        (old, 403),
        (genuine.without(standard::SIGNATURE_HEADER), 403),
    ] {
        let (status, text) = send(&scene, &forged).await;
        assert_eq!(status, expected, "{text}");
    }
    assert_eq!(scene.executions_of("").await.len(), 1);
}

#[tokio::test]
async fn a_forged_delivery_of_github_is_refused_and_starts_nothing() {
    assert_refuses_what_is_forged("github-forged", Provider::GitHub).await;
}

#[tokio::test]
async fn a_forged_delivery_of_gitea_is_refused_and_starts_nothing() {
    assert_refuses_what_is_forged("gitea-forged", Provider::Gitea).await;
}

#[tokio::test]
async fn a_forged_delivery_of_bitbucket_is_refused_and_starts_nothing() {
    assert_refuses_what_is_forged("bitbucket-forged", Provider::Bitbucket).await;
}

#[tokio::test]
async fn a_source_whose_host_sends_a_secret_is_not_let_in_by_a_signature() {
    for (name, provider) in [
        ("gitlab-signed", Provider::GitLab),
        ("azure-signed", Provider::AzureDevOps),
    ] {
        let (scene, _host) = source(name, provider).await;
        let hook = scene.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
        for other in Provider::ALL {
            if other != provider {
                let (status, text) = send(&scene, &deliver(other, &hook, SECRET)).await;
                assert_eq!(status, 403, "{other:?} to {provider:?}: {text}");
            }
        }
        assert_eq!(scene.executions_of("").await, [""; 0]);
    }
}
