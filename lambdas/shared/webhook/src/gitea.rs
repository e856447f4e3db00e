//! The events of Gitea and Forgejo (<https://docs.gitea.com/usage/webhooks>).
//!
//! They send look-alikes of the headers of Gogs and GitHub too. Whose webhook it is says the webhook secret, so only
//! their own headers are read here.

mod payload;

use domain::push::SourceName;
use http::HeaderMap;
use serde::Deserialize;

pub(crate) use payload::{created_payload, deleted_payload, push_payload};
pub use payload::{forgejo_request, request};

use payload::deliver;

use crate::change::Change;
use crate::{Error, Event, Proof, Report, Webhooks, text};

/// The header of the signature, in lower case as API Gateway passes header names on. Forgejo has one of its own, and
/// sends both.
pub const SIGNATURE_HEADER: &str = "x-gitea-signature";

/// The webhooks of Gitea and Forgejo, and what they do not send.
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Signature {
        headers: &[SIGNATURE_HEADER, "x-forgejo-signature"],
        prefix: "",
        signs_forms: false,
    },
    read,
    deliver,
    setup: &[
        "In the repository or the organisation, open Settings > Webhooks and add one of the type Gitea or Forgejo.",
        "Enter the URL as Target URL, and the secret as Secret.",
        "Choose POST, application/json and Custom events, and tick Push and Delete.",
    ],
    not_sent: &[
        "a webhook again whose response was an error, or that was not answered in five seconds, until somebody asks for it",
    ],
};

/// What differs between Gitea and Gogs, of which it is a fork.
pub(crate) struct Dialect {
    /// The name of the host in messages.
    pub host: &'static str,
    /// The headers that may name the event.
    pub events: &'static [&'static str],
    /// The headers that may have the id of the delivery.
    pub deliveries: &'static [&'static str],
    /// Whether a push event reports a tag. If not, the events `create` and `delete` do that alone.
    pub pushes_tags: bool,
}

const GITEA: Dialect = Dialect {
    host: "Gitea",
    events: &["X-Gitea-Event", "X-Forgejo-Event"],
    deliveries: &["x-gitea-delivery", "x-forgejo-delivery"],
    pushes_tags: true,
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
    pusher: Option<Account>,
}

/// The part of the payload of `create` and `delete` that is used.
#[derive(Deserialize)]
struct RefPayload {
    /// The name of the branch or tag.
    #[serde(rename = "ref")]
    name: String,
    ref_type: String,
    /// What was created.
    #[serde(default)]
    sha: Option<String>,
    repository: Repository,
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

#[derive(Deserialize, Default)]
struct Account {
    #[serde(default)]
    login: Option<String>,
    #[serde(default)]
    username: Option<String>,
}

impl From<PushPayload> for Change {
    fn from(payload: PushPayload) -> Self {
        let pusher = payload.pusher.unwrap_or_default();
        Self {
            repository: payload.repository.full_name,
            clone_urls: [payload.repository.clone_url, payload.repository.ssh_url],
            ref_name: payload.ref_name,
            before: Some(payload.before),
            after: Some(payload.after),
            pushers: [pusher.login, pusher.username],
        }
    }
}

impl RefPayload {
    /// Returns the change that ends with `after`. What the ref pointed to before is not sent.
    fn change(self, after: Option<String>) -> Change {
        let folder = if self.ref_type == "tag" { "tags" } else { "heads" };
        let sender = self.sender.unwrap_or_default();
        Change {
            repository: self.repository.full_name,
            clone_urls: [self.repository.clone_url, self.repository.ssh_url],
            ref_name: format!("refs/{folder}/{}", self.name),
            before: None,
            after,
            pushers: [sender.login, sender.username],
        }
    }
}

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    read_dialect(&GITEA, source, headers, body)
}

/// Reads a request of Gitea or Gogs. The deletion of a branch is reported by the event `delete` alone.
pub(crate) fn read_dialect(
    dialect: &Dialect,
    source: &SourceName,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Report, Error> {
    let event = Event::of(dialect.host, headers, dialect.events)?;
    let change: Change = match event.name {
        "push" => event.payload::<PushPayload>(body)?.into(),
        "create" | "delete" => {
            let payload: RefPayload = event.payload(body)?;
            match (event.name, payload.ref_type.as_str()) {
                ("create", "tag") if !dialect.pushes_tags => {
                    let missing = || event.json(serde::de::Error::missing_field("sha"));
                    let created = payload.sha.clone().ok_or_else(missing)?;
                    payload.change(Some(created))
                }
                ("delete", "branch") => payload.change(None),
                ("delete", "tag") if !dialect.pushes_tags => payload.change(None),
                (_, kind) => {
                    let reason = format!(
                        "a push event reports the {} of a {} too",
                        event.name,
                        domain::plain(kind, 20)
                    );
                    return Ok(Report::NotForUs(reason));
                }
            }
        }
        _ => return Ok(event.is_no_push()),
    };
    let delivery = dialect.deliveries.iter().find_map(|name| text(headers, name));
    event.report(vec![change], source, delivery, body)
}

#[cfg(test)]
mod tests;
