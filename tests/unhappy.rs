//! Callers that get nothing: each gets the status of the guide, a short JSON answer, and no execution.

use domain::source::Provider;
use serde_json::{Value, json};
use webhook::{Request, deliver, generic, github, gitlab, standard};

use crate::fixtures::repository::MAIN;
use crate::providers::{SECRET, send_to, source};

/// The most bytes of an answer.
const SHORT: usize = 500;

/// The names of the callers in the guide's table, and their statuses.
fn table() -> Vec<(String, u16)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guides/git-hosts.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, section) = text.split_once("## Callers that get nothing").unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2].parse().unwrap())
        })
        .collect()
}

/// Returns a request whose body is replaced before the host signs it.
fn github_with(body: impl Into<String>) -> Request {
    github::request("push", body.into(), SECRET)
}

#[tokio::test]
async fn each_unhappy_caller_gets_the_status_of_the_guide_and_starts_nothing() {
    let (on_github, _host) = source("unhappy-github", Provider::GitHub).await;
    let (on_gitlab, _host) = source("unhappy-gitlab", Provider::GitLab).await;
    let (on_generic, _host) = source("unhappy-generic", Provider::Generic).await;
    let hook = on_github.hook("group/project", MAIN, None, Some(&"a".repeat(40)));
    let genuine = deliver(Provider::GitHub, &hook, SECRET);
    let payload = github::payload(&hook).to_string();
    let mut not_text = genuine.body.clone();
    not_text[10] = 0xff;
    let not_text = signed_bytes(not_text);
    let twice = payload.replacen('{', r#"{"after":"0000000000000000000000000000000000000000","#, 1);
    let deep = format!(r#"{{"ref":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let large = format!("{payload}{}", " ".repeat(10 << 20));
    let recorded = generic::request(&[&hook], SECRET);
    let sent = chrono::Utc::now() - chrono::TimeDelta::seconds(301);
    let mut old = recorded.clone();
    for (name, value) in standard::headers(SECRET, "msg_1", sent, &recorded.body) {
        old = old.with(name, value);
    }
    let mut template = hook.payload();
    template.as_object_mut().unwrap().remove("project");
    let customised = gitlab_hook("Push Hook", &template);
    let issue = gitlab_hook("Issue Hook", &json!({"object_kind": "issue"}));
    let [github, gitlab, generic] =
        [&on_github, &on_gitlab, &on_generic].map(|scene| scene.webhook.url.clone());
    let nobody = github.replace("unhappy-github", "nobody");
    let cases: [(&str, &str, Request); 14] = [
        (
            "no signature",
            &github,
            genuine.clone().without(github::SIGNATURE_HEADER),
        ),
        (
            "a wrong signature",
            &github,
            deliver(Provider::GitHub, &hook, "wrong"),
        ),
        (
            "a wrong token",
            &gitlab,
            deliver(Provider::GitLab, &hook, "wrong"),
        ),
        ("a signature of more than five minutes ago", &generic, old),
        (
            "a recorded delivery under another id",
            &generic,
            recorded.with(standard::ID_HEADER, "another"),
        ),
        (
            "JSON that is sent as a form",
            &github,
            genuine
                .clone()
                .with("content-type", "application/x-www-form-urlencoded"),
        ),
        ("a body of 10 MB", &github, github_with(large)),
        ("JSON that is 10,000 deep", &github, github_with(deep)),
        ("a body that is not UTF-8", &github, not_text),
        ("a member that is there twice", &github, github_with(twice)),
        ("an unknown source", &nobody, genuine.clone()),
        (
            "a ping",
            &github,
            github::request("ping", "{}".to_owned(), SECRET),
        ),
        ("an event of another kind", &gitlab, issue),
        (
            "a push whose payload template lacks what is needed",
            &gitlab,
            customised,
        ),
    ];
    let table = table();
    let names: Vec<_> = table.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, cases.each_ref().map(|(name, ..)| *name));
    for ((name, url, request), (_, expected)) in cases.iter().zip(&table) {
        let (status, text) = send_to(url, request).await;
        assert_eq!(status, *expected, "{name}: {text}");
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        assert!(answer.is_object() && text.len() < SHORT, "{name}: {text}");
        assert!(!text.contains(SECRET), "{name}: {text}");
    }
    for scene in [&on_github, &on_gitlab, &on_generic] {
        assert_eq!(scene.executions_of("").await, [""; 0]);
    }
}

/// Returns GitHub's delivery of a body that may be no text.
fn signed_bytes(body: Vec<u8>) -> Request {
    let mut request = github::request("push", "{}".to_owned(), SECRET);
    for (name, value) in webhook::prove(Provider::GitHub, SECRET, "", &body) {
        request = request.with(name, value);
    }
    request.body = body;
    request
}

fn gitlab_hook(event: &str, payload: &Value) -> Request {
    let headers = gitlab::Delivery::fresh().headers(event, SECRET, payload);
    Request {
        headers,
        body: payload.to_string().into_bytes(),
    }
}
