//! The status of a commit on the git host: what GitLab and GitHub are sent, and that a push is delivered whatever comes
//! of it.
//!
//! The API is a server of the test's own, on the loopback, which plays that of a host.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use domain::commit_status::CommitStatus;
use domain::event::PushEvent;
use domain::state::Status;
use git_host::{GitHost, Options};
use serde_json::{Value, json};
use testkit::Request;
use testkit::http::{Host, Response};
use tokio::net::TcpListener;
use webhook::gitlab::Delivery;

use crate::fixtures::repository::MAIN;
use crate::fixtures::scene::{Run, Scene};
use crate::{DELIVERED, http_secret, login};

const TOKEN: &str = "glpat-a-token-of-the-api";

/// The status that a commit was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    commit: String,
    state: String,
    body: Value,
}

/// Sets statuses as GitLab and GitHub do, for whoever has the token, and refuses commits that it does not know.
async fn api(commits: Arc<Mutex<Vec<String>>>) -> (Host, Arc<Mutex<Vec<Given>>>) {
    let given = Arc::new(Mutex::new(Vec::<Given>::new()));
    let kept = Arc::clone(&given);
    let host = Host::answering(move |request| {
        let is_gitlab = request
            .target
            .starts_with("/api/v4/projects/group%2Fproject/statuses/");
        let is_github = request.target.starts_with("/repos/group/project/statuses/");
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        let bearer = format!("Bearer {TOKEN}");
        let may = match is_gitlab {
            true => header("private-token") == Some(TOKEN),
            false => header("authorization") == Some(&*bearer),
        };
        let commit = request.target.rsplit('/').next().unwrap().to_owned();
        let is_commit = commits.lock().unwrap().contains(&commit);
        if request.method != "POST" || !(is_gitlab || is_github) || !may || !is_commit {
            return Response::new(404, &[], r#"{"message":"404 Not Found"}"#);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let state = body["state"].as_str().unwrap().to_owned();
        let mut given = kept.lock().unwrap();
        let last = given.iter().rev().find(|given| given.commit == commit);
        if is_gitlab && state == "pending" && last.is_some_and(|last| last.state == "pending") {
            let refused = r#"{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}"#;
            return Response::new(400, &[], refused);
        }
        given.push(Given { commit, state, body });
        Response::new(201, &["Content-Type: application/json"], "{}")
    });
    (host.await, given)
}

/// A source whose commits have a status.
struct Shown {
    scene: Scene,
    /// The git host, which ends with this.
    host: GitHost,
    api: Host,
    given: Arc<Mutex<Vec<Given>>>,
    commits: Arc<Mutex<Vec<String>>>,
}

impl Shown {
    async fn on(source: &str, api_name: &str, path: &str) -> Self {
        let (scene, host) = Scene::over_http(source, Options::default()).await;
        let commits = Arc::default();
        let (api, given) = api(Arc::clone(&commits)).await;
        let shown = Self {
            scene,
            host,
            api,
            given,
            commits,
        };
        let url = shown.api.origin() + path;
        shown.settle(json!({ "api": api_name, "url": url }), |_| ()).await;
        shown
    }

    async fn on_gitlab(source: &str) -> Self {
        Self::on(source, "gitlab", "/api/v4").await
    }

    /// Writes the settings and the git secret.
    async fn settle(&self, commit_status: Value, change: impl FnOnce(&mut Value)) {
        put_token(&self.scene, self.host.origin(), &self.api.origin()).await;
        self.scene
            .configure(|settings| {
                settings["commit_status"] = commit_status;
                change(settings);
            })
            .await;
    }

    /// Commits a file, which the API knows then.
    fn commit(&self, repository: &crate::Repository, content: &str) -> String {
        let commit = repository.commit_file("file", content);
        self.commits.lock().unwrap().push(commit.clone());
        commit
    }

    /// Returns the states that a commit was given.
    fn states(&self, commit: &str) -> Vec<String> {
        let given = self.given.lock().unwrap();
        let of_commit = given.iter().filter(|given| given.commit == commit);
        of_commit.map(|given| given.state.clone()).collect()
    }
}

async fn put_token(scene: &Scene, git_host: String, api: &str) {
    let mut secret = http_secret(&git_host, &login());
    secret["api_tokens"] = json!([{ "host": api, "token": TOKEN }]);
    scene.put_git_secret(&secret).await;
}

/// Returns the statuses in the trail of a push.
fn recorded(run: &Run) -> Vec<CommitStatus> {
    let events = run.trail.events.iter();
    events
        .filter_map(|recorded| match &recorded.event {
            PushEvent::CommitStatusSet(set) => Some(set.status),
            _ => None,
        })
        .collect()
}

/// Checks that neither the trail nor what any function has said has the token.
fn assert_nobody_was_told(scene: &Scene, run: &Run) {
    let log = std::fs::read_to_string(scene.stack.local.folder().join("functions.log")).unwrap();
    for (place, text) in [("the trail", format!("{:?}", run.trail)), ("the log", log)] {
        assert!(!text.contains(TOKEN), "{place} has the token");
    }
}

#[tokio::test]
async fn a_commit_is_pending_and_then_successful_with_a_link_to_the_execution() {
    for (source, api, path) in [
        ("shown-gitlab", "gitlab", "/api/v4"),
        ("shown-github", "github", ""),
    ] {
        let shown = Shown::on(source, api, path).await;
        let repository = shown.scene.repository("group/project");
        let commit = shown.commit(&repository, "content");
        let hook = shown.scene.hook(&repository.path, MAIN, None, Some(&commit));
        let run = shown.scene.push(&hook).await;
        run.delivered();
        assert_eq!(shown.states(&commit), ["pending", "success"]);
        let [before, after] = [&DELIVERED[..2], &DELIVERED[2..]];
        let expected = [before, &["CommitStatusSet"], after, &["CommitStatusSet"]].concat();
        assert_eq!(run.events(), expected);
        assert_eq!(recorded(&run), [CommitStatus::Pending, CommitStatus::Success]);
        let arn = shown.scene.execution_arn(&run);
        for given in shown.given.lock().unwrap().iter() {
            let link = given.body["target_url"].as_str().unwrap();
            assert!(link.starts_with("https://") && link.ends_with(&arn), "{link}");
            let name = if api == "gitlab" { "name" } else { "context" };
            assert_eq!(given.body[name], "push-code");
        }
        assert_nobody_was_told(&shown.scene, &run);

        // A replay delivers nothing again, and shows the same with its own link.
        let again = shown.scene.new_execution(run.push_id).await;
        let again = shown.scene.follow(&again).await;
        again.delivered();
        assert_eq!(
            again.events()[run.events().len()..],
            ["PushRetried", "CommitStatusSet"]
        );
        assert_eq!(shown.states(&commit), ["pending", "success", "success"]);
    }
}

#[tokio::test]
async fn a_push_that_has_failed_is_shown_as_failed_until_it_is_delivered() {
    let shown = Shown::on_gitlab("shown-failed").await;
    let repository = shown.scene.repository("group/project");
    let commit = shown.commit(&repository, "content");
    let status = json!({ "api": "gitlab", "url": shown.api.origin() + "/api/v4" });
    let too_small = json!({ "limits": { "file_bytes": 1 } });
    shown
        .settle(status.clone(), |settings| settings["options"] = too_small)
        .await;
    let (hook, delivery) = (
        shown.scene.hook(&repository.path, MAIN, None, Some(&commit)),
        Delivery::fresh(),
    );
    let failed = shown.scene.deliver(&hook, &delivery).await;
    assert_eq!(
        failed.ended.error.as_deref(),
        Some("LimitExceeded"),
        "{failed:#?}"
    );
    assert_eq!(shown.states(&commit), ["pending", "failed"]);
    let description = shown.given.lock().unwrap()[1].body["description"].clone();
    assert_eq!(description, "Package failed: LimitExceeded");
    assert_eq!(failed.state().status, Status::Failed);

    shown.settle(status, |_| ()).await;
    let run = shown.scene.resend(&hook, &delivery, 2).await;
    run.delivered();
    assert_eq!(shown.states(&commit), ["pending", "failed", "pending", "success"]);
}

#[tokio::test]
async fn no_commit_stays_pending_whose_push_was_superseded_ignored_or_stopped() {
    let shown = Shown::on_gitlab("shown-otherwise").await;
    let repository = shown.scene.repository("group/project");
    let older = shown.commit(&repository, "older");
    let newer = shown.commit(&repository, "newer");
    let hook =
        |before: Option<&str>, after: &str| shown.scene.hook(&repository.path, MAIN, before, Some(after));
    shown.scene.push(&hook(Some(&older), &newer)).await;
    let superseded = shown.scene.push(&hook(None, &older)).await;
    assert_eq!(superseded.state().status, Status::Superseded, "{superseded:#?}");
    assert_eq!(shown.states(&older), ["pending", "canceled"]);
    let duplicate = shown.scene.push(&hook(Some(&older), &newer)).await;
    assert_eq!(duplicate.state().status, Status::Ignored, "{duplicate:#?}");
    assert_eq!(shown.states(&newer), ["pending", "success", "pending", "success"]);

    // What the settings do not want is not shown at all.
    let unwanted = shown
        .scene
        .hook(&repository.path, "refs/notes/x", None, Some(&newer));
    let unwanted = shown.scene.push(&unwanted).await;
    assert_eq!(unwanted.events(), ["PushReceived", "PushIgnored"]);

    // An annotated tag is shown at its commit.
    repository.git(["tag", "--annotate", "v1", "--message", "One"]);
    let tag = repository.git(["rev-parse", "refs/tags/v1"]);
    let tagged = shown
        .scene
        .hook(&repository.path, "refs/tags/v1", None, Some(&tag));
    let tagged = shown.scene.push(&tagged).await;
    assert_eq!(recorded(&tagged), [CommitStatus::Success]);
    assert_eq!(shown.states(&newer).len(), 5);

    // A git host that never answers.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    put_token(&shown.scene, silent.clone(), &shown.api.origin()).await;
    shown
        .scene
        .configure(|settings| {
            settings["commit_status"] = json!({ "api": "gitlab", "url": shown.api.origin() + "/api/v4" });
            settings["git_hosts"] = json!([silent]);
        })
        .await;
    let commit = shown.commit(&repository, "never fetched");
    let mut hook = hook(Some(&newer), &commit);
    hook.git_http_url = format!("{silent}/{}.git", repository.path);
    let accepted = shown.scene.webhook.send(&hook, &Delivery::fresh()).await.unwrap();
    let push_id = accepted.pushes[0].push_id.parse().unwrap();
    let is = |wanted: CommitStatus| {
        move |state: &domain::state::PushState| {
            state
                .commit_status
                .as_ref()
                .is_some_and(|set| set.status == wanted)
        }
    };
    shown.scene.wait_for(push_id, is(CommitStatus::Pending)).await;
    shown.scene.stop(&accepted.pushes[0].execution).await;
    shown.scene.wait_for(push_id, is(CommitStatus::Failed)).await;
    assert_eq!(shown.states(&commit), ["pending", "failed"]);
}

/// Responses of an API, by the number of the push.
fn trouble(number: usize) -> Option<Response> {
    Some(match number {
        0 => Response::new(401, &[], format!(r#"{{"message":"401 Unauthorized {TOKEN}"}}"#)),
        1 => Response::new(500, &[], "oh"),
        2 => Response::redirect(307, "http://127.0.0.1:9/elsewhere"),
        3 => Response::new(201, &[], "{}"),
        _ => return None,
    })
}

#[tokio::test]
async fn a_push_is_delivered_whatever_the_api_does() {
    let (scene, host) = Scene::over_http("shown-badly", Options::default()).await;
    let number = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&number);
    let api = Host::serve(move |_: Arc<Request>, mut connection| {
        let answer = trouble(asked.load(Ordering::Relaxed));
        async move {
            match answer {
                Some(answer) => answer.send(&mut connection).await,
                // It hangs.
                None => std::future::pending().await,
            }
        }
    })
    .await;
    let status = json!({ "api": "github", "url": api.origin() });
    scene
        .configure(|settings| settings["commit_status"] = status)
        .await;
    let repository = scene.repository("group/project");
    let mut before = None;
    for (push, (token_of, error, attempts)) in [
        (api.origin(), "CommitStatusRefused", [1, 1]),
        (api.origin(), "CommitStatusUnavailable", [2, 4]),
        (api.origin(), "GitHostRedirected", [1, 1]),
        ("https://git.example.com".to_owned(), "CredentialsMissing", [1, 1]),
        (api.origin(), "CommitStatusUnavailable", [2, 4]),
    ]
    .into_iter()
    .enumerate()
    {
        number.store(push, Ordering::Relaxed);
        put_token(&scene, host.origin(), &token_of).await;
        let asked = api.requests().len();
        let commit = repository.commit_file("file", &format!("{push}"));
        let hook = scene.hook(&repository.path, MAIN, before.as_deref(), Some(&commit));
        let run = scene.push(&hook).await;
        run.delivered();
        scene
            .stack
            .inbox
            .event("Push Delivered", &run.push_id.to_string())
            .await;
        let failed = run.failed_attempts();
        assert!(
            failed
                .iter()
                .all(|(stage, _, code)| stage == "Report" && *code == error),
            "{failed:?}"
        );
        // Those before the push was fetched, and those after it was closed.
        let events = run.events();
        let place = |name: &str| events.iter().position(|event| *event == name).unwrap();
        let early = events[..place("CommitFetched")].iter();
        let early = early.filter(|event| **event == "AttemptFailed").count();
        assert_eq!([early, failed.len() - early], attempts, "{error}");
        assert!(place("PushDelivered") < events.len() - 1);
        assert_eq!(run.state().commit_status, None);
        let calls = match error {
            "CredentialsMissing" => 0,
            _ => failed.len(),
        };
        assert_eq!(api.requests().len() - asked, calls, "{error}");
        // The push was not held up for long.
        let at = |name: &str| run.trail.events[place(name)].recorded_at;
        let held_up = (at("CommitFetched") - at("PushValidated")).num_seconds();
        assert!(held_up < 30, "{error}: {held_up} s");
        assert_nobody_was_told(&scene, &run);
        before = Some(commit);
    }
}

/// The token alone turns nothing on.
#[tokio::test]
async fn nothing_is_shown_unless_the_settings_say_so() {
    let (scene, host) = Scene::over_http("not-shown", Options::default()).await;
    let (api, _) = api(Arc::default()).await;
    put_token(&scene, host.origin(), &api.origin()).await;
    let repository = scene.repository("group/project");
    let commit = repository.commit_file("file", "content");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, None, Some(&commit)))
        .await;
    assert_eq!(run.events(), DELIVERED);
    scene
        .configure(|settings| settings["options"] = json!({ "limits": { "file_bytes": 1 } }))
        .await;
    let next = repository.commit_file("file", "next");
    let run = scene
        .push(&scene.hook(&repository.path, MAIN, Some(&commit), Some(&next)))
        .await;
    assert_eq!(run.events().last(), Some(&"PushFailed"), "{run:#?}");
    let client = scene.stack.handle().step_functions();
    let history = client
        .get_execution_history()
        .execution_arn(scene.execution_arn(&run));
    let mut pages = history.into_paginator().items().send();
    while let Some(event) = pages.next().await {
        let event = event.unwrap();
        let entered = event.state_entered_event_details.map(|entered| entered.name);
        assert!(
            !entered.as_ref().is_some_and(|name| name.starts_with("Report")),
            "{entered:?}"
        );
    }
    assert!(api.requests().is_empty());
}
