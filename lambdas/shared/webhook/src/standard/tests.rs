//! Signatures of Standard Webhooks, against the library of its authors.

use chrono::TimeDelta;
use domain::source::Provider;
use standardwebhooks::Webhook;

use super::*;
use crate::push_hook::sample;
use crate::{Request, WebhookSecret, deliver, gitlab};

/// Keys as GitLab makes them.
const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=";
const OLDER: &str = "whsec_b2xkZXIgb2xkZXIgb2xkZXIgb2xkZXIgb2xkZXIgb2w=";

/// A fixed time, so that what is too old does not depend on when a test runs.
fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_764_504_000, 0).unwrap()
}

fn source(provider: Provider, secret: &str, also_accepted: &[&str]) -> WebhookSecret {
    let json = serde_json::json!({"provider": provider, "secret": secret, "also_accepted": also_accepted});
    serde_json::from_value(json).unwrap()
}

/// Returns a request that the library has signed.
fn signed(key: &str, id: &str, sent: DateTime<Utc>, body: &str) -> Request {
    let signature = Webhook::new(key)
        .unwrap()
        .sign(id, sent.timestamp(), body.as_bytes())
        .unwrap();
    let headers = [
        (ID_HEADER, id.to_owned()),
        (TIMESTAMP_HEADER, sent.timestamp().to_string()),
        (SIGNATURE_HEADER, signature),
    ];
    Request::json(body.as_bytes().to_vec(), headers)
}

fn check(source: &WebhookSecret, request: &Request) -> Result<Provider, Refusal> {
    source.check(&request.header_map(), &request.body, noon())
}

#[test]
fn what_the_library_signs_is_let_in_and_the_other_way_round() {
    let own = source(Provider::Generic, KEY, &[OLDER]);
    for key in [KEY, OLDER, KEY.trim_start_matches("whsec_")] {
        let request = signed(key, "msg_1", noon(), "{}");
        assert_eq!(check(&own, &request), Ok(Provider::Generic));
    }
    let ours = deliver(Provider::Generic, &sample("refs/heads/main"), KEY);
    Webhook::new(KEY)
        .unwrap()
        .verify(&ours.body, &ours.header_map())
        .unwrap();
}

#[test]
fn id_time_and_body_are_signed() {
    let own = source(Provider::Generic, KEY, &[]);
    let request = signed(KEY, "msg_1", noon(), "{}");
    let later = (noon() + TimeDelta::seconds(1)).timestamp().to_string();
    let mut other_body = request.clone();
    other_body.body = b"{ }".to_vec();
    for forged in [
        other_body,
        request.clone().with(ID_HEADER, "msg_2"),
        request.clone().with(TIMESTAMP_HEADER, later),
        signed(OLDER, "msg_1", noon(), "{}"),
    ] {
        assert_eq!(
            check(&own, &forged),
            Err(Refusal::WrongSignature(SIGNATURE_HEADER))
        );
    }
    // The parts are joined by dots, which may be in an id too.
    let joined = signed(KEY, "msg.1", noon(), "{}").with(ID_HEADER, "msg");
    assert!(check(&own, &joined).is_err());
}

#[test]
fn a_request_is_let_in_for_five_minutes() {
    let own = source(Provider::Generic, KEY, &[]);
    for (seconds, is_now) in [(0, true), (300, true), (301, false), (-300, true), (-301, false)] {
        let request = signed(KEY, "msg_1", noon() + TimeDelta::seconds(seconds), "{}");
        let expected = match is_now {
            true => Ok(()),
            false => Err(Refusal::NotNow(TIMESTAMP_HEADER)),
        };
        assert_eq!(
            own.check_headers(&request.header_map(), noon()),
            expected,
            "{seconds}"
        );
        assert_eq!(check(&own, &request).map(|_| ()), expected, "{seconds}");
    }
    let request = signed(KEY, "msg_1", noon(), "{}");
    for (odd, refusal) in [
        (i64::MIN.to_string(), Refusal::NotNow(TIMESTAMP_HEADER)),
        (i64::MAX.to_string(), Refusal::NotNow(TIMESTAMP_HEADER)),
        ("9".repeat(30), Refusal::MalformedTimestamp(TIMESTAMP_HEADER)),
        ("noon".to_owned(), Refusal::MalformedTimestamp(TIMESTAMP_HEADER)),
        (
            "1764504000.5".to_owned(),
            Refusal::MalformedTimestamp(TIMESTAMP_HEADER),
        ),
    ] {
        assert_eq!(
            check(&own, &request.clone().with(TIMESTAMP_HEADER, odd)),
            Err(refusal)
        );
    }
}

#[test]
fn one_of_several_signatures_is_enough_and_one_is_needed() {
    let own = source(Provider::Generic, KEY, &[]);
    let request = signed(KEY, "msg_1", noon(), "{}");
    let right = request.header_map()[SIGNATURE_HEADER]
        .to_str()
        .unwrap()
        .to_owned();
    let wrong = signed(OLDER, "msg_1", noon(), "{}");
    let wrong = wrong.header_map()[SIGNATURE_HEADER].to_str().unwrap().to_owned();
    for list in [format!("{wrong} {right}"), format!("v1a,zz v1,zz {right}")] {
        assert!(check(&own, &request.clone().with(SIGNATURE_HEADER, list)).is_ok());
    }
    let malformed = Err(Refusal::MalformedStandardSignature(SIGNATURE_HEADER));
    for list in [
        right.replace("v1,", "v2,"),
        right.replace("v1,", ""),
        right[..20].to_owned(),
        "v1,".to_owned(),
        "v1,AAAA".to_owned(),
    ] {
        let request = request.clone().with(SIGNATURE_HEADER, list);
        assert_eq!(
            own.check_headers(&request.header_map(), noon()),
            malformed.map(|_: Provider| ())
        );
        assert_eq!(check(&own, &request), malformed);
    }
    for header in [ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER] {
        for without in [request.clone().without(header), request.clone().with(header, "")] {
            assert_eq!(check(&own, &without), Err(Refusal::NoSignature(header)));
        }
    }
}

#[test]
fn a_secret_that_is_no_key_lets_nobody_in() {
    for secret in ["", "whsec_", "whsec_not Base64", "é"] {
        let own = source(Provider::Generic, secret, &[]);
        let request = signed(KEY, "msg_1", noon(), "{}");
        assert_eq!(check(&own, &request), Err(Refusal::MalformedKey), "{secret:?}");
    }
}

/// A webhook of GitLab has a secret token, or a signing token, or while one is replaced both.
#[test]
fn gitlab_s_signing_token_is_no_token_and_its_token_signs_nothing() {
    let body = sample("refs/heads/main").payload().to_string();
    let by_token = Request::json(
        body.clone().into_bytes(),
        [(gitlab::TOKEN_HEADER, "token".to_owned())],
    );
    let by_key = Request::json(
        body.clone().into_bytes(),
        [(gitlab::TOKEN_HEADER, KEY.to_owned())],
    );
    let by_signature = signed(KEY, "msg_1", noon(), &body);
    let by_both = by_signature.clone().with(gitlab::TOKEN_HEADER, "token");
    let by_neither = signed(OLDER, "msg_1", noon(), &body).with(gitlab::TOKEN_HEADER, "wrong");
    for (secret, also_accepted, let_in) in [
        (KEY, &[][..], [false, false, true, true, false]),
        ("token", &[], [true, false, false, true, false]),
        (KEY, &["token"], [true, false, true, true, false]),
        ("token", &[KEY], [true, false, true, true, false]),
    ] {
        let own = source(Provider::GitLab, secret, also_accepted);
        let requests = [&by_token, &by_key, &by_signature, &by_both, &by_neither];
        let checked = requests.map(|request| check(&own, request).is_ok());
        assert_eq!(checked, let_in, "{secret} {also_accepted:?}");
        let alone = requests.map(|request| own.check_headers(&request.header_map(), noon()).is_ok());
        assert_eq!(alone[0..2], let_in[0..2], "{secret} {also_accepted:?}");
    }
}

/// The other header with the id is not signed, so whoever has recorded a delivery could change it.
#[test]
fn the_id_of_a_signed_delivery_is_the_one_that_is_signed() {
    let request = deliver(Provider::GitLab, &sample("refs/heads/main"), KEY);
    let headers = request.header_map();
    assert_eq!(headers[ID_HEADER], headers["idempotency-key"]);
    let resent = request.clone().with("idempotency-key", "another");
    let push = |request: &Request| {
        let source = "gitlab".parse().unwrap();
        crate::read(Provider::GitLab, &source, &request.header_map(), &request.body)
            .unwrap()
            .only_push()
    };
    assert_eq!(push(&resent), push(&request));
}
