//! The events of AWS CodeCommit on EventBridge
//! (<https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html>). CodeCommit calls no webhook: a
//! rule sends the event to the function `accept`, and whoever may do that is known to AWS.

use domain::push::SourceName;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::change::Change;
use crate::push_hook::PushHook;
use crate::{Error, Event, Proof, Report, Request, Webhooks};

/// CodeCommit's name in messages.
const HOST: &str = "CodeCommit";

/// The events of CodeCommit, and what is not sent
/// (<https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-codecommit.html>).
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::NoWebhook,
    read,
    deliver,
    setup: &[
        "There is no webhook: deploy the stack with the parameter CodeCommit=on.",
        "Add the rule of EventBridge of push-code docs guides/git-hosts#codecommit, whose name begins with the stack's and -source-.",
    ],
    not_sent: &["an event in rare cases, since CodeCommit sends them on a best-effort basis"],
};

/// The part of an event that is used. It has no URL: the repository is on the host of the source's settings.
#[derive(Deserialize)]
struct RepositoryEvent {
    id: String,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event: String,
    repository_name: String,
    #[serde(default)]
    reference_full_name: Option<String>,
    #[serde(default)]
    commit_id: Option<String>,
    #[serde(default)]
    old_commit_id: Option<String>,
    #[serde(default)]
    caller_user_arn: Option<String>,
}

fn read(source: &SourceName, _: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    let event = Event {
        host: HOST,
        name: "CodeCommit Repository State Change",
    };
    let RepositoryEvent { id, detail } = event.payload(body)?;
    let event = Event {
        host: HOST,
        name: &domain::plain(&detail.event, 40),
    };
    let after = match event.name {
        "referenceCreated" | "referenceUpdated" => {
            let missing = || event.json(serde::de::Error::missing_field("commitId"));
            Some(detail.commit_id.ok_or_else(missing)?)
        }
        "referenceDeleted" => None,
        _ => return Ok(event.is_no_push()),
    };
    let missing = || event.json(serde::de::Error::missing_field("referenceFullName"));
    let change = Change {
        ref_name: detail.reference_full_name.ok_or_else(missing)?,
        clone_urls: [None, None],
        repository: detail.repository_name,
        before: detail.old_commit_id,
        after,
        pushers: [detail.caller_user_arn, None],
    };
    event.report(vec![change], source, Some(&id), body)
}

/// Returns the event of a push.
#[must_use]
pub fn event(hook: &PushHook) -> Value {
    let name = &hook.repository;
    let short = hook.short_name();
    let mut detail = json!({
        "event": match (&hook.before, &hook.after) {
            (_, None) => "referenceDeleted",
            (None, _) => "referenceCreated",
            _ => "referenceUpdated",
        },
        "repositoryName": name,
        "repositoryId": Uuid::new_v4(),
        "referenceType": if hook.is_tag() { "tag" } else { "branch" },
        "referenceName": short,
        "referenceFullName": hook.ref_name,
        "callerUserArn": hook.username(),
    });
    for (name, id) in [("commitId", &hook.after), ("oldCommitId", &hook.before)] {
        if let Some(id) = id {
            detail[name] = json!(id);
        }
    }
    json!({
        "version": "0",
        "id": Uuid::new_v4(),
        "detail-type": "CodeCommit Repository State Change",
        "source": "aws.codecommit",
        "account": "123456789012",
        "time": "1970-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [format!("arn:aws:codecommit:us-east-1:123456789012:{name}")],
        "detail": detail,
    })
}

fn deliver(hook: &PushHook, _: &str) -> Request {
    Request {
        headers: Vec::new(),
        body: event(hook).to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests;
