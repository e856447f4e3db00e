//! The push events of Bitbucket Data Center
//! (<https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>). One may report several refs.

use domain::push::SourceName;
use domain::remote_url::RemoteUrl;
use domain::source::Provider;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::change::Change;
use crate::push_hook::{PushHook, or_zeros};
use crate::{Error, Event, Proof, Report, Request, Webhooks, prove, text};

/// The header of the signature, in lower case as API Gateway passes header names on.
pub const SIGNATURE_HEADER: &str = "x-hub-signature";

/// Bitbucket Data Center's name in messages.
const HOST: &str = "Bitbucket Data Center";

/// The webhooks of Bitbucket Data Center, and what it does not send
/// (<https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html>).
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Signature {
        headers: &[SIGNATURE_HEADER],
        prefix: "sha256=",
        signs_forms: true,
    },
    read,
    deliver,
    setup: &[
        "In the repository or the project, open Settings > Webhooks and choose Create webhook.",
        "Enter the URL, and the secret as Secret.",
        "Tick Repository: Push, and nothing else. Test connection may be answered with 403, because some versions do not sign it.",
    ],
    not_sent: &[
        "a webhook again whose response was an error, or that was not answered",
        "any webhook for a while after five of those, for up to ten hours",
        "a webhook while 250 others are being sent",
    ],
};

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    actor: Option<Actor>,
    repository: Repository,
    changes: Vec<RefChange>,
}

#[derive(Deserialize, Default)]
struct Actor {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "displayName")]
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    slug: String,
    project: Project,
    #[serde(default)]
    links: Links,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

#[derive(Deserialize, Default)]
struct Links {
    #[serde(default)]
    clone: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

/// A change of a ref, with zeros for no object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefChange {
    #[serde(rename = "ref")]
    changed: Ref,
    from_hash: String,
    to_hash: String,
}

#[derive(Deserialize)]
struct Ref {
    id: String,
}

impl Repository {
    /// Returns the path as URLs have it, which write the project's key in lower case.
    fn path(&self) -> String {
        format!("{}/{}", self.project.key.to_lowercase(), self.slug)
    }

    /// Returns the URL by HTTP and the one by SSH. Versions before 8 may send none.
    fn clone_urls(&self) -> [Option<String>; 2] {
        let of_scheme = |is_ssh: bool| {
            let links = self.links.clone.iter().map(|link| &link.href);
            let mut parsed = links.filter_map(|href| Some((href, href.parse::<RemoteUrl>().ok()?)));
            let found = parsed.find(|(_, url)| (url.scheme() == "ssh") == is_ssh);
            found.map(|(href, _)| href.clone())
        };
        [of_scheme(false), of_scheme(true)]
    }
}

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    let event = Event::of(HOST, headers, &["X-Event-Key"])?;
    if event.name != "repo:refs_changed" {
        return Ok(event.is_no_push());
    }
    let payload: Payload = event.payload(body)?;
    let actor = payload.actor.unwrap_or_default();
    let (repository, clone_urls) = (payload.repository.path(), payload.repository.clone_urls());
    let changes = payload.changes.into_iter().map(|change| Change {
        repository: repository.clone(),
        clone_urls: clone_urls.clone(),
        ref_name: change.changed.id,
        before: Some(change.from_hash),
        after: Some(change.to_hash),
        pushers: [actor.name.clone(), actor.display_name.clone()],
    });
    let delivery = text(headers, "x-request-id");
    event.report(changes.collect(), source, delivery, body)
}

/// Returns the payload of a push of one or several refs of a repository.
#[must_use]
pub fn payload(hooks: &[&PushHook]) -> Value {
    let Some(hook) = hooks.first() else {
        return Value::Null;
    };
    let (project, slug) = hook.repository.rsplit_once('/').unwrap_or(("", &hook.repository));
    let name = hook.username();
    json!({
        "eventKey": "repo:refs_changed",
        "date": "1970-01-01T00:00:00+0000",
        "actor": {
            "name": name,
            "emailAddress": hook.user.email,
            "id": 1,
            "displayName": hook.user.name,
            "active": true,
            "slug": name,
            "type": "NORMAL",
        },
        "repository": {
            "slug": slug,
            "id": 1,
            "name": slug,
            "scmId": "git",
            "state": "AVAILABLE",
            "project": {"key": project.to_uppercase(), "id": 1, "name": project, "type": "NORMAL"},
            "links": {"clone": [
                {"href": hook.git_ssh_url, "name": "ssh"},
                {"href": hook.git_http_url, "name": "http"},
            ]},
        },
        "changes": hooks.iter().map(|hook| change(hook)).collect::<Vec<_>>(),
    })
}

fn change(hook: &PushHook) -> Value {
    let name = hook.short_name();
    json!({
        "ref": {
            "id": hook.ref_name,
            "displayId": name,
            "type": if hook.is_tag() { "TAG" } else { "BRANCH" },
        },
        "refId": hook.ref_name,
        "fromHash": or_zeros(hook.before.as_deref()),
        "toHash": or_zeros(hook.after.as_deref()),
        "type": match (&hook.before, &hook.after) {
            (_, None) => "DELETE",
            (None, _) => "ADD",
            _ => "UPDATE",
        },
    })
}

fn deliver(hook: &PushHook, secret: &str) -> Request {
    request("repo:refs_changed", payload(&[hook]).to_string(), secret)
}

/// Returns a new delivery that sends `body` as `event`, signed by the webhook's secret.
#[must_use]
pub fn request(event: &str, body: String, secret: &str) -> Request {
    let id = Uuid::new_v4().to_string();
    let mut headers = prove(Provider::BitbucketDataCenter, secret, &id, body.as_bytes());
    headers.extend([
        (
            "user-agent",
            "Atlassian HttpClient 4.2.0 / Bitbucket-9.4.0".to_owned(),
        ),
        ("x-event-key", event.to_owned()),
        ("x-request-id", id),
    ]);
    Request::json(body.into_bytes(), headers).with("content-type", "application/json; charset=utf-8")
}

#[cfg(test)]
mod tests;
