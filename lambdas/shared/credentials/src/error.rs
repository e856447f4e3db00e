//! Why there is no way to log in.

use std::net::IpAddr;

use domain::error::{Code, Coded};
use domain::remote_url::RemoteUrl;
use egress::Reach;
use http::StatusCode;

/// Why there is no way to log in at a host. `url` never contains credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum AccessError {
    /// No entry of the git secret is for the repository, and one is needed.
    #[error("the git secret has no credentials for {url}")]
    Missing { url: String },
    /// This program has no credentials of AWS, with which requests to CodeCommit are signed.
    #[error("there are no credentials of AWS to sign the login at {url} with")]
    Unsigned {
        url: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The GitHub App has no token for the repository.
    #[error("the GitHub App {app_id} has no token for {url}")]
    Token {
        app_id: String,
        url: String,
        source: TokenError,
    },
}

impl AccessError {
    /// Creates the error of the repository at `url`, for which there are no credentials.
    #[must_use]
    pub fn missing(url: &RemoteUrl) -> Self {
        Self::Missing {
            url: url.without_credentials().into(),
        }
    }
}

impl Coded for AccessError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } | Self::Unsigned { .. } => Code::CredentialsMissing,
            Self::Token { source, .. } => source.code(),
        }
    }
}

/// Why there is no installation token. The messages have no secret in them, also if the host repeats one.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum TokenError {
    /// Apps are installed for repositories of the form `owner/name`.
    #[error("the path of a repository on GitHub is owner/name")]
    Path,
    /// The URL of the API leads to where no git host is.
    #[error("{url} is at {address}, {}", .reach.describe())]
    AddressNotAllowed {
        url: String,
        address: IpAddr,
        reach: Reach,
    },
    /// The certificate of the API is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// There is no connection, or it has ended.
    #[error("{url} could not be reached")]
    Unreachable {
        url: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API has not responded in time.
    #[error("{url} has not responded within {seconds} s")]
    Silent { url: String, seconds: u64 },
    /// The API is not available now, or limits how often it is asked.
    #[error("{url} responded with {status}")]
    Busy { url: String, status: StatusCode },
    /// The API refers to another URL, to which the app's proof is not sent.
    #[error("{url} redirects to {to}, which is not asked")]
    Redirected { url: String, to: String },
    /// The API refuses the app.
    #[error("{url} responded with {status} {said}")]
    Refused {
        url: String,
        status: StatusCode,
        said: String,
    },
    /// The response is not what the API is documented to send.
    #[error("what {url} sent cannot be used: {reason}")]
    Invalid { url: String, reason: String },
    /// The app's proof cannot be signed.
    #[error("the app's key cannot sign")]
    Key(#[from] openssl::error::ErrorStack),
}

impl Coded for TokenError {
    fn code(&self) -> Code {
        match self {
            Self::Path | Self::Refused { .. } => Code::InstallationTokenRefused,
            Self::AddressNotAllowed { .. } => Code::GitHostNotAllowed,
            Self::Certificate { .. } => Code::CertificateInvalid,
            Self::Unreachable { .. } | Self::Busy { .. } => Code::GitHostUnreachable,
            Self::Silent { .. } => Code::GitHostTimedOut,
            Self::Redirected { .. } => Code::GitHostRedirected,
            Self::Invalid { .. } => Code::InstallationTokenInvalid,
            Self::Key(_) => Code::SecretInvalid,
        }
    }
}
