//! The webhook of a host that is not known, or of a script: JSON of our own, which docs/guides/git-hosts.md shows,
//! signed by Standard Webhooks.

use domain::push::SourceName;
use domain::source::Provider;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::Change;
use crate::push_hook::PushHook;
use crate::{Error, Event, Proof, Report, Request, Webhooks, prove, standard, text};

const EVENT: Event<'static> = Event {
    host: "generic",
    name: "push",
};

/// The webhooks of such a host, which says by itself what it does not send.
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Standard,
    read,
    deliver,
    setup: &[
        "Let it send the JSON of push-code docs guides/git-hosts#any-other-host to the URL, signed by Standard Webhooks with the secret.",
    ],
    not_sent: &["whatever it does not send"],
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    /// The repository's path, as its URL has it below the host.
    repository: String,
    /// The URL to clone it. Without one it is on the first of the source's git hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clone_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pusher: Option<String>,
    changes: Vec<RefChange>,
}

/// What has happened to a ref. Both ids must be there, and are null or zeros for no object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefChange {
    #[serde(rename = "ref")]
    ref_name: String,
    #[serde(deserialize_with = "Option::deserialize")]
    before: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    after: Option<String>,
}

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    let payload: Payload = EVENT.payload(body)?;
    let changes = payload.changes.into_iter().map(|change| Change {
        repository: payload.repository.clone(),
        clone_urls: [payload.clone_url.clone(), None],
        ref_name: change.ref_name,
        before: change.before,
        after: change.after,
        pushers: [payload.pusher.clone(), None],
    });
    EVENT.report(
        changes.collect(),
        source,
        text(headers, standard::ID_HEADER),
        body,
    )
}

/// Returns the delivery of a push of one or several refs of a repository, signed by the webhook's secret.
#[must_use]
pub fn request(hooks: &[&PushHook], secret: &str) -> Request {
    let hook = hooks.first();
    let payload = Payload {
        repository: hook.map(|hook| hook.repository.clone()).unwrap_or_default(),
        clone_url: hook.map(|hook| hook.git_http_url.clone()),
        pusher: hook.map(|hook| hook.username().to_owned()),
        changes: hooks
            .iter()
            .map(|hook| RefChange {
                ref_name: hook.ref_name.clone(),
                before: hook.before.clone(),
                after: hook.after.clone(),
            })
            .collect(),
    };
    let body = serde_json::to_vec(&payload).unwrap_or_default();
    let headers = prove(Provider::Generic, secret, &Uuid::new_v4().to_string(), &body);
    Request::json(body, headers)
}

fn deliver(hook: &PushHook, secret: &str) -> Request {
    request(&[hook], secret)
}

#[cfg(test)]
mod tests;
