//! Why a server gives no answer.

use std::net::IpAddr;

use domain::remote_url::without_credentials;
use url::Url;

use crate::address::Reach;

/// Why a server gives no answer. `url` is always by [`named`]: what signs a URL stands in its query.
///
/// It has no code of the catalogue: what a failure means depends on what was asked for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// The URL leads into the network that the function is in.
    #[error("{url} is at {address}, {}", .reach.describe())]
    AddressNotAllowed {
        url: String,
        address: IpAddr,
        reach: Reach,
    },
    /// A certificate that is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// No connection, or the end of one.
    #[error("{url} could not be reached")]
    Unreachable {
        url: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Silence.
    #[error("{url} sent nothing for {seconds} s")]
    Silent { url: String, seconds: u64 },
    /// What is no HTTP, or no URL for it.
    #[error("what {url} sent cannot be used: {reason}")]
    Invalid { url: String, reason: &'static str },
    /// The deadline.
    #[error("the deadline has passed")]
    Late,
    /// [`Client::stop`](crate::Client::stop) was called.
    #[error("the client was stopped")]
    Stopped,
}

/// A URL for people: without credentials, query and fragment.
#[must_use]
pub fn named(url: &Url) -> String {
    without_credentials(url).into()
}
