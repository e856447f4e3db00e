//! Events of CodeCommit, as it documents them.

use super::*;
use crate::push_hook::sample;

fn read_json(event: &Value) -> Result<Report, Error> {
    read(
        &"codecommit".parse().unwrap(),
        &HeaderMap::new(),
        event.to_string().as_bytes(),
    )
}

#[test]
fn a_change_of_a_ref_is_a_push_of_the_repository_of_its_name() {
    for (before, after, name) in [
        (None, Some("a"), "referenceCreated"),
        (Some("b"), Some("a"), "referenceUpdated"),
        (Some("b"), None, "referenceDeleted"),
    ] {
        let mut hook = sample("refs/heads/feature/x");
        let id = |digit: Option<&str>| digit.map(|digit| digit.repeat(40));
        (hook.before, hook.after) = (id(before), id(after));
        let event = event(&hook);
        assert_eq!(event["detail"]["event"], name);
        let push = read_json(&event).unwrap().only_push();
        push.check_identity().unwrap();
        assert_eq!(push.delivery_id.as_str(), event["id"].as_str().unwrap());
        assert_eq!(push.ref_name.as_str(), "refs/heads/feature/x");
        assert_eq!(push.before.map(|id| id.to_string()), hook.before);
        assert_eq!(push.after.map(|id| id.to_string()), hook.after);
        assert_eq!(push.repository.as_str(), hook.repository);
        assert_eq!(push.clone_urls, [""; 0]);
    }
}

#[test]
fn what_is_no_push_is_not_for_us() {
    let mut event = event(&sample("refs/heads/main"));
    event["detail"] = json!({"event": "unreferencedMergeCommitCreated", "repositoryName": "project"});
    let reason = "a unreferencedMergeCommitCreated is not a push".to_owned();
    assert_eq!(read_json(&event).unwrap(), Report::NotForUs(reason));
}

#[test]
fn what_is_malformed_is_refused() {
    for (pointer, value) in [
        ("/detail/referenceFullName", Value::Null),
        ("/detail/referenceFullName", json!("main")),
        ("/detail/commitId", Value::Null),
        ("/detail/commitId", json!("HEAD")),
        ("/detail/repositoryName", json!("../other")),
        ("/detail", Value::Null),
    ] {
        let mut event = event(&sample("refs/heads/main"));
        *event.pointer_mut(pointer).unwrap() = value;
        assert!(read_json(&event).is_err(), "{pointer}");
    }
}
