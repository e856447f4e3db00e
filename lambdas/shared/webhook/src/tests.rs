//! What holds of every kind of git host: whom its sources let in, and that its payloads are read as they are built.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use domain::push::Push;
use domain::source::Provider;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::push_hook::sample;

fn source() -> SourceName {
    "source".parse().unwrap()
}

fn secret(json: &str) -> WebhookSecret {
    serde_json::from_str(json).unwrap()
}

/// Returns the secret of a source on a host of this kind.
fn secret_of(provider: Provider, secret: &str) -> WebhookSecret {
    let provider = serde_json::to_value(provider).unwrap();
    let json = serde_json::json!({"provider": provider, "secret": secret, "also_accepted": [key("older")]});
    self::secret(&json.to_string())
}

fn headers<V: AsRef<str>>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> HeaderMap {
    pairs
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.as_ref().parse().unwrap()))
        .collect()
}

/// Returns the headers and the body of a delivery by a host of this kind.
fn delivery(provider: Provider, hook: &PushHook, secret: &str) -> (HeaderMap, Vec<u8>) {
    let request = deliver(provider, hook, secret);
    (request.header_map(), request.body)
}

/// Returns the hosts that call webhooks, and those of them that prove that by a signature.
fn callers() -> impl Iterator<Item = Provider> {
    Provider::ALL
        .into_iter()
        .filter(|provider| proof(*provider).header().is_some())
}

fn signs(provider: Provider) -> bool {
    matches!(proof(provider), Proof::Signature { .. } | Proof::Standard)
}

/// Returns what a host of this kind says that the ref pointed to before.
fn before(provider: Provider, hook: &PushHook) -> Option<&str> {
    let is_said = match provider {
        Provider::Gitea => hook.is_tag() == hook.after.is_none(),
        Provider::Gogs => !hook.is_tag() && hook.after.is_some(),
        _ => true,
    };
    hook.before.as_deref().filter(|_| is_said)
}

/// Returns what a host of this kind says that the ref points to now.
fn after(provider: Provider, hook: &PushHook) -> Option<&str> {
    match provider {
        // It names the commit of an annotated tag.
        Provider::Bitbucket => hook.after.as_ref().and(hook.commit.as_deref()),
        _ => hook.after.as_deref(),
    }
}

/// Asserts that a report is a push whose id is that of its parts, and that survives being an execution's input.
fn assert_valid(push: &Push) {
    push.check_identity().unwrap();
    let input = serde_json::to_string(push).unwrap();
    assert_eq!(serde_json::from_str::<Push>(&input).unwrap(), *push);
}

/// Returns a secret that any kind of host may have: Base64, of which the host signs by the bytes or by the text.
fn key(text: &str) -> String {
    STANDARD.encode(text)
}

#[test]
fn a_delivery_is_let_in_by_each_secret_of_its_own_source_alone() {
    for provider in callers() {
        let hook = sample("refs/heads/main");
        for right in [key("new"), key("older")] {
            let (headers, body) = delivery(provider, &hook, &right);
            let own = secret_of(provider, &key("new"));
            own.check_headers(&headers, Utc::now()).unwrap();
            assert_eq!(own.check(&headers, &body, Utc::now()), Ok(provider));
            let other = secret_of(provider, &key("another source's"));
            let other = other.check(&headers, &body, Utc::now());
            assert_eq!(other.is_ok(), right == key("older"), "{provider:?}");
            // Gitea sends the signatures of other hosts too, but no signature is a token or a password, and none of
            // these is a signature.
            for another in Provider::ALL {
                if !(signs(another) && signs(provider)) && another != provider {
                    let own = secret_of(another, &right);
                    let headers_alone = own.check_headers(&headers, Utc::now());
                    assert!(headers_alone.is_err(), "{provider:?} to {another:?}");
                    let checked = own.check(&headers, &body, Utc::now());
                    assert!(checked.is_err(), "{provider:?} to {another:?}");
                }
            }
        }
        for wrong in ["", "bmV", "bmV3ZXI=", "BMV3", "bmV3b2xkZXI="] {
            let (headers, body) = delivery(provider, &hook, wrong);
            let checked = secret_of(provider, &key("new")).check(&headers, &body, Utc::now());
            assert!(checked.is_err(), "{provider:?} {wrong:?}");
        }
    }
}

/// Everyone knows an empty secret.
#[test]
fn an_empty_secret_lets_nobody_in() {
    for provider in callers() {
        let json = serde_json::json!({"provider": provider, "secret": key("new"), "also_accepted": [""]});
        let own = secret(&json.to_string());
        let (headers, body) = delivery(provider, &sample("refs/heads/main"), "");
        assert!(own.check(&headers, &body, Utc::now()).is_err(), "{provider:?}");
    }
}

/// A password is that of HTTP's basic authentication, and of no other scheme.
#[test]
fn a_password_is_read_from_a_basic_authentication_alone() {
    let own = secret_of(Provider::AzureDevOps, "pass:word");
    let pair = |text: &str| STANDARD.encode(text);
    for (value, is_let_in) in [
        (format!("Basic {}", pair("anyone:pass:word")), true),
        (format!("basic {}", pair(":pass:word")), true),
        (format!("Bearer {}", pair("anyone:pass:word")), false),
        (format!("Basic {}", pair("pass:word")), false),
        (format!("Basic{}", pair("anyone:pass:word")), false),
        ("Basic anyone:pass:word".to_owned(), false),
        ("pass:word".to_owned(), false),
        (String::new(), false),
    ] {
        let headers = headers([("authorization", &value)]);
        assert_eq!(
            own.check_headers(&headers, Utc::now()).is_ok(),
            is_let_in,
            "{value}"
        );
    }
}

/// An event of such a host comes by another way. A secret that names it lets nobody in.
#[test]
fn no_request_is_from_a_host_that_calls_no_webhook() {
    let own = secret_of(Provider::CodeCommit, "secret");
    for provider in Provider::ALL {
        let (headers, body) = delivery(provider, &sample("refs/heads/main"), "secret");
        assert_eq!(own.check_headers(&headers, Utc::now()), Err(Refusal::NoWebhook));
        assert_eq!(own.check(&headers, &body, Utc::now()), Err(Refusal::NoWebhook));
    }
}

#[test]
fn a_secret_without_a_provider_is_a_token_of_gitlab() {
    let secret = secret(r#"{"token":"new","also_accepted":["old"]}"#);
    assert_eq!(secret.provider, Provider::GitLab);
    for (offered, expected) in [("new", true), ("old", true), ("ne", false), ("newold", false)] {
        let headers = headers([(gitlab::TOKEN_HEADER, offered)]);
        assert_eq!(
            secret.check_headers(&headers, Utc::now()).is_ok(),
            expected,
            "{offered}"
        );
    }
}

#[test]
fn a_secret_is_not_guessed() {
    for malformed in [
        r#"{"also_accepted":[]}"#,
        r#"{"provider":"github","also_accepted":["s"]}"#,
        r#"{"provider":"svn","secret":"s"}"#,
        r#"{"secret":"s","token":"s"}"#,
        r#"{"secret":"s","more":1}"#,
    ] {
        assert!(
            serde_json::from_str::<WebhookSecret>(malformed).is_err(),
            "{malformed}"
        );
    }
}

#[test]
fn a_secret_and_a_refusal_show_nothing_that_is_secret() {
    let secret = secret_of(Provider::GitLab, "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let offered = headers([(gitlab::TOKEN_HEADER, "hunter3")]);
    let refusal = secret.check(&offered, b"", Utc::now()).unwrap_err();
    assert!(!format!("{refusal:?} {refusal}").contains("hunter"));
}

#[test]
fn a_signature_is_that_of_github_s_documentation() {
    let value = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let secret = secret_of(Provider::GitHub, "It's a Secret to Everybody");
    let headers = headers([(github::SIGNATURE_HEADER, value)]);
    assert_eq!(
        secret.check(&headers, b"Hello, World!", Utc::now()),
        Ok(Provider::GitHub)
    );
    assert!(secret.check(&headers, b"Hello, World", Utc::now()).is_err());
}

/// Some hosts sign the payload, and not the form that they send it in.
#[test]
fn a_form_that_its_host_does_not_sign_is_refused_with_what_to_choose() {
    for (provider, is_signed) in [
        (Provider::GitHub, true),
        (Provider::Gitea, false),
        (Provider::Gogs, false),
    ] {
        let hook = sample("refs/heads/main");
        let (mut headers, payload) = delivery(provider, &hook, "secret");
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert("content-type", form.parse().unwrap());
        let body = github::form(&serde_json::from_slice(&payload).unwrap());
        let refusal = secret_of(provider, "secret").check(&headers, body.as_bytes(), Utc::now());
        let reason = refusal.unwrap_err().to_string();
        assert_eq!(reason.contains("application/json"), !is_signed, "{reason}");
    }
}

#[test]
fn the_documentation_shows_the_secrets_as_they_are_read() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/reference/secrets.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, section) = text.split_once("**webhook secret**").unwrap();
    let shown: Vec<_> = section
        .split("```json\n")
        .skip(1)
        .take(2)
        .map(|example| secret(example.split_once("```").unwrap().0))
        .collect();
    let texts = [
        (
            Provider::GitLab,
            ["what new webhooks send", "what old ones still send"],
        ),
        (
            Provider::GitHub,
            ["what new webhooks sign with", "what old ones still sign with"],
        ),
    ];
    assert_eq!(shown.len(), texts.len());
    for (secret, (provider, texts)) in shown.iter().zip(texts) {
        for text in texts {
            let (headers, body) = delivery(provider, &sample("refs/heads/main"), text);
            assert_eq!(secret.check(&headers, &body, Utc::now()), Ok(provider), "{text}");
        }
    }
}

prop_compose! {
    /// Names of refs that git allows, also those that are easily handled wrongly.
    fn ref_name()(
        kind in prop::sample::select(vec!["heads", "tags"]),
        name in "[a-zA-Z0-9%äß推+&=;,'\"#]{1,20}(/[a-zA-Z0-9%äß推+&=;,'\"#]{1,20}){0,3}",
    ) -> String {
        format!("refs/{kind}/{name}")
    }
}

prop_compose! {
    fn push_hook()(
        ref_name in ref_name(),
        owner in "[a-z0-9][a-z0-9-]{0,20}",
        name in "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,20}[a-zA-Z0-9]",
        before in prop::option::of("[1-9a-f][0-9a-f]{39}"),
        after in prop::option::of("[1-9a-f][0-9a-f]{39}|[1-9a-f][0-9a-f]{63}"),
        message in ".*",
        user in "[a-zA-Z0-9]{1,20}",
    ) -> PushHook {
        let mut hook = sample(&ref_name);
        hook.git_http_url = format!("https://git.example.com:8443/{owner}/{name}.git");
        hook.git_ssh_url = format!("ssh://git@git.example.com:2222/{owner}/{name}.git");
        hook.repository = format!("{owner}/{name}");
        hook.commits[0].message = message;
        hook.user.email = format!("{user}@example.com");
        // What was deleted was there.
        hook.before = before.or_else(|| after.is_none().then(|| "c".repeat(40)));
        hook.after = after;
        hook
    }
}

/// Values of headers, which clients can fill with any bytes but line ends.
fn header_value() -> impl Strategy<Value = Option<HeaderValue>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    let event = prop::sample::select(vec![
        "push",
        "ping",
        "create",
        "delete",
        "Push Hook",
        "repo:push",
        "repo:refs_changed",
    ]);
    prop_oneof![
        bytes.prop_map(|bytes| HeaderValue::from_bytes(&bytes).ok()),
        event.prop_map(|event| Some(HeaderValue::from_static(event))),
    ]
}

/// The headers that any of the hosts sends.
const HEADERS: [&str; 18] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-event-key",
    "x-gitea-delivery",
    "x-gitea-event",
    "x-gitea-signature",
    "x-github-delivery",
    "x-github-event",
    "x-gitlab-event",
    "x-gogs-event",
    "x-gogs-signature",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-request-id",
];

proptest! {
    #[test]
    fn a_push_is_read_as_it_was_built(hook in push_hook()) {
        for provider in Provider::ALL {
            let (headers, body) = delivery(provider, &hook, "secret");
            let report = read(provider, &source(), &headers, &body).unwrap();
            let push = report.only_push();
            assert_valid(&push);
            let objects = [&push.before, &push.after].map(|object| object.as_ref().map(domain::git::ObjectId::as_str));
            assert_eq!(push.ref_name.as_str(), hook.ref_name);
            assert_eq!(objects, [before(provider, &hook), after(provider, &hook)]);
            assert_eq!(push.repository.as_str(), hook.repository);
            // Some hosts name one URL or none.
            assert!(push.clone_urls.first().is_none_or(|url| *url == hook.git_http_url));
            assert!(push.clone_urls.get(1).is_none_or(|url| url.contains(&hook.repository)));
            assert_eq!(push.pusher.as_deref(), hook.user.email.split('@').next());
        }
    }

    #[test]
    fn no_request_panics_and_every_push_that_is_read_is_valid(
        values in prop::collection::vec(header_value(), HEADERS.len()),
        mut body in prop::collection::vec(any::<u8>(), 0..200),
        hook in push_hook(),
        of_host in prop::option::of((0..Provider::ALL.len(), 0_usize..4_000, any::<u8>())),
    ) {
        // A payload of a host with one byte changed.
        if let Some((host, at, byte)) = of_host {
            body = delivery(Provider::ALL[host], &hook, "secret").1;
            if let Some(changed) = body.get_mut(at) {
                *changed = byte;
            }
        }
        let mut headers = HeaderMap::new();
        for (name, value) in HEADERS.into_iter().zip(values) {
            headers.extend(value.map(|value| (http::HeaderName::from_static(name), value)));
        }
        for provider in Provider::ALL {
            let secret = secret_of(provider, "secret");
            let _ = secret.check_headers(&headers, Utc::now());
            assert!(secret.check(&headers, &body, Utc::now()).is_err());
            if let Ok(Report::Pushes(pushes)) = read(provider, &source(), &headers, &body) {
                assert!(!pushes.is_empty());
                pushes.iter().for_each(assert_valid);
            }
        }
    }
}
