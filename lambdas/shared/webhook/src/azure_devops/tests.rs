//! Events of Azure DevOps, as it documents them.

use super::*;
use crate::push_hook::{PushHook, sample};

fn read_json(body: &Value) -> Result<Report, Error> {
    read(
        &"azure".parse().unwrap(),
        &HeaderMap::new(),
        body.to_string().as_bytes(),
    )
}

fn hook(ref_name: &str) -> PushHook {
    let mut hook = sample(ref_name);
    hook.git_http_url = "https://fabrikam@dev.azure.com/fabrikam/My%20Project/_git/app".to_owned();
    hook
}

#[test]
fn each_update_of_a_hook_is_a_push_of_the_repository_at_its_url() {
    let (created, mut deleted) = (hook("refs/heads/feature/x"), hook("refs/tags/v1"));
    (deleted.before, deleted.after) = (Some("c".repeat(40)), None);
    let payload = payload(&[&created, &deleted]);
    let report = read_json(&payload).unwrap();
    let Report::Pushes(pushes) = report else {
        panic!("{report:?}");
    };
    assert_eq!(pushes.len(), 2);
    assert_eq!((&pushes[0].before, &pushes[1].after), (&None, &None));
    for push in &pushes {
        assert_eq!(push.delivery_id.as_str(), payload["id"].as_str().unwrap());
        assert_eq!(push.repository.as_str(), "fabrikam/My Project/_git/app");
        let hosts = ["https://dev.azure.com".parse().unwrap()];
        let url = domain::policy::choose_url(&hosts, &push.repository, &push.clone_urls).unwrap();
        assert_eq!(
            url.as_str(),
            "https://dev.azure.com/fabrikam/My%20Project/_git/app"
        );
    }
}

#[test]
fn what_is_no_push_is_not_for_us() {
    for event in ["git.pullrequest.created", "build.complete"] {
        let report = read_json(&json!({"id": "1", "eventType": event, "resource": {}})).unwrap();
        assert_eq!(report, Report::NotForUs(format!("a {event} is not a push")));
    }
}

#[test]
fn what_is_malformed_is_refused() {
    for (pointer, value) in [
        ("/resource/refUpdates/0/name", json!("main")),
        ("/resource/refUpdates/0/newObjectId", Value::Null),
        ("/resource/refUpdates", Value::Null),
        ("/resource/repository/remoteUrl", json!("file:///etc")),
        ("/resource/repository/remoteUrl", json!("https://dev.azure.com")),
        ("/id", json!("a b")),
        ("/id", Value::Null),
        ("/eventType", Value::Null),
    ] {
        let mut payload = payload(&[&hook("refs/heads/main")]);
        *payload.pointer_mut(pointer).unwrap() = value;
        assert!(read_json(&payload).is_err(), "{pointer}");
    }
    // The resource details `Minimal`.
    let mut minimal = payload(&[&hook("refs/heads/main")]);
    minimal["resource"] = json!({"pushId": 1, "url": "https://dev.azure.com"});
    let error = read_json(&minimal).unwrap_err().to_string();
    assert!(error.contains("missing field `refUpdates`"), "{error}");
}
