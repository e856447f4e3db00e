//! Events of Gitea and Forgejo, as they send them.

use domain::push::Push;
use serde_json::{Value, json};

use super::payload::event;
use super::*;
use crate::push_hook::{ZEROS, sample};

fn read_as(headers: &[(&'static str, &str)], body: &str) -> Result<Report, Error> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    read(&"gitea".parse().unwrap(), &headers, body.as_bytes())
}

fn read_json(event: &str, body: &Value) -> Result<Report, Error> {
    let headers = [("x-gitea-event", event), ("x-gitea-delivery", "d1")];
    read_as(&headers, &body.to_string())
}

fn push(event: &str, payload: &Value) -> Push {
    read_json(event, payload).unwrap().only_push()
}

#[test]
fn a_push_of_a_branch_or_tag_is_read() {
    for name in ["refs/heads/feature/x", "refs/tags/v1"] {
        let (event, payload) = event(&sample(name));
        let push = push(event, &payload);
        assert_eq!(push.ref_name.as_str(), name);
        assert_eq!(push.delivery_id.as_str(), "d1");
        assert_eq!(push.before, None);
        assert_eq!(push.after.unwrap().as_str(), "a".repeat(40));
        assert_eq!(push.pusher.as_deref(), Some("a"));
    }
}

#[test]
fn the_deletion_of_a_branch_comes_as_an_event_of_its_own() {
    let mut hook = sample("refs/heads/tags/v1");
    hook.after = None;
    let (event, payload) = event(&hook);
    assert_eq!((event, &payload["ref"]), ("delete", &json!("tags/v1")));
    let push = push(event, &payload);
    assert_eq!(push.ref_name.as_str(), "refs/heads/tags/v1");
    assert_eq!((push.before, push.after), (None, None));
    assert_eq!(push.pusher.as_deref(), Some("a"));
}

#[test]
fn the_deletion_of_a_tag_is_a_push_and_its_other_event_is_not() {
    let mut hook = sample("refs/tags/v1");
    hook.before = Some("a".repeat(40));
    hook.after = None;
    let (event, payload) = event(&hook);
    assert_eq!((event, &payload["after"]), ("push", &json!(ZEROS)));
    assert_eq!(push(event, &payload).after, None);
    let report = read_json("delete", &deleted_payload(&hook)).unwrap();
    let reason = "a push event reports the delete of a tag too".to_owned();
    assert_eq!(report, Report::NotForUs(reason));
}

#[test]
fn other_events_are_not_for_us() {
    for name in ["refs/heads/main", "refs/tags/v1"] {
        let report = read_json("create", &created_payload(&sample(name))).unwrap();
        assert!(matches!(report, Report::NotForUs(_)), "{report:?}");
    }
    for event in ["pull_request", "repository", "release", "wiki"] {
        let report = read_json(event, &json!({})).unwrap();
        assert_eq!(report, Report::NotForUs(format!("a {event} is not a push")));
    }
}

#[test]
fn forgejo_is_read_by_its_own_headers_and_no_look_alike_is() {
    let payload = event(&sample("refs/heads/main")).1.to_string();
    let forgejo = [("x-forgejo-event", "push"), ("x-forgejo-delivery", "d2")];
    let push = read_as(&forgejo, &payload).unwrap().only_push();
    assert_eq!(push.delivery_id.as_str(), "d2");
    let error = read_as(&[("x-github-event", "push"), ("x-gogs-event", "push")], &payload).unwrap_err();
    assert!(error.to_string().contains("X-Gitea-Event"), "{error}");
}

#[test]
fn what_is_malformed_is_refused() {
    let (event, payload) = event(&sample("refs/heads/main"));
    for (pointer, value) in [
        ("/ref", json!("main")),
        ("/before", json!("")),
        ("/repository/full_name", json!("..")),
        ("/repository", Value::Null),
    ] {
        let mut payload = payload.clone();
        *payload.pointer_mut(pointer).unwrap() = value;
        assert!(read_json(event, &payload).is_err(), "{pointer}");
    }
    let mut hook = sample("refs/heads/main");
    hook.after = None;
    for name in ["", "..", "a b", "a..b"] {
        let mut payload = deleted_payload(&hook);
        payload["ref"] = json!(name);
        assert!(read_json("delete", &payload).is_err(), "{name}");
    }
    for body in ["", "[", &"[".repeat(100_000), "payload=%7B%7D"] {
        assert!(read_as(&[("x-gitea-event", "push")], body).is_err());
        assert!(read_as(&[("x-gitea-event", "delete")], body).is_err());
    }
}
