//! The signatures of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>), which GitLab and
//! generic sources send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use subtle::{Choice, ConstantTimeEq};

use crate::mac::hmac;
use crate::refusal::Refusal;
use crate::text;

/// The header with the id of a delivery, which stays the same when it is sent again.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time at which it was sent, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// What a secret begins with, and the version of a signature by it.
const KEY_PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";

/// How far the time of a delivery may be from now. Whatever is older may be the recording of a genuine one.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// Returns whether a secret is a key of Standard Webhooks by its prefix.
pub fn is_key(secret: &SecretString) -> bool {
    secret.expose_secret().starts_with(KEY_PREFIX)
}

/// What the headers of a request say.
pub struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    signatures: Vec<[u8; 32]>,
}

impl<'a> Signed<'a> {
    /// Reads the headers, of which one must be a signature, sent within five minutes of `now`.
    pub fn read(headers: &'a HeaderMap, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let header = |name| text(headers, name).filter(|value| !value.is_empty());
        let list = header(SIGNATURE_HEADER).ok_or(Refusal::NoSignature(SIGNATURE_HEADER))?;
        let id = header(ID_HEADER).ok_or(Refusal::NoSignature(ID_HEADER))?;
        let timestamp = header(TIMESTAMP_HEADER).ok_or(Refusal::NoSignature(TIMESTAMP_HEADER))?;
        let sent = timestamp.parse::<i64>();
        let sent = sent.map_err(|_| Refusal::MalformedTimestamp(TIMESTAMP_HEADER))?;
        if now.timestamp().abs_diff(sent) > TOLERANCE_SECONDS {
            return Err(Refusal::NotNow(TIMESTAMP_HEADER));
        }
        // A host signs by several keys while one is replaced, and may know later versions of signatures.
        let of_version = list.split(' ').filter_map(|one| one.strip_prefix(VERSION));
        let signatures: Vec<[u8; 32]> = of_version
            .filter_map(|digits| STANDARD.decode(digits).ok()?.try_into().ok())
            .collect();
        if signatures.is_empty() {
            return Err(Refusal::MalformedStandardSignature(SIGNATURE_HEADER));
        }
        Ok(Self {
            id,
            timestamp,
            signatures,
        })
    }

    /// Checks that one of the keys has signed the request. Every key is compared with every signature.
    pub fn check(&self, body: &[u8], keys: &[&SecretString]) -> Result<(), Refusal> {
        let mut is_right = Choice::from(0);
        for key in keys {
            let code = sign(&bytes(key)?, self.id, self.timestamp, body);
            for signature in &self.signatures {
                is_right |= code.ct_eq(signature);
            }
        }
        let is_right: bool = is_right.into();
        is_right
            .then_some(())
            .ok_or(Refusal::WrongSignature(SIGNATURE_HEADER))
    }
}

/// Returns the bytes of a key. The prefix may be left out, as libraries of Standard Webhooks have it.
fn bytes(key: &SecretString) -> Result<SecretSlice<u8>, Refusal> {
    let text = key.expose_secret();
    let decoded = STANDARD.decode(text.strip_prefix(KEY_PREFIX).unwrap_or(text));
    match decoded {
        // Everyone knows an empty key.
        Ok(bytes) if !bytes.is_empty() => Ok(bytes.into()),
        _ => Err(Refusal::MalformedKey),
    }
}

fn sign(key: &SecretSlice<u8>, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    hmac(key.expose_secret(), &parts)
}

/// Returns the headers of a delivery that `key` has signed. Nothing signs by a malformed key.
pub fn headers(key: &str, id: &str, sent: DateTime<Utc>, body: &[u8]) -> [(&'static str, String); 3] {
    let timestamp = sent.timestamp().to_string();
    let signature = bytes(&key.into()).map(|key| STANDARD.encode(sign(&key, id, &timestamp, body)));
    [
        (ID_HEADER, id.to_owned()),
        (
            SIGNATURE_HEADER,
            format!("{VERSION}{}", signature.unwrap_or_default()),
        ),
        (TIMESTAMP_HEADER, timestamp),
    ]
}

#[cfg(test)]
mod tests;
