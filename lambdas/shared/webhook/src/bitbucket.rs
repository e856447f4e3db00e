//! The push events of Bitbucket Cloud (<https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push>). One
//! may report several refs.

use domain::git::without_dot_git;
use domain::push::SourceName;
use domain::source::Provider;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::change::Change;
use crate::push_hook::PushHook;
use crate::{Error, Event, Proof, Report, Request, Webhooks, prove, text};

/// The header of the signature, in lower case as API Gateway passes header names on.
pub const SIGNATURE_HEADER: &str = "x-hub-signature";

/// Bitbucket Cloud's name in messages.
const HOST: &str = "Bitbucket Cloud";

/// The webhooks of Bitbucket Cloud, and what it does not send
/// (<https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/>).
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Signature {
        headers: &[SIGNATURE_HEADER],
        prefix: "sha256=",
        signs_forms: true,
    },
    read,
    deliver,
    setup: &[
        "In the repository, open Repository settings > Webhooks and choose Add webhook.",
        "Enter the URL, and the secret as Secret.",
        "Tick Repository: Push, and nothing else.",
    ],
    not_sent: &[
        "a webhook whose payload would have more than 256 KB",
        "a webhook more than twice again whose response was a server error, and never again one that was not answered in ten seconds",
    ],
};

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    actor: Option<Actor>,
    repository: Repository,
    push: Push,
}

#[derive(Deserialize, Default)]
struct Actor {
    #[serde(default)]
    nickname: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    links: Links,
}

#[derive(Deserialize, Default)]
struct Links {
    #[serde(default)]
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct Push {
    changes: Vec<RefChange>,
}

/// A change of a ref, of which one side is null if it was created or deleted.
#[derive(Deserialize)]
struct RefChange {
    #[serde(default)]
    new: Option<Ref>,
    #[serde(default)]
    old: Option<Ref>,
}

#[derive(Deserialize)]
struct Ref {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Target,
}

/// What a ref leads to, which is the commit of an annotated tag too.
#[derive(Deserialize)]
struct Target {
    hash: String,
}

impl Ref {
    fn full_name(&self) -> String {
        let folder = if self.kind == "branch" { "heads" } else { "tags" };
        format!("refs/{folder}/{}", self.name)
    }
}

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    let event = Event::of(HOST, headers, &["X-Event-Key"])?;
    if event.name != "repo:push" {
        return Ok(event.is_no_push());
    }
    let payload: Payload = event.payload(body)?;
    let actor = payload.actor.unwrap_or_default();
    let clone_urls = payload.repository.clone_urls();
    let changes = payload.push.changes.into_iter().filter_map(|change| {
        let ref_name = change.new.as_ref().or(change.old.as_ref())?.full_name();
        let hash = |side: Option<Ref>| side.map(|side| side.target.hash);
        Some(Change {
            repository: payload.repository.full_name.clone(),
            clone_urls: clone_urls.clone(),
            ref_name,
            before: hash(change.old),
            after: hash(change.new),
            pushers: [actor.nickname.clone(), actor.display_name.clone()],
        })
    });
    let changes = changes.collect();
    // The id is the same for all attempts of one delivery.
    let delivery = text(headers, "x-request-uuid");
    event.report(changes, source, delivery, body)
}

impl Repository {
    /// Returns the URLs to clone the repository, which are not sent, by the one of its page.
    fn clone_urls(&self) -> [Option<String>; 2] {
        let page = self
            .links
            .html
            .as_ref()
            .and_then(|link| Url::parse(&link.href).ok());
        let host = page.as_ref().and_then(Url::host_str);
        let ssh = host.map(|host| format!("git@{host}:{}.git", self.full_name));
        [page.as_ref().map(|page| format!("{page}.git")), ssh]
    }
}

/// Returns the payload of a push of one or several refs of a repository.
#[must_use]
pub fn payload(hooks: &[&PushHook]) -> Value {
    let Some(hook) = hooks.first() else {
        return Value::Null;
    };
    let changes: Vec<_> = hooks.iter().map(|hook| change(hook)).collect();
    let page = without_dot_git(&hook.git_http_url);
    let nickname = hook.username();
    json!({
        "push": {"changes": changes},
        "actor": {"type": "user", "uuid": "{1}", "account_id": "1", "nickname": nickname, "display_name": hook.user.name},
        "repository": {
            "type": "repository",
            "uuid": "{1}",
            "full_name": hook.repository,
            "name": hook.repository,
            "links": {"self": {"href": page}, "html": {"href": page}},
            "scm": "git",
            "is_private": true,
        },
    })
}

fn change(hook: &PushHook) -> Value {
    let (kind, name) = (if hook.is_tag() { "tag" } else { "branch" }, hook.short_name());
    let side = |hash: Option<&str>| match hash {
        Some(hash) => {
            json!({"type": kind, "name": name, "target": {"type": "commit", "hash": hash}, "links": {}})
        }
        None => Value::Null,
    };
    let commit = hook.after.as_ref().and(hook.commit.as_deref());
    json!({
        "old": side(hook.before.as_deref()),
        "new": side(commit.or(hook.after.as_deref())),
        "created": hook.before.is_none(),
        "closed": hook.after.is_none(),
        "forced": false,
        "truncated": false,
        "commits": hook.commits.iter().map(|commit| json!({"type": "commit", "hash": commit.id, "message": commit.message})).collect::<Vec<_>>(),
    })
}

fn deliver(hook: &PushHook, secret: &str) -> Request {
    request("repo:push", payload(&[hook]).to_string(), secret)
}

/// Returns a new delivery that sends `body` as `event`, signed by the webhook's secret.
#[must_use]
pub fn request(event: &str, body: String, secret: &str) -> Request {
    let id = Uuid::new_v4().to_string();
    let mut headers = prove(Provider::Bitbucket, secret, &id, body.as_bytes());
    headers.extend([
        ("user-agent", "Bitbucket-Webhooks/2.0".to_owned()),
        ("x-attempt-number", "1".to_owned()),
        ("x-event-key", event.to_owned()),
        ("x-hook-uuid", Uuid::new_v4().to_string()),
        ("x-request-uuid", id),
    ]);
    Request::json(body.into_bytes(), headers)
}

#[cfg(test)]
mod tests;
