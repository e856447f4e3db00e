//! What proves that a request is from the git host: a secret in a header, or a signature over the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

use crate::mac::hmac;
use crate::refusal::Refusal;
use crate::standard::{self, Signed};
use crate::{is_form, text};

/// What proves that a request is from a kind of git host.
#[derive(Debug)]
pub enum Proof {
    /// The secret itself in plain text, or if it is a key of Standard Webhooks (`whsec_...`) a signature by that.
    /// Neither is taken for the other.
    TokenOrStandard {
        /// The header of the token.
        header: &'static str,
    },
    /// The HMAC-SHA256 of the body by the secret, in lower-case hexadecimal digits.
    Signature {
        /// The headers that a host of this kind may send it in. The first one that is there counts.
        headers: &'static [&'static str],
        /// What stands before the digits.
        prefix: &'static str,
        /// Whether it is that of the body too if the webhook's content type is a form, and not of the payload in it.
        signs_forms: bool,
    },
    /// The secret as the password of [HTTP's basic authentication](https://www.rfc-editor.org/rfc/rfc7617), with any
    /// user.
    Password,
    /// A signature of Standard Webhooks, of which the secret is the key.
    Standard,
    /// Nothing: such a host calls no webhook.
    NoWebhook,
}

/// The header of a signature by SHA-1.
const SHA1_HEADER: &str = "x-hub-signature";

/// The header of a password.
const AUTHORIZATION_HEADER: &str = "authorization";

impl Proof {
    /// Returns the first header that may have the proof, or `None` if there is none.
    #[must_use]
    pub fn header(&self) -> Option<&'static str> {
        match self {
            Self::TokenOrStandard { header } => Some(header),
            Self::Signature { headers, .. } => Some(headers[0]),
            Self::Password => Some(AUTHORIZATION_HEADER),
            Self::Standard => Some(standard::SIGNATURE_HEADER),
            Self::NoWebhook => None,
        }
    }

    /// Checks a request. Without a `body` it checks what the headers alone can tell: a token or password, or that there
    /// is a signature that can be one, sent within five minutes of `now` if the host signs the time.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        body: Option<&[u8]>,
        secrets: &[&SecretString],
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        match self {
            Self::TokenOrStandard { header } => {
                let (keys, tokens): (Vec<_>, Vec<_>) = secrets
                    .iter()
                    .copied()
                    .partition(|secret| standard::is_key(secret));
                let is_signed = headers.contains_key(standard::SIGNATURE_HEADER);
                if !keys.is_empty() && (is_signed || tokens.is_empty()) {
                    return check_standard(headers, body, &keys, now);
                }
                let token = headers.get(*header).ok_or(Refusal::NoToken(header))?;
                let is_right = is_one_of(&tokens, token.as_bytes());
                is_right.then_some(()).ok_or(Refusal::WrongToken(header))
            }
            Self::Signature {
                headers: names,
                prefix,
                signs_forms,
            } => {
                let (header, signature) = signature(headers, names, prefix)?;
                match body {
                    Some(body) if !is_signed(&signature, body, secrets) => {
                        Err(match !signs_forms && is_form(headers) {
                            true => Refusal::UnsignedForm(header),
                            false => Refusal::WrongSignature(header),
                        })
                    }
                    _ => Ok(()),
                }
            }
            Self::Password => {
                let password = password(headers).ok_or(Refusal::NoPassword)?;
                let is_right = is_one_of(secrets, password.expose_secret().as_bytes());
                is_right.then_some(()).ok_or(Refusal::WrongPassword)
            }
            Self::Standard => check_standard(headers, body, secrets, now),
            Self::NoWebhook => Err(Refusal::NoWebhook),
        }
    }

    /// Returns the headers by which a host proves with `secret` that it sends `body` as the delivery `id`.
    pub(crate) fn headers(&self, secret: &str, id: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let standard = || standard::headers(secret, id, Utc::now(), body).into();
        match self {
            Self::TokenOrStandard { .. } if standard::is_key(&secret.into()) => standard(),
            Self::TokenOrStandard { header } => vec![(header, secret.to_owned())],
            Self::Signature { headers, prefix, .. } => {
                let digits = hex::encode(hmac(secret.as_bytes(), &[body]));
                vec![(headers[0], format!("{prefix}{digits}"))]
            }
            Self::Password => {
                let pair = STANDARD.encode(format!("push-code:{secret}"));
                vec![(AUTHORIZATION_HEADER, format!("Basic {pair}"))]
            }
            Self::Standard => standard(),
            Self::NoWebhook => Vec::new(),
        }
    }
}

fn check_standard(
    headers: &HeaderMap,
    body: Option<&[u8]>,
    keys: &[&SecretString],
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let signed = Signed::read(headers, now)?;
    match body {
        Some(body) => signed.check(body, keys),
        None => Ok(()),
    }
}

/// Returns the first of these headers that is there, and the signature in it.
fn signature(
    given: &HeaderMap,
    names: &'static [&'static str],
    prefix: &str,
) -> Result<(&'static str, [u8; 32]), Refusal> {
    let Some(header) = names.iter().find(|header| given.contains_key(**header)) else {
        return Err(match given.contains_key(SHA1_HEADER) {
            true => Refusal::Sha1Alone(names[0]),
            false => Refusal::NoSignature(names[0]),
        });
    };
    let digits = text(given, header).and_then(|value| value.strip_prefix(prefix));
    let signature = digits.and_then(digest);
    Ok((header, signature.ok_or(Refusal::MalformedSignature(header))?))
}

/// Parses a SHA-256. Hosts write it in lower case, and what is written otherwise is not from them.
fn digest(digits: &str) -> Option<[u8; 32]> {
    if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).ok()?;
    Some(digest)
}

/// Returns the password of a basic authentication.
fn password(headers: &HeaderMap) -> Option<SecretString> {
    let (scheme, pair) = text(headers, AUTHORIZATION_HEADER)?.split_once(' ')?;
    let pair = STANDARD.decode(pair.trim()).ok()?;
    let pair = SecretString::from(String::from_utf8(pair).ok()?);
    let (_user, password) = pair.expose_secret().split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| password.into())
}

/// Compares the text with every secret to its end, so that the time reveals nothing about the secrets except their
/// lengths.
fn is_one_of(secrets: &[&SecretString], text: &[u8]) -> bool {
    any(secrets, |secret| secret.as_bytes().ct_eq(text))
}

/// Compares the signature with that by every secret to its end.
fn is_signed(signature: &[u8; 32], body: &[u8], secrets: &[&SecretString]) -> bool {
    any(secrets, |secret| {
        hmac(secret.as_bytes(), &[body]).ct_eq(signature)
    })
}

/// Returns whether one of the secrets is right, after having tried all of them.
fn any(secrets: &[&SecretString], is_right: impl Fn(&str) -> Choice) -> bool {
    let mut any = Choice::from(0);
    for secret in secrets {
        let secret = secret.expose_secret();
        // Everyone knows an empty secret.
        if !secret.is_empty() {
            any |= is_right(secret);
        }
    }
    any.into()
}
