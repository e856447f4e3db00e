//! Why there is no response from a server.

use std::net::IpAddr;

use domain::remote_url::without_credentials;
use url::Url;

use crate::address::Reach;

/// Why there is no response from a server. `url` is always formatted by [`named`], because the query of a URL may
/// contain its signature.
///
/// The error has no code of the catalogue, because the meaning of a failure depends on the request.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// The URL leads further into the network than is allowed.
    #[error("{url} is at {address}, {}", .reach.describe())]
    AddressNotAllowed {
        url: String,
        address: IpAddr,
        reach: Reach,
    },
    /// The certificate is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// There is no connection, or it has ended.
    #[error("{url} could not be reached")]
    Unreachable {
        url: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server was silent for too long.
    #[error("{url} sent nothing for {seconds} s")]
    Silent { url: String, seconds: u64 },
    /// The server does not speak HTTP, or the URL cannot be requested.
    #[error("what {url} sent cannot be used: {reason}")]
    Invalid { url: String, reason: &'static str },
    /// The deadline has passed.
    #[error("the deadline has passed")]
    Late,
    /// [`Client::stop`](crate::Client::stop) was called.
    #[error("the client was stopped")]
    Stopped,
}

/// Formats a URL for people, without credentials, query and fragment.
#[must_use]
pub fn named(url: &Url) -> String {
    without_credentials(url).into()
}
