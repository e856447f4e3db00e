//! What the line of an event says.

use super::*;

fn event(recorded: &serde_json::Value) -> WatchedEvent {
    let mut json = serde_json::json!({
        "version": 2, "schema": 1, "recorded_at": "2026-01-02T03:04:05.678Z",
    });
    json.as_object_mut()
        .unwrap()
        .extend(recorded.as_object().unwrap().clone());
    WatchedEvent {
        push_id: "87513765-0933-52f9-8a01-27081a19c5c8".parse().unwrap(),
        source: "gitlab".parse().unwrap(),
        repository: "group/project".parse().unwrap(),
        // Right-to-left text would turn what is after it.
        ref_name: "refs/heads/main\u{202e}".parse().unwrap(),
        recorded: serde_json::from_value(json).unwrap(),
    }
}

const BEGINS: &str = "2026-01-02T03:04:05.678Z  87513765  group/project heads/main\u{fffd}  ";

fn what(recorded: &serde_json::Value) -> String {
    let line = event(recorded).line();
    let rest = line.strip_prefix(BEGINS);
    rest.unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn a_failed_attempt_says_what_happened_and_what_to_do() {
    let failed = serde_json::json!({"attempt": {"milliseconds": 1234, "memory_mib": 256}, "type": "AttemptFailed", "data": {
        "stage": "Fetch", "attempt": 0, "execution_id": "x", "error": "CommitNotFound",
        "cause": "it is\ngone\u{1b}[2J."}});
    let remedy = domain::error::remedy("CommitNotFound");
    assert_eq!(
        what(&failed),
        format!(
            "AttemptFailed     Fetch, attempt 1: CommitNotFound, in 1.234 s: it is gone\u{fffd}[2J. {remedy}"
        )
    );
    assert_eq!(event(&failed).remedy(), Some(remedy));
}

#[test]
fn a_failed_push_has_its_remedy_once() {
    let remedy = domain::error::remedy("CommitNotFound");
    let failed = serde_json::json!({"type": "PushFailed", "data": {
        "execution_id": "x", "stage": "Fetch", "error": "CommitNotFound", "cause": format!("it is gone. {remedy}")}});
    assert_eq!(
        what(&failed),
        format!("PushFailed        Fetch: CommitNotFound: it is gone. {remedy}")
    );
}

#[test]
fn a_superseded_push_names_the_newer_one_and_a_stage_its_time() {
    let superseded = serde_json::json!({"type": "PushSuperseded", "data": {
        "by": "0190a1b2-0000-5000-8000-000000000000", "because": "it was there"}});
    assert_eq!(
        what(&superseded),
        "PushSuperseded    by 0190a1b2-0000-5000-8000-000000000000: it was there"
    );
    let delivered = serde_json::json!({
        "attempt": {"milliseconds": 1234, "memory_mib": 256},
        "type": "PushDelivered", "data": {"bucket": "zips", "key": "a/b.zip", "version_id": "v1", "etag": "e"}});
    assert_eq!(
        what(&delivered),
        "PushDelivered     s3://zips/a/b.zip, version v1, in 1.234 s"
    );
    assert_eq!(event(&delivered).remedy(), None);
}
