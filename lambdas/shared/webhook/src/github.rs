//! The push events of GitHub and GitHub Enterprise
//! (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>).

mod payload;

use std::borrow::Cow;

use domain::push::SourceName;
use http::HeaderMap;
use serde::Deserialize;
use url::form_urlencoded;

pub use payload::{form, payload, request};

use payload::deliver;

use crate::change::Change;
use crate::{Error, Event, Proof, Report, Webhooks, is_form, text};

/// The header of the signature, in lower case as API Gateway passes header names on.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// GitHub's name in messages.
const HOST: &str = "GitHub";

/// The webhooks of GitHub, and what it does not send
/// (<https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>).
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Signature {
        headers: &[SIGNATURE_HEADER],
        prefix: "sha256=",
        signs_forms: true,
    },
    read,
    deliver,
    setup: &[
        "In the repository or the organisation, open Settings > Webhooks and choose Add webhook.",
        "Enter the URL as Payload URL, and the secret as Secret.",
        "Choose the content type application/json, and Just the push event.",
    ],
    not_sent: &[
        "a webhook for tags of which more than three are pushed at once, such as by `git push --tags`",
        "a webhook for more than 5,000 branches that are pushed at once",
        "a webhook whose payload would have more than 25 MB",
        "a webhook again whose response was an error, or that was not answered in ten seconds, until somebody asks for it",
    ],
};

/// The part of a push's payload that is used. What is pushed is `after`, which for an annotated tag is the tag's
/// object.
#[derive(Deserialize)]
struct PushPayload {
    before: String,
    after: String,
    #[serde(rename = "ref")]
    ref_name: String,
    repository: Repository,
    #[serde(default)]
    pusher: Option<Pusher>,
    #[serde(default)]
    sender: Option<Account>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    clone_url: Option<String>,
    #[serde(default)]
    ssh_url: Option<String>,
}

#[derive(Deserialize)]
struct Pusher {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    login: Option<String>,
}

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    let event = Event::of(HOST, headers, &["X-GitHub-Event"])?;
    match event.name {
        "push" => {}
        "ping" => return Ok(Report::NotForUs("the webhook is set up".to_owned())),
        "create" | "delete" => {
            return Ok(Report::NotForUs(format!(
                "a {} is reported by a push event too",
                event.name
            )));
        }
        _ => return Ok(event.is_no_push()),
    }
    let payload: PushPayload = event.payload(&json(headers, body)?)?;
    let change = Change {
        repository: payload.repository.full_name,
        clone_urls: [payload.repository.clone_url, payload.repository.ssh_url],
        ref_name: payload.ref_name,
        before: Some(payload.before),
        after: Some(payload.after),
        pushers: [
            payload.pusher.and_then(|pusher| pusher.name),
            payload.sender.and_then(|sender| sender.login),
        ],
    };
    // The id stays the same if somebody has GitHub send the delivery again.
    let delivery = text(headers, "x-github-delivery");
    event.report(vec![change], source, delivery, body)
}

/// Returns the JSON of a body, which is the body itself, or the field of a form if the webhook has that content type.
fn json<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    if !is_form(headers) {
        return Ok(Cow::Borrowed(body));
    }
    let mut payloads = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
    match (payloads.next(), payloads.next()) {
        (Some((_, payload)), None) => Ok(Cow::Owned(payload.into_owned().into_bytes())),
        _ => Err(Error::NoPayload { host: HOST }),
    }
}

#[cfg(test)]
mod tests;
