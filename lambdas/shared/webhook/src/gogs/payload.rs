//! Builds requests as Gogs sends them.

use domain::source::Provider;
use serde_json::Value;
use uuid::Uuid;

use crate::gitea::{created_payload, deleted_payload, push_payload};
use crate::push_hook::{PushHook, or_zeros};
use crate::{Request, prove};

/// Returns the event by which Gogs reports a push, and its payload.
pub(super) fn event(hook: &PushHook) -> (&'static str, Value) {
    match (&hook.after, hook.is_tag()) {
        (None, _) => ("delete", deleted_payload(hook)),
        (Some(_), true) => ("create", created_payload(hook)),
        (Some(_), false) => ("push", push_payload(hook, or_zeros(hook.before.as_deref()))),
    }
}

/// Returns the delivery of a push.
pub(super) fn deliver(hook: &PushHook, secret: &str) -> Request {
    let id = Uuid::new_v4().to_string();
    let (event, payload) = event(hook);
    let body = payload.to_string().into_bytes();
    let mut headers = prove(Provider::Gogs, secret, &id, &body);
    headers.extend([
        ("x-github-delivery", id.clone()),
        ("x-github-event", event.to_owned()),
        ("x-gogs-delivery", id),
        ("x-gogs-event", event.to_owned()),
    ]);
    Request::json(body, headers)
}
