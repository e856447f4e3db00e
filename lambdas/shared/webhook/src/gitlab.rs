//! GitLab's push and tag-push hooks
//! (<https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>).

mod payload;

use domain::git::ObjectId;
use domain::push::{DeliveryId, Push, PushId, SourceName, Trigger};
use domain::remote_url::public_url;
use domain::{Invalid, plain};
use serde::Deserialize;

pub use payload::{Commit, Delivery, Person, PushHook, USER_AGENT};

use crate::Report;

/// The header in which GitLab sends the webhook's token in plain text, in lower case as API Gateway passes header names
/// on.
pub const TOKEN_HEADER: &str = "x-gitlab-token";

/// A longer URL is left out, because the input of an execution is limited to 256 KiB.
const MAX_URL_BYTES: usize = 2_048;
/// A longer name of the pusher is cut.
const MAX_PUSHER_CHARACTERS: usize = 200;

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header that names the event is missing.
    #[error("the header X-Gitlab-Event is missing: this is not a GitLab webhook")]
    NotGitLab,
    /// The body is not JSON, or lacks fields.
    #[error("the body is not the JSON of a GitLab {event}: {source}")]
    Json {
        /// The event, as GitLab names it.
        event: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A field has an invalid value.
    #[error("the body of the GitLab {event} has a {source}")]
    Field {
        /// The event, as GitLab names it.
        event: String,
        /// What is wrong.
        source: Invalid,
    },
}

/// The part of a payload that names the event.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    object_kind: Option<String>,
    #[serde(default)]
    event_name: Option<String>,
}

/// The part of a push's payload that is used.
#[derive(Deserialize)]
struct PushPayload {
    before: String,
    after: String,
    #[serde(rename = "ref")]
    ref_name: String,
    #[serde(default)]
    user_username: Option<String>,
    #[serde(default)]
    user_name: Option<String>,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
    #[serde(default)]
    git_http_url: Option<String>,
    #[serde(default)]
    git_ssh_url: Option<String>,
}

/// Parses a request of GitLab. `header` returns the value of a header by its name in lower case.
///
/// # Errors
/// Returns an [`Error`] if the request is not a webhook of GitLab, or malformed.
pub fn read<'a>(
    source: &SourceName,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
) -> Result<Report, Error> {
    let event = header("x-gitlab-event").ok_or(Error::NotGitLab)?.to_owned();
    let json = |source| Error::Json {
        event: event.clone(),
        source,
    };
    let kind: Kind = serde_json::from_slice(body).map_err(json)?;
    // System hooks have event_name, and only some of them have object_kind.
    let kind = kind.object_kind.or(kind.event_name).unwrap_or_default();
    if !matches!(kind.as_str(), "push" | "tag_push") {
        return Ok(Report::NotForUs(format!("a {event} is not a push")));
    }
    let payload: PushPayload = serde_json::from_slice(body).map_err(json)?;
    let field = |source| Error::Field {
        event: event.clone(),
        source,
    };
    // Idempotency-Key is the same for all attempts of one delivery. GitLab before 17.4 sends only the other header.
    let delivery_id = header("idempotency-key").or_else(|| header("x-gitlab-event-uuid"));
    let delivery_id = match delivery_id {
        Some(text) => text.parse().map_err(field)?,
        None => DeliveryId::of_content(body),
    };
    let ref_name = payload.ref_name.parse().map_err(field)?;
    let project = payload.project;
    Ok(Report::Push(Push {
        push_id: PushId::new(source, &delivery_id, &ref_name),
        source: source.clone(),
        delivery_id,
        repository: project.path_with_namespace.parse().map_err(field)?,
        clone_urls: [project.git_http_url, project.git_ssh_url]
            .into_iter()
            .flatten()
            .filter(|url| url.len() <= MAX_URL_BYTES)
            .filter_map(|url| public_url(&url))
            .collect(),
        ref_name,
        before: ObjectId::parse_nullable(&payload.before).map_err(field)?,
        after: ObjectId::parse_nullable(&payload.after).map_err(field)?,
        pusher: [payload.user_username, payload.user_name]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty())
            .map(|name| plain(&name, MAX_PUSHER_CHARACTERS)),
        trigger: Trigger::Webhook,
        missed: None,
    }))
}
