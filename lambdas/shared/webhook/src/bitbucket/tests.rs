//! Events of Bitbucket Cloud, as it documents them.

use super::*;
use crate::push_hook::sample;

fn read_as(event: &str, body: &Value) -> Result<Report, Error> {
    let headers = request(event, String::new(), "")
        .with("x-request-uuid", "d1")
        .header_map();
    read(
        &"bitbucket".parse().unwrap(),
        &headers,
        body.to_string().as_bytes(),
    )
}

#[test]
fn each_change_of_a_hook_is_a_push() {
    let (created, mut updated, mut deleted) = (
        sample("refs/heads/feature/x"),
        sample("refs/heads/main"),
        sample("refs/tags/v1"),
    );
    updated.before = Some("c".repeat(40));
    (deleted.before, deleted.after) = (updated.before.clone(), None);
    let report = read_as("repo:push", &payload(&[&created, &updated, &deleted])).unwrap();
    let Report::Pushes(pushes) = report else {
        panic!("{report:?}");
    };
    let (old, new) = ("c".repeat(40), "b".repeat(40));
    let said: Vec<_> = pushes
        .iter()
        .map(|push| {
            let id = |id: &Option<domain::git::ObjectId>| id.as_ref().map(ToString::to_string);
            (push.ref_name.as_str(), id(&push.before), id(&push.after))
        })
        .collect();
    assert_eq!(
        said,
        [
            ("refs/heads/feature/x", None, Some(new.clone())),
            ("refs/heads/main", Some(old.clone()), Some(new)),
            ("refs/tags/v1", Some(old), None),
        ]
    );
    for push in &pushes {
        push.check_identity().unwrap();
        assert_eq!(push.delivery_id.as_str(), "d1");
        assert_eq!(push.pusher.as_deref(), Some("a"));
    }
}

#[test]
fn what_is_no_push_is_not_for_us() {
    for event in ["repo:fork", "pullrequest:created", "repo:commit_status_created"] {
        let report = read_as(event, &Value::Null).unwrap();
        assert_eq!(report, Report::NotForUs(format!("a {event} is not a push")));
    }
    let mut payload = payload(&[&sample("refs/heads/main")]);
    payload["push"]["changes"] = json!([{"new": null, "old": null}]);
    let report = read_as("repo:push", &payload).unwrap();
    assert_eq!(
        report,
        Report::NotForUs("the repo:push changes no ref".to_owned())
    );
}

#[test]
fn a_hook_without_a_url_has_none() {
    let mut payload = payload(&[&sample("refs/heads/main")]);
    for links in [json!({}), json!({"html": {"href": "no URL"}})] {
        payload["repository"]["links"] = links;
        assert_eq!(
            read_as("repo:push", &payload).unwrap().only_push().clone_urls,
            [""; 0]
        );
    }
}

#[test]
fn what_is_malformed_is_refused() {
    for (pointer, value) in [
        ("/push/changes/0/new/name", json!("a..b")),
        ("/push/changes/0/new/target/hash", json!("HEAD")),
        ("/push/changes/0/new/target", Value::Null),
        ("/push/changes", Value::Null),
        ("/repository/full_name", json!("a/../b")),
    ] {
        let mut payload = payload(&[&sample("refs/heads/main")]);
        *payload.pointer_mut(pointer).unwrap() = value;
        assert!(read_as("repo:push", &payload).is_err(), "{pointer}");
    }
    let error = read(&"bitbucket".parse().unwrap(), &HeaderMap::new(), b"{}").unwrap_err();
    assert!(error.to_string().contains("X-Event-Key"), "{error}");
}
