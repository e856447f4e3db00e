//! What would come of a webhook that somebody has captured. Nothing is sent and nothing is written.

use chrono::Utc;
use domain::policy::{self, Decision};
use domain::push::{Push, SourceName};
use domain::source::SourceSettings;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use webhook::{Report, WebhookSecret};

use crate::store::{Kind, Stored};
use crate::{Error, Store, list};

/// The most header fields of a captured request.
const MAX_HEADERS: usize = 100;

/// A captured request of a git host.
#[derive(Default)]
pub struct Captured {
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Whether a captured request proves that it is from the git host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "proof", rename_all = "lowercase")]
pub enum ProofFound {
    /// It does.
    Proven,
    /// It does not, and would be refused.
    Refused {
        /// Why.
        reason: String,
    },
    /// The source has no secret that it could be compared with.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// What would come of a captured request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Expected {
    /// It would be refused.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// There would be nothing to do.
    NoPush {
        /// Why.
        reason: String,
    },
    /// The push would be ignored.
    Ignored {
        /// The push.
        push: Push,
        /// Why.
        reason: String,
    },
    /// The zip of the ref that the push has deleted would be removed.
    Expired {
        /// The push.
        push: Push,
        /// The bucket of the zip.
        bucket: String,
        /// The key of the zip.
        key: String,
    },
    /// The push would fail.
    Failed {
        /// The push.
        push: Push,
        /// Why.
        reason: String,
    },
    /// The push would be delivered.
    Delivered {
        /// The push.
        push: Push,
        /// Where it would be fetched from.
        clone_url: String,
        /// The bucket of the zip.
        bucket: String,
        /// The key of the zip.
        key: String,
    },
}

impl Captured {
    /// Reads a captured request: with its head, as it is sent over HTTP, or the body alone.
    ///
    /// # Errors
    /// Returns [`Error::Captured`] if the head is malformed.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if !bytes.starts_with(b"POST ") {
            return Ok(Self {
                headers: HeaderMap::new(),
                body: bytes.to_vec(),
            });
        }
        let malformed = |reason: String| Error::Captured(reason);
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut fields);
        let length = match head.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Err(malformed("its head has no end".to_owned())),
            Err(error) => return Err(malformed(error.to_string())),
        };
        let mut captured = Self {
            headers: HeaderMap::new(),
            body: bytes[length..].to_vec(),
        };
        for field in head.headers {
            captured.add(field.name, field.value)?;
        }
        Ok(captured)
    }

    /// Adds a header field, such as `X-Gitlab-Event: Push Hook`.
    ///
    /// # Errors
    /// Returns [`Error::Captured`] if it is malformed. The message does not quote the value.
    pub fn with_header(mut self, field: &str) -> Result<Self, Error> {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| Error::Captured("a header field has no colon".to_owned()))?;
        self.add(name.trim(), value.trim().as_bytes())?;
        Ok(self)
    }

    fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let field = HeaderName::from_bytes(name.as_bytes()).ok();
        let field = field.zip(HeaderValue::from_bytes(value).ok());
        let (name, value) =
            field.ok_or_else(|| Error::Captured(format!("its header field {name:?} is malformed")))?;
        self.headers.append(name, value);
        Ok(())
    }
}

/// Says what would come of a captured request if the git host of this source sent it now.
///
/// # Errors
/// Returns [`Error::Missing`] if there is no such source, and [`Error::Settings`] if its settings cannot be used.
pub async fn expect(
    store: &Store,
    name: &SourceName,
    captured: &Captured,
) -> Result<(ProofFound, Vec<Expected>), Error> {
    let text = store.settings(name).await?;
    let text = text.ok_or_else(|| Error::Missing(name.to_string()))?;
    let settings = list::read_settings(&text).map_err(Error::Settings)?;
    let secret = match store.secret(name, Kind::Webhook).await? {
        Stored::Text(text) => serde_json::from_str::<WebhookSecret>(text.expose_secret()).ok(),
        Stored::Missing | Stored::Deleted => None,
    };
    let proof = match &secret {
        None => ProofFound::Unknown {
            reason: "the source has no webhook secret that can be read".to_owned(),
        },
        Some(secret) => match secret.check(&captured.headers, &captured.body, Utc::now()) {
            Ok(_) => ProofFound::Proven,
            Err(refusal) => ProofFound::Refused {
                reason: refusal.to_string(),
            },
        },
    };
    let provider = secret.map_or(settings.provider, |secret| secret.provider);
    let report = webhook::read(provider, name, &captured.headers, &captured.body);
    Ok((proof, expected(&settings, report)))
}

fn expected(settings: &SourceSettings, report: Result<Report, webhook::Error>) -> Vec<Expected> {
    match report {
        Ok(Report::Pushes(pushes)) => pushes
            .into_iter()
            .flat_map(|push| to_all(settings, push))
            .map(|push| decided(settings, push))
            .collect(),
        Ok(Report::NotForUs(reason)) => vec![Expected::NoPush { reason }],
        Err(error) => vec![Expected::Unreadable {
            reason: error.to_string(),
        }],
    }
}

/// Returns the push to the source's own destination, and those to the further ones.
fn to_all(settings: &SourceSettings, push: Push) -> Vec<Push> {
    let further = policy::further(settings, &push).into_iter().map(|further| Push {
        push_id: further.push_id,
        destination: Some(further.destination),
        ..push.clone()
    });
    let further: Vec<_> = further.collect();
    std::iter::once(push).chain(further).collect()
}

fn decided(settings: &SourceSettings, push: Push) -> Expected {
    match policy::decide(settings, &push) {
        Ok(Decision::Deliver(plan)) => Expected::Delivered {
            push,
            clone_url: plan.clone_url.to_string(),
            bucket: plan.destination.bucket,
            key: plan.destination.key.to_string(),
        },
        Ok(Decision::Expire(plan)) => Expected::Expired {
            push,
            bucket: plan.destination.bucket,
            key: plan.destination.key.to_string(),
        },
        Ok(Decision::Ignore(ignored)) => Expected::Ignored {
            push,
            reason: ignored.detail,
        },
        Err(error) => Expected::Failed {
            push,
            reason: aws::failure::chain(&error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_head_or_as_a_body_alone() {
        let sent = "POST /hooks/gitlab HTTP/1.1\r\nHost: example.com\r\nX-Gitlab-Event: Push Hook\r\n\r\n{\"a\":1}\n";
        for text in [sent.to_owned(), sent.replace('\r', "")] {
            let captured = Captured::read(text.as_bytes()).unwrap();
            assert_eq!(captured.headers["x-gitlab-event"], "Push Hook");
            assert_eq!(captured.body, b"{\"a\":1}\n");
        }
        let alone = Captured::read(b"{}").unwrap();
        let alone = alone.with_header("X-Gitlab-Token: t").unwrap();
        assert_eq!((alone.headers.len(), &*alone.body), (1, b"{}".as_slice()));
    }

    #[test]
    fn a_malformed_request_is_refused_and_its_values_are_not_quoted() {
        for text in [
            "POST /hooks HTTP/1.1\r\nHost: x\r\n",
            "POST nothing",
            "POST / HTTP/1.1\r\n: x\r\n\r\n",
        ] {
            assert!(Captured::read(text.as_bytes()).is_err(), "{text}");
        }
        for field in ["hunter2", "X-Token: hunter2\n"] {
            let error = Captured::default().with_header(field).err();
            assert!(error.is_none_or(|error| !error.to_string().contains("hunter2")));
        }
        assert!(Captured::default().with_header("hunter2").is_err());
    }
}
