//! Events of Gogs, as it sends them.

use domain::push::Push;
use serde_json::{Value, json};

use super::payload::event;
use super::*;
use crate::push_hook::{PushHook, sample};

fn read_json(event: &str, payload: &Value) -> Result<Report, Error> {
    let headers: HeaderMap = [("x-gogs-event", event), ("x-gogs-delivery", "d1")]
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    read(&"gogs".parse().unwrap(), &headers, payload.to_string().as_bytes())
}

fn push(hook: &PushHook) -> (&'static str, Push) {
    let (event, payload) = event(hook);
    (event, read_json(event, &payload).unwrap().only_push())
}

#[test]
fn a_branch_comes_as_a_push_and_a_tag_as_created() {
    for (name, expected) in [
        ("refs/heads/feature/x", "push"),
        ("refs/tags/feature/x", "create"),
    ] {
        let (event, push) = push(&sample(name));
        assert_eq!((event, push.ref_name.as_str()), (expected, name));
        assert_eq!(push.after.unwrap().as_str(), "a".repeat(40));
        assert_eq!(push.delivery_id.as_str(), "d1");
    }
}

#[test]
fn a_deletion_is_an_event_of_its_own() {
    for name in ["refs/heads/main", "refs/tags/v1"] {
        let mut hook = sample(name);
        hook.after = None;
        let (event, push) = push(&hook);
        assert_eq!((event, push.ref_name.as_str()), ("delete", name));
        assert_eq!(push.after, None);
    }
}

#[test]
fn a_branch_that_is_created_is_not_reported_twice() {
    let payload = crate::gitea::created_payload(&sample("refs/heads/main"));
    let report = read_json("create", &payload).unwrap();
    let reason = "a push event reports the create of a branch too".to_owned();
    assert_eq!(report, Report::NotForUs(reason));
}

#[test]
fn a_tag_that_was_created_without_an_object_is_malformed() {
    let (event, mut payload) = event(&sample("refs/tags/v1"));
    for sha in [Value::Null, json!(""), json!("HEAD")] {
        payload["sha"] = sha;
        let error = read_json(event, &payload).unwrap_err().to_string();
        assert!(error.contains("Gogs create"), "{error}");
    }
}
