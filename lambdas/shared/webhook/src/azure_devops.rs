//! The event *Code pushed* of Azure DevOps
//! (<https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#code-pushed>). One may report several refs.

use domain::push::SourceName;
use domain::remote_url::RemoteUrl;
use domain::source::Provider;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::change::Change;
use crate::push_hook::{PushHook, or_zeros};
use crate::{Error, Event, Proof, Report, Request, Webhooks, prove};

/// Azure DevOps' name in messages.
const HOST: &str = "Azure DevOps";

/// The service hooks of Azure DevOps, and what it does not send
/// (<https://learn.microsoft.com/en-us/azure/devops/service-hooks/troubleshoot>).
pub(crate) const WEBHOOKS: Webhooks = Webhooks {
    proof: Proof::Password,
    read,
    deliver,
    setup: &[
        "In the project, open Project settings > Service hooks, create a subscription for Web Hooks, and choose Code pushed.",
        "Enter the URL, any Basic authentication username, and the secret as Basic authentication password.",
        "Leave Resource details to send at All.",
    ],
    not_sent: &[
        "a webhook again whose response was an error, unless it was 408, 502, 503 or 504, and after eight attempts not even then",
        "any webhook of a subscription that was disabled after such errors, until somebody enables it again",
    ],
};

/// What every event has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    id: String,
    event_type: String,
}

#[derive(Deserialize)]
struct Payload {
    resource: Resource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    ref_updates: Vec<RefUpdate>,
    repository: Repository,
    #[serde(default)]
    pushed_by: Option<Identity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefUpdate {
    name: String,
    old_object_id: String,
    new_object_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    remote_url: RemoteUrl,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Identity {
    #[serde(default)]
    unique_name: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
}

fn read(source: &SourceName, _: &HeaderMap, body: &[u8]) -> Result<Report, Error> {
    // The event has a name only in the body.
    let event = Event {
        host: HOST,
        name: "event",
    };
    let envelope: Envelope = event.payload(body)?;
    let event = Event {
        host: HOST,
        name: &domain::plain(&envelope.event_type, 40),
    };
    if event.name != "git.push" {
        return Ok(event.is_no_push());
    }
    // Without the resource details `All` it has no refs.
    let resource = event.payload::<Payload>(body)?.resource;
    let url = resource.repository.remote_url;
    let path = url.repository().map(String::from).unwrap_or_default();
    let pusher = resource.pushed_by.unwrap_or_default();
    let changes = resource.ref_updates.into_iter().map(|update| Change {
        repository: path.clone(),
        clone_urls: [Some(url.as_str().to_owned()), None],
        ref_name: update.name,
        before: Some(update.old_object_id),
        after: Some(update.new_object_id),
        pushers: [pusher.unique_name.clone(), pusher.display_name.clone()],
    });
    event.report(changes.collect(), source, Some(&envelope.id), body)
}

/// Returns the payload of a push of one or several refs of a repository.
#[must_use]
pub fn payload(hooks: &[&PushHook]) -> Value {
    let Some(hook) = hooks.first() else {
        return Value::Null;
    };
    let updates: Vec<_> = hooks.iter().map(|hook| update(hook)).collect();
    let unique_name = hook.username();
    json!({
        "subscriptionId": Uuid::new_v4(),
        "notificationId": 1,
        "id": Uuid::new_v4(),
        "eventType": "git.push",
        "publisherId": "tfs",
        "message": {"text": "pushed updates"},
        "resource": {
            "commits": hook.commits.iter().map(|commit| json!({"commitId": commit.id, "comment": commit.message})).collect::<Vec<_>>(),
            "refUpdates": updates,
            "repository": {
                "id": Uuid::new_v4(),
                "name": hook.repository,
                "defaultBranch": "refs/heads/main",
                "remoteUrl": hook.git_http_url,
            },
            "pushedBy": {"displayName": hook.user.name, "uniqueName": unique_name},
            "pushId": 1,
            "date": "1970-01-01T00:00:00Z",
        },
        "resourceVersion": "1.0",
        "createdDate": "1970-01-01T00:00:00Z",
    })
}

fn update(hook: &PushHook) -> Value {
    json!({
        "name": hook.ref_name,
        "oldObjectId": or_zeros(hook.before.as_deref()),
        "newObjectId": or_zeros(hook.after.as_deref()),
    })
}

fn deliver(hook: &PushHook, secret: &str) -> Request {
    request(&payload(&[hook]), secret)
}

/// Returns a new delivery of an event, with the secret as its password.
#[must_use]
pub fn request(event: &Value, secret: &str) -> Request {
    let body = event.to_string().into_bytes();
    let id = event["id"].as_str().unwrap_or_default();
    let headers = prove(Provider::AzureDevOps, secret, id, &body);
    Request::json(body, headers).with("content-type", "application/json; charset=utf-8")
}

#[cfg(test)]
mod tests;
