//! The webhooks of git hosts, with one module for each kind of host: what proves that a request is from the host, how
//! it is read, and how such a request is built for tests and for the command line. This library neither serves HTTP nor
//! calls AWS, which the functions of the edge do.

pub mod azure_devops;
pub mod bitbucket;
pub mod bitbucket_data_center;
mod change;
pub mod codecommit;
pub mod generic;
pub mod gitea;
pub mod github;
pub mod gitlab;
pub mod gogs;
mod mac;
mod proof;
mod push_hook;
mod refusal;
mod request;
mod secret;
pub mod standard;

use std::collections::HashSet;

use http::HeaderMap;
use serde::de::DeserializeOwned;

pub use proof::Proof;
#[cfg(feature = "samples")]
pub use push_hook::sample;
pub use push_hook::{Commit, Person, PushHook};
pub use refusal::Refusal;
pub use request::Request;
pub use secret::WebhookSecret;

use change::Change;
use domain::Invalid;
use domain::git::RefName;
use domain::push::{Push, SourceName};
use domain::source::Provider;

/// What a request reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// The pushes of different refs of one repository, at least one.
    Pushes(Vec<Push>),
    /// An event that is not a push, with the reason why it is ignored.
    NotForUs(String),
}

#[cfg(test)]
impl Report {
    /// Returns the push of a request that reports one.
    fn only_push(self) -> Push {
        match self {
            Self::Pushes(mut pushes) if pushes.len() == 1 => pushes.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

/// The most refs that one request may report.
pub const MAX_CHANGES: usize = 1_000;

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The header that names the event is missing.
    #[error("the header {header} is missing: this is not a webhook of {host}")]
    NoEvent {
        /// The kind of git host.
        host: &'static str,
        /// The header's name.
        header: &'static str,
    },
    /// The body is a form without a payload.
    #[error("the body is a form without the one field payload that {host} sends")]
    NoPayload {
        /// The kind of git host.
        host: &'static str,
    },
    /// The body is not JSON, or lacks fields.
    #[error("the body is not the JSON of a {host} {event}: {source}")]
    Json {
        /// The kind of git host.
        host: &'static str,
        /// The event, as the host names it.
        event: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A field has an invalid value.
    #[error("the body of the {host} {event} has a {source}")]
    Field {
        /// The kind of git host.
        host: &'static str,
        /// The event, as the host names it.
        event: String,
        /// What is wrong.
        source: Invalid,
    },
    /// One ref is reported twice, so that it is not known what it points to now.
    #[error("the body of the {host} {event} has the ref {ref_name} twice")]
    Twice {
        /// The kind of git host.
        host: &'static str,
        /// The event, as the host names it.
        event: String,
        /// The ref.
        ref_name: RefName,
    },
    /// There are more refs than can be started before the git host stops waiting.
    #[error(
        "the body of the {host} {event} has {changes} refs, and at most {MAX_CHANGES} are accepted: the sweep delivers them"
    )]
    TooMany {
        /// The kind of git host.
        host: &'static str,
        /// The event, as the host names it.
        event: String,
        /// How many refs there are.
        changes: usize,
    },
}

/// An event that a request reports.
#[derive(Clone, Copy)]
struct Event<'a> {
    /// The kind of git host.
    host: &'static str,
    /// The event, as the host names it.
    name: &'a str,
}

impl<'a> Event<'a> {
    /// Returns the event that is named by the first of these headers that is present. If none is present, the error
    /// names the first header.
    fn of(host: &'static str, headers: &'a HeaderMap, names: &[&'static str]) -> Result<Self, Error> {
        let name = names.iter().find_map(|name| text(headers, name));
        let name = name.ok_or(Error::NoEvent {
            host,
            header: names[0],
        })?;
        Ok(Self { host, name })
    }

    /// Reads the payload.
    fn payload<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|source| self.json(source))
    }

    /// Returns the error that the payload lacks something.
    fn json(self, source: serde_json::Error) -> Error {
        Error::Json {
            host: self.host,
            event: self.name.to_owned(),
            source,
        }
    }

    /// Returns the report of the changes of a repository.
    fn report(
        self,
        changes: Vec<Change>,
        source: &SourceName,
        delivery: Option<&str>,
        body: &[u8],
    ) -> Result<Report, Error> {
        let Self { host, name } = self;
        if changes.is_empty() {
            return Ok(Report::NotForUs(format!("the {name} changes no ref")));
        }
        if changes.len() > MAX_CHANGES {
            return Err(Error::TooMany {
                host,
                event: name.to_owned(),
                changes: changes.len(),
            });
        }
        let pushes = changes
            .into_iter()
            .map(|change| change.push(source, delivery, body))
            .collect::<Result<Vec<_>, _>>();
        let pushes = pushes.map_err(|source| Error::Field {
            host,
            event: name.to_owned(),
            source,
        })?;
        let mut refs = HashSet::new();
        match pushes.iter().find(|push| !refs.insert(&push.ref_name)) {
            Some(twice) => Err(Error::Twice {
                host,
                event: name.to_owned(),
                ref_name: twice.ref_name.clone(),
            }),
            None => Ok(Report::Pushes(pushes)),
        }
    }

    /// Returns the report of an event that is no push.
    fn is_no_push(self) -> Report {
        Report::NotForUs(format!("a {} is not a push", self.name))
    }
}

/// The webhooks of one kind of git host.
struct Webhooks {
    /// What proves that a request is from the host.
    proof: Proof,
    /// Reads a request that was proven.
    read: fn(&SourceName, &HeaderMap, &[u8]) -> Result<Report, Error>,
    /// Builds the request by which such a host reports a push, proven by a secret of the source.
    deliver: fn(&PushHook, &str) -> Request,
    /// What a person does in the host's pages to add the webhook, step by step.
    setup: &'static [&'static str],
    /// What the host does not send, each the object of a sentence.
    not_sent: &'static [&'static str],
}

/// Returns the webhooks of a kind of git host.
fn webhooks(provider: Provider) -> &'static Webhooks {
    match provider {
        Provider::GitLab => &gitlab::WEBHOOKS,
        Provider::GitHub => &github::WEBHOOKS,
        Provider::Gitea => &gitea::WEBHOOKS,
        Provider::Gogs => &gogs::WEBHOOKS,
        Provider::Bitbucket => &bitbucket::WEBHOOKS,
        Provider::BitbucketDataCenter => &bitbucket_data_center::WEBHOOKS,
        Provider::AzureDevOps => &azure_devops::WEBHOOKS,
        Provider::CodeCommit => &codecommit::WEBHOOKS,
        Provider::Generic => &generic::WEBHOOKS,
    }
}

/// Returns what proves that a request is from a kind of git host.
#[must_use]
pub fn proof(provider: Provider) -> &'static Proof {
    &webhooks(provider).proof
}

/// Returns a new delivery by which a kind of git host reports a push, proven by `secret`.
#[must_use]
pub fn deliver(provider: Provider, hook: &PushHook, secret: &str) -> Request {
    (webhooks(provider).deliver)(hook, secret)
}

/// Returns the headers by which a kind of git host proves with `secret` that it sends `body`. `id` is the id of the
/// delivery, if the host signs that.
#[must_use]
pub fn prove(provider: Provider, secret: &str, id: &str, body: &[u8]) -> Vec<(&'static str, String)> {
    proof(provider).headers(secret, id, body)
}

/// Returns what a person does in the pages of a kind of git host to add a webhook, step by step.
#[must_use]
pub fn setup(provider: Provider) -> &'static [&'static str] {
    webhooks(provider).setup
}

/// Returns what a kind of git host does not send, which only a sweep can find. Each is the object of a sentence.
#[must_use]
pub fn not_sent(provider: Provider) -> &'static [&'static str] {
    webhooks(provider).not_sent
}

/// Reads a request that was proven to be from a kind of git host.
///
/// # Errors
/// Returns an [`Error`] if the request is not a webhook of such a host, or malformed.
pub fn read(
    provider: Provider,
    source: &SourceName,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Report, Error> {
    (webhooks(provider).read)(source, headers, body)
}

/// Returns the value of a header, or `None` if it is missing or no text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns whether the body is a form, as the headers have it.
fn is_form(headers: &HeaderMap) -> bool {
    let content_type = text(headers, "content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests;
