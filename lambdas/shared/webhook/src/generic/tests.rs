//! Requests of hosts that are not known.

use serde_json::{Value, json};

use super::*;

fn read_json(body: &Value) -> Result<Report, Error> {
    let headers = [("webhook-id", "d1")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let headers = HeaderMap::from_iter(headers);
    read(&"generic".parse().unwrap(), &headers, body.to_string().as_bytes())
}

fn body() -> Value {
    json!({
        "repository": "group/project",
        "changes": [
            {"ref": "refs/heads/main", "before": "b".repeat(40), "after": "a".repeat(40)},
            {"ref": "refs/tags/v1", "before": null, "after": "a".repeat(40)},
            {"ref": "refs/tags/v0", "before": "0".repeat(40), "after": null},
        ],
    })
}

#[test]
fn each_change_is_a_push() {
    let report = read_json(&body()).unwrap();
    let Report::Pushes(pushes) = report else {
        panic!("{report:?}");
    };
    let there: Vec<_> = pushes
        .iter()
        .map(|push| {
            (
                push.ref_name.as_str(),
                push.before.is_some(),
                push.after.is_some(),
            )
        })
        .collect();
    assert_eq!(
        there,
        [
            ("refs/heads/main", true, true),
            ("refs/tags/v1", false, true),
            ("refs/tags/v0", false, false),
        ]
    );
    for push in &pushes {
        assert_eq!(push.delivery_id.as_str(), "d1");
        assert_eq!((&push.clone_urls, &push.pusher), (&Vec::new(), &None));
    }
}

/// A misspelt name would otherwise be taken for a deletion, or for nothing.
#[test]
fn what_is_missing_or_unknown_is_named() {
    for (pointer, name, value) in [
        ("/changes/0", "after", None),
        ("/changes/0", "before", None),
        ("/changes/0", "ref", None),
        ("/changes/0", "aftr", Some(json!("a"))),
        ("", "repository", None),
        ("", "changes", None),
        ("", "branch", Some(json!("main"))),
    ] {
        let mut body = body();
        let object = body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.remove(name);
        object.extend(value.map(|value| (name.to_owned(), value)));
        let error = read_json(&body).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_push_of_nothing_is_not_for_us() {
    let mut body = body();
    body["changes"] = json!([]);
    assert_eq!(
        read_json(&body).unwrap(),
        Report::NotForUs("the push changes no ref".to_owned())
    );
}

#[test]
fn the_documentation_shows_the_body_as_it_is_read() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/guides/git-hosts.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, section) = text.split_once("## Any other host").unwrap();
    let (_, example) = section.split_once("```json\n").unwrap();
    let shown: Value = serde_json::from_str(example.split_once("```").unwrap().0).unwrap();
    let push = read_json(&shown).unwrap().only_push();
    assert_eq!(push.clone_urls.len(), 1);
    assert!(push.before.is_some() && push.after.is_some() && push.pusher.is_some());
}
