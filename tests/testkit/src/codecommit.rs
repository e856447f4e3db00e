//! CodeCommit on the loopback: git's own host, which wants the login of a repository signed by AWS Signature Version 4.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDateTime, TimeDelta, Utc};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::sign::Signer;

use crate::http::{Host, Response};
use crate::{PATH, Request};

/// The id of the access key that is known.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// Its secret.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// The region of the host.
pub const REGION: &str = "eu-west-1";
/// How far the time of a signature may be from the host's.
const TOLERANCE: TimeDelta = TimeDelta::minutes(15);

/// Serves the repositories below `root` to whoever signs with the access key, and has `session_token` if there is one.
/// The host's clock is ahead by `ahead`.
pub async fn serve(root: impl AsRef<Path>, session_token: Option<&'static str>, ahead: TimeDelta) -> Host {
    Host::guarded(root, move |request| match check(request, session_token, ahead) {
        None => Some(Response::unauthorized()),
        Some(true) => None,
        Some(false) => Some(Response::new(403, &[], "The signature is not right\n")),
    })
    .await
}

/// Returns whether the login of a request is right, or `None` if it has none.
fn check(request: &Request, session_token: Option<&str>, ahead: TimeDelta) -> Option<bool> {
    let given = request.headers.get("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(given).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    let (time, signature) = password.split_once('Z')?;
    let signed_at = NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S")
        .ok()?
        .and_utc();
    let in_time = (Utc::now() + ahead - signed_at).abs() < TOLERANCE;
    let user = session_token.map_or(ACCESS_KEY.to_owned(), |token| format!("{ACCESS_KEY}%{token}"));
    // The path of the repository is signed, and the host without its port.
    let wanted = request.target.starts_with(PATH) && signature == sign(time, PATH, "127.0.0.1");
    Some(in_time && username == user && wanted)
}

/// Signs as the documentation of Signature Version 4 says
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
fn sign(time: &str, path: &str, host: &str) -> String {
    let date = &time[..8];
    let request = hex(&sha256(
        format!("GIT\n{path}\n\nhost:{host}\n\nhost\n").as_bytes(),
    ));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{REGION}/codecommit/aws4_request\n{request}");
    let secret = format!("AWS4{SECRET_KEY}").into_bytes();
    let parts = [date, REGION, "codecommit", "aws4_request", &text];
    hex(&parts.iter().fold(secret, |key, part| hmac(&key, part)))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let key = PKey::hmac(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.sign_oneshot_to_vec(text.as_bytes()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
