//! Events of Bitbucket Data Center, as it documents them.

use super::*;
use crate::MAX_CHANGES;
use crate::push_hook::sample;

fn read_as(event: &str, body: &Value) -> Result<Report, Error> {
    let headers = request(event, String::new(), "")
        .with("x-request-id", "d1")
        .header_map();
    read(
        &"bitbucket".parse().unwrap(),
        &headers,
        body.to_string().as_bytes(),
    )
}

#[test]
fn each_change_of_a_hook_is_a_push() {
    let (created, mut deleted) = (sample("refs/tags/v1"), sample("refs/heads/feature/x"));
    (deleted.before, deleted.after) = (Some("c".repeat(40)), None);
    let report = read_as("repo:refs_changed", &payload(&[&created, &deleted])).unwrap();
    let Report::Pushes(pushes) = report else {
        panic!("{report:?}");
    };
    assert_eq!(pushes[0].ref_name.as_str(), "refs/tags/v1");
    assert_eq!(pushes[0].before, None);
    assert_eq!(pushes[0].after.as_ref().unwrap().as_str(), "a".repeat(40));
    assert_eq!(pushes[1].ref_name.as_str(), "refs/heads/feature/x");
    assert_eq!(pushes[1].before.as_ref().unwrap().as_str(), "c".repeat(40));
    assert_eq!(pushes[1].after, None);
    assert!(pushes.iter().all(|push| push.delivery_id.as_str() == "d1"));
    assert_eq!(pushes.len(), 2);
}

/// The key of a project is in capitals in the payload, and in lower case in the URLs, by which a push is fetched.
#[test]
fn a_repository_is_known_by_the_path_of_its_url() {
    let mut hook = sample("refs/heads/main");
    hook.repository = "proj/some-repo".to_owned();
    hook.git_http_url = "https://bitbucket.example.com/scm/proj/some-repo.git".to_owned();
    hook.git_ssh_url = "ssh://git@bitbucket.example.com:7999/proj/some-repo.git".to_owned();
    let mut payload = payload(&[&hook]);
    assert_eq!(payload["repository"]["project"]["key"], "PROJ");
    let push = read_as("repo:refs_changed", &payload).unwrap().only_push();
    assert_eq!(push.repository.as_str(), "proj/some-repo");
    assert_eq!(push.clone_urls, [&*hook.git_http_url, &*hook.git_ssh_url]);
    for host in [
        "https://bitbucket.example.com/scm",
        "ssh://git@bitbucket.example.com:7999",
    ] {
        let hosts = [host.parse().unwrap()];
        domain::policy::choose_url(&hosts, &push.repository, &push.clone_urls).unwrap();
    }
    payload["repository"]["project"]["key"] = json!("~JO");
    payload["repository"]["links"] = json!({});
    let push = read_as("repo:refs_changed", &payload).unwrap().only_push();
    assert_eq!(push.repository.as_str(), "~jo/some-repo");
    assert_eq!(push.clone_urls, [""; 0]);
}

#[test]
fn what_is_no_push_is_not_for_us() {
    for event in ["diagnostics:ping", "repo:modified", "pr:opened"] {
        let report = read_as(event, &json!({"test": true})).unwrap();
        assert_eq!(report, Report::NotForUs(format!("a {event} is not a push")));
    }
}

#[test]
fn a_ref_that_is_there_twice_is_refused() {
    let (one, mut two) = (sample("refs/heads/main"), sample("refs/heads/main"));
    two.after = None;
    let error = read_as("repo:refs_changed", &payload(&[&one, &two])).unwrap_err();
    assert!(error.to_string().contains("refs/heads/main twice"), "{error}");
}

#[test]
fn as_many_refs_as_can_be_started_are_read_and_not_one_more() {
    for (count, is_read) in [(MAX_CHANGES, true), (MAX_CHANGES + 1, false)] {
        let hooks: Vec<_> = (0..count)
            .map(|number| sample(&format!("refs/heads/{number}")))
            .collect();
        let payload = payload(&hooks.iter().collect::<Vec<_>>());
        assert_eq!(read_as("repo:refs_changed", &payload).is_ok(), is_read, "{count}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    for (pointer, value) in [
        ("/changes/0/ref/id", json!("main")),
        ("/changes/0/toHash", Value::Null),
        ("/changes/0/fromHash", json!("")),
        ("/repository/slug", json!("..")),
        ("/repository", Value::Null),
    ] {
        let mut payload = payload(&[&sample("refs/heads/main")]);
        *payload.pointer_mut(pointer).unwrap() = value;
        assert!(read_as("repo:refs_changed", &payload).is_err(), "{pointer}");
    }
}
