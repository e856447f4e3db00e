//! Events of GitHub, as it documents them.

use domain::push::Push;
use serde_json::{Value, json};

use super::*;
use crate::push_hook::{ZEROS, sample};

/// Reads a body as an event.
fn read_as(event: &str, content_type: &str, body: &str) -> Result<Report, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", content_type),
        ("x-github-event", event),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    read(&"github".parse().unwrap(), &headers, body.as_bytes())
}

fn read_json(event: &str, body: &Value) -> Result<Report, Error> {
    read_as(event, "application/json", &body.to_string())
}

fn push(payload: &Value) -> Push {
    read_json("push", payload).unwrap().only_push()
}

#[test]
fn a_push_of_a_branch_is_read() {
    let mut payload = payload(&sample("refs/heads/feature/x"));
    payload["before"] = json!("6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    let push = push(&payload);
    assert_eq!(push.delivery_id.as_str(), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(push.ref_name.as_str(), "refs/heads/feature/x");
    assert_eq!(
        push.before.unwrap().as_str(),
        "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
    );
    assert_eq!(push.after.unwrap().as_str(), "a".repeat(40));
    assert_eq!(push.pusher.as_deref(), Some("a"));
}

#[test]
fn an_annotated_tag_is_its_object_and_not_the_commit() {
    let payload = payload(&sample("refs/tags/v1"));
    assert_eq!(payload["head_commit"]["id"], "b".repeat(40));
    let push = push(&payload);
    assert_eq!(push.after.unwrap().as_str(), "a".repeat(40));
    assert_eq!(push.before, None);
}

#[test]
fn a_deletion_has_no_after() {
    let mut payload = payload(&sample("refs/heads/main"));
    payload["after"] = json!(ZEROS);
    payload["deleted"] = json!(true);
    payload["head_commit"] = Value::Null;
    assert_eq!(push(&payload).after, None);
}

#[test]
fn a_pusher_without_a_name_is_the_sender() {
    let mut payload = payload(&sample("refs/heads/main"));
    payload["sender"]["login"] = json!("octocat");
    assert_eq!(push(&payload).pusher.as_deref(), Some("a"));
    payload["pusher"] = json!({"name": ""});
    assert_eq!(push(&payload).pusher.as_deref(), Some("octocat"));
    payload["pusher"] = Value::Null;
    payload["sender"] = Value::Null;
    assert_eq!(push(&payload).pusher, None);
}

#[test]
fn other_events_are_not_for_us_whatever_their_body() {
    for event in ["ping", "create", "delete", "pull_request", "check_run"] {
        let report = read_json(event, &json!({"zen": "Design for failure.", "hook_id": 1}));
        let Ok(Report::NotForUs(reason)) = report else {
            panic!("{report:?}");
        };
        assert!(event == "ping" || reason.contains(event), "{reason}");
    }
}

#[test]
fn a_form_is_read_as_its_payload() {
    let payload = payload(&sample("refs/heads/a&b=c+d%20推"));
    let text = form(&payload);
    for content_type in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded; charset=utf-8",
    ] {
        let report = read_as("push", content_type, &text).unwrap();
        assert_eq!(report.only_push(), push(&payload));
    }
    let json = read_as("push", "application/json", &text);
    assert!(matches!(json, Err(Error::Json { .. })), "{json:?}");
}

#[test]
fn a_form_without_its_one_payload_is_refused() {
    for body in [
        "",
        "payload",
        "payload=",
        "Payload={}",
        "payload={}&payload={}",
        "a=b",
    ] {
        let read = read_as("push", "application/x-www-form-urlencoded", body);
        assert!(
            matches!(read, Err(Error::NoPayload { .. } | Error::Json { .. })),
            "{read:?}"
        );
    }
}

#[test]
fn what_is_malformed_is_refused_with_the_name_of_what_is_wrong() {
    let changed = |pointer: &str, value: Value| {
        let mut payload = payload(&sample("refs/heads/main"));
        *payload.pointer_mut(pointer).unwrap() = value;
        read_json("push", &payload).unwrap_err().to_string()
    };
    for (pointer, value, reason) in [
        (
            "/ref",
            json!("../../x"),
            "the body of the GitHub push has a \"../../x\" is not a valid ref name",
        ),
        ("/after", json!("HEAD"), "object id"),
        ("/after", Value::Null, "the body is not the JSON of a GitHub push"),
        ("/repository/full_name", json!("a/../b"), "repository path"),
        ("/repository", json!([]), "not the JSON"),
    ] {
        let error = changed(pointer, value);
        assert!(error.contains(reason), "{error}");
    }
    let error = read(&"github".parse().unwrap(), &HeaderMap::new(), b"{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the header X-GitHub-Event is missing: this is not a webhook of GitHub"
    );
    let deep = "[".repeat(100_000);
    assert!(read_as("push", "application/json", &deep).is_err());
    let payload = payload(&sample("refs/heads/main")).to_string();
    let twice = payload.replacen('{', r#"{"after":"0000000000000000000000000000000000000000","#, 1);
    let error = read_as("push", "application/json", &twice).unwrap_err();
    assert!(error.to_string().contains("duplicate field `after`"), "{error}");
    let mut invalid = payload.into_bytes();
    invalid[10] = 0xff;
    let mut headers = HeaderMap::new();
    headers.insert("x-github-event", "push".parse().unwrap());
    assert!(read(&"github".parse().unwrap(), &headers, &invalid).is_err());
}
