//! Builds requests as GitHub sends them.

use chrono::SecondsFormat;
use domain::git::without_dot_git;
use domain::source::Provider;
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::push_hook::{Commit, PushHook, or_zeros};
use crate::{Request, prove};

/// Returns the payload of a push event, by <https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>.
#[must_use]
pub fn payload(hook: &PushHook) -> Value {
    let (owner, name) = hook.repository.rsplit_once('/').unwrap_or(("", &hook.repository));
    let html_url = without_dot_git(&hook.git_http_url);
    let login = hook.username();
    let head_commit = hook.commits.last().map(|commit| commit_payload(commit, html_url));
    json!({
        "ref": hook.ref_name,
        "before": or_zeros(hook.before.as_deref()),
        "after": or_zeros(hook.after.as_deref()),
        "repository": {
            "id": 1,
            "node_id": "R_1",
            "name": name,
            "full_name": hook.repository,
            "private": true,
            "owner": {"name": owner, "email": null, "login": owner, "id": 1, "type": "Organization"},
            "html_url": html_url,
            "description": null,
            "fork": false,
            "url": html_url,
            "created_at": 1,
            "updated_at": "1970-01-01T00:00:01Z",
            "pushed_at": 1,
            "git_url": hook.git_http_url,
            "ssh_url": hook.git_ssh_url,
            "clone_url": hook.git_http_url,
            "default_branch": "main",
            "visibility": "private",
            "master_branch": "main",
        },
        "pusher": {"name": login, "email": hook.user.email},
        "sender": {"login": login, "id": 1, "type": "User", "site_admin": false},
        "created": hook.before.is_none(),
        "deleted": hook.after.is_none(),
        "forced": false,
        "base_ref": null,
        "compare": format!("{html_url}/compare"),
        "commits": match hook.is_tag() {
            true => Vec::new(),
            false => hook.commits.iter().map(|commit| commit_payload(commit, html_url)).collect(),
        },
        "head_commit": head_commit,
    })
}

fn commit_payload(commit: &Commit, html_url: &str) -> Value {
    json!({
        "id": commit.id,
        "tree_id": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.timestamp.to_rfc3339_opts(SecondsFormat::Secs, true),
        "url": format!("{html_url}/commit/{}", commit.id),
        "author": commit.author,
        "committer": commit.author,
        "added": [],
        "removed": [],
        "modified": [],
    })
}

/// Returns the body for a payload if the webhook's content type is `application/x-www-form-urlencoded`.
#[must_use]
pub fn form(payload: &Value) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish()
}

/// Returns the delivery of a push.
pub(super) fn deliver(hook: &PushHook, secret: &str) -> Request {
    request("push", payload(hook).to_string(), secret)
}

/// Returns a new delivery that sends `body` as `event`, signed by the webhook's secret.
#[must_use]
pub fn request(event: &str, body: String, secret: &str) -> Request {
    let id = Uuid::new_v4().to_string();
    let content_type = match body.starts_with('{') {
        true => "application/json",
        false => "application/x-www-form-urlencoded",
    };
    let mut headers = prove(Provider::GitHub, secret, &id, body.as_bytes());
    headers.extend([
        ("user-agent", "GitHub-Hookshot/0123abc".to_owned()),
        ("x-github-delivery", id),
        ("x-github-event", event.to_owned()),
        ("x-github-hook-id", "1".to_owned()),
        ("x-github-hook-installation-target-type", "repository".to_owned()),
    ]);
    Request::json(body.into_bytes(), headers).with("content-type", content_type)
}
