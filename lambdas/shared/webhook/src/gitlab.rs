//! GitLab's push and tag-push hooks
//! (<https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>), also as system hooks
//! (<https://docs.gitlab.com/administration/system_hooks/>).

mod payload;

use domain::push::SourceName;
use http::HeaderMap;
use serde::Deserialize;

pub use crate::push_hook::{Commit, Person, PushHook};
pub use payload::{Delivery, USER_AGENT};

use payload::deliver;

use crate::change::Change;
use crate::{Error, Event, Proof, Report, Webhooks, standard, text};

/// The header in which GitLab sends the webhook's token in plain text, in lower case as API Gateway passes header names
/// on.
pub const TOKEN_HEADER: &str = "x-gitlab-token";

/// GitLab's name in messages.
const HOST: &str = "GitLab";

/// The webhooks of GitLab, and what it does not send
/// (<https://docs.gitlab.com/user/project/integrations/webhooks/#auto-disabled-webhooks>).
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::TokenOrStandard { header: TOKEN_HEADER },
    read,
    deliver,
    setup: &[
        "In the project or the group, open Settings > Webhooks and choose Add new webhook.",
        "Enter the URL, and the secret as Secret token.",
        "Tick Push events and Tag push events, and nothing else.",
    ],
    not_sent: &[
        "a webhook for a push of more than three branches or tags (`push_event_hooks_limit`), such as `git push --tags`",
        "a webhook again whose response was an error, or that was not answered",
        "any webhook for a while after four of those in a row, and none after 40 of them until somebody enables it again",
    ],
};

/// The part of a system hook that names the event.
#[derive(Deserialize)]
struct SystemHook {
    #[serde(default)]
    event_name: Option<String>,
}

impl SystemHook {
    fn is_push(&self) -> bool {
        matches!(self.event_name.as_deref(), Some("push" | "tag_push"))
    }
}

/// The part of a push's payload that is used. A webhook whose payload template lacks one of it is refused by its name.
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

fn read(source: &SourceName, headers: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    let event = Event::of(HOST, headers, &["X-Gitlab-Event"])?;
    let is_push = match event.name {
        "Push Hook" | "Tag Push Hook" => true,
        "System Hook" => event.payload::<SystemHook>(body)?.is_push(),
        _ => false,
    };
    if !is_push {
        return Ok(event.is_no_push());
    }
    let payload: PushPayload = event.payload(body)?;
    let change = Change {
        repository: payload.project.path_with_namespace,
        clone_urls: [payload.project.git_http_url, payload.project.git_ssh_url],
        ref_name: payload.ref_name,
        before: Some(payload.before),
        after: Some(payload.after),
        pushers: [payload.user_username, payload.user_name],
    };
    // These are equal and stay the same for all attempts of one delivery, but only webhook-id is signed, if there is a
    // signing token. GitLab before 17.4 sends only the last one.
    let names = [standard::ID_HEADER, "idempotency-key", "x-gitlab-event-uuid"];
    let delivery = names.iter().find_map(|name| text(headers, name));
    event.report(vec![change], source, delivery, body)
}
