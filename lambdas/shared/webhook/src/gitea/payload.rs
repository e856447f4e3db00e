//! Builds requests as Gitea and Forgejo send them.

use chrono::SecondsFormat;
use domain::git::without_dot_git;
use domain::source::Provider;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::push_hook::{Commit, PushHook, ZEROS, or_zeros};
use crate::{Request, prove};

/// Returns the event by which Gitea reports a push, and its payload.
pub(super) fn event(hook: &PushHook) -> (&'static str, Value) {
    match (&hook.after, hook.is_tag()) {
        (None, false) => ("delete", deleted_payload(hook)),
        // A tag that was moved is reported as a new one.
        (Some(_), true) => ("push", push_payload(hook, ZEROS)),
        _ => ("push", push_payload(hook, or_zeros(hook.before.as_deref()))),
    }
}

/// Returns the payload of a push event.
pub(crate) fn push_payload(hook: &PushHook, before: &str) -> Value {
    let html_url = without_dot_git(&hook.git_http_url);
    let commits: Vec<_> = hook
        .commits
        .iter()
        .map(|commit| commit_payload(commit, html_url))
        .collect();
    json!({
        "ref": hook.ref_name,
        "before": before,
        "after": or_zeros(hook.after.as_deref()),
        "compare_url": "",
        "total_commits": hook.total_commits,
        "head_commit": commits.last(),
        "commits": commits,
        "repository": repository(hook),
        "pusher": account(hook),
        "sender": account(hook),
    })
}

/// Returns the payload of a `create` event.
pub(crate) fn created_payload(hook: &PushHook) -> Value {
    let mut payload = deleted_payload(hook);
    payload["sha"] = json!(hook.after);
    payload["default_branch"] = json!("main");
    payload
}

/// Returns the payload of a `delete` event.
pub(crate) fn deleted_payload(hook: &PushHook) -> Value {
    let name = hook.short_name();
    json!({
        "ref": name,
        "ref_type": if hook.is_tag() { "tag" } else { "branch" },
        "pusher_type": "user",
        "repository": repository(hook),
        "sender": account(hook),
    })
}

fn repository(hook: &PushHook) -> Value {
    let (owner, name) = hook.repository.rsplit_once('/').unwrap_or(("", &hook.repository));
    json!({
        "id": 1,
        "owner": {"id": 1, "login": owner, "full_name": "", "email": "", "avatar_url": "", "username": owner},
        "name": name,
        "full_name": hook.repository,
        "description": "",
        "empty": false,
        "private": true,
        "fork": false,
        "mirror": false,
        "html_url": without_dot_git(&hook.git_http_url),
        "ssh_url": hook.git_ssh_url,
        "clone_url": hook.git_http_url,
        "default_branch": "main",
    })
}

fn account(hook: &PushHook) -> Value {
    let login = hook.username();
    json!({
        "id": 1,
        "login": login,
        "full_name": hook.user.name,
        "email": hook.user.email,
        "avatar_url": "",
        "username": login,
    })
}

fn commit_payload(commit: &Commit, html_url: &str) -> Value {
    json!({
        "id": commit.id,
        "message": commit.message,
        "url": format!("{html_url}/commit/{}", commit.id),
        "author": commit.author,
        "committer": commit.author,
        "timestamp": commit.timestamp.to_rfc3339_opts(SecondsFormat::Secs, true),
    })
}

/// Returns the delivery of a push.
pub(super) fn deliver(hook: &PushHook, secret: &str) -> Request {
    let (event, payload) = event(hook);
    request(event, payload.to_string(), secret)
}

/// Returns a new delivery that sends `body` as `event`, signed by the webhook's secret, with headers that look like
/// other hosts'.
#[must_use]
pub fn request(event: &str, body: String, secret: &str) -> Request {
    request_with_id(&Uuid::new_v4().to_string(), event, body, secret)
}

fn request_with_id(id: &str, event: &str, body: String, secret: &str) -> Request {
    let mut headers = prove(Provider::Gitea, secret, id, body.as_bytes());
    let signature = headers[0].1.clone();
    headers.extend([
        ("user-agent", "Go-http-client/1.1".to_owned()),
        ("x-gogs-signature", signature.clone()),
        ("x-hub-signature-256", format!("sha256={signature}")),
    ]);
    for name in ["x-gitea-event", "x-gogs-event", "x-github-event"] {
        headers.push((name, event.to_owned()));
    }
    for name in ["x-gitea-delivery", "x-gogs-delivery", "x-github-delivery"] {
        headers.push((name, id.to_owned()));
    }
    Request::json(body.into_bytes(), headers)
}

/// Returns the delivery of a push by Forgejo, which has one kind of headers more.
#[must_use]
pub fn forgejo_request(hook: &PushHook, secret: &str) -> Request {
    let id = Uuid::new_v4().to_string();
    let (event, payload) = event(hook);
    let mut request = request_with_id(&id, event, payload.to_string(), secret);
    let signature = prove(Provider::Gitea, secret, &id, &request.body).remove(0).1;
    request.headers.extend([
        ("x-forgejo-event", event.to_owned()),
        ("x-forgejo-delivery", id),
        ("x-forgejo-signature", signature),
    ]);
    request
}
