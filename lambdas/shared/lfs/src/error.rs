//! Why LFS objects cannot be fetched.

use std::net::IpAddr;

use aws::staging::StorageError;
use credentials::MissingCredentials;
use domain::error::{Code, Coded};
use domain::policy::PolicyError;
use http::StatusCode;

/// Why LFS objects cannot be fetched. `url` is always by [`named`](egress::named): what signs a URL stands in its query.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// An SSH host has no LFS server of its own.
    #[error(
        "the LFS objects of {url} come over HTTPS: add https://{host} to the source's git_hosts, and its login to the git secret"
    )]
    NoEndpoint { url: String, host: String },
    /// `.lfsconfig` leads to a host that the settings do not name.
    #[error(
        "the repository's .lfsconfig names {url}, which is on none of the git hosts that the source's settings allow ({allowed})"
    )]
    HostNotAllowed { url: String, allowed: String },
    /// `.lfsconfig` leads to a repository that the settings do not name.
    #[error(
        "the repository's .lfsconfig names {url}, which is neither its own LFS server nor that of a repository that the source's submodule_repositories allow ({allowed})"
    )]
    RepositoryNotAllowed { url: String, allowed: String },
    /// The settings.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An object's URL leads into the network that the function is in.
    #[error(
        "{url} is at {address}, {reason}: an LFS server must not lead there unless the source's git_hosts name it"
    )]
    AddressNotAllowed {
        url: String,
        address: IpAddr,
        reason: &'static str,
    },
    /// `.lfsconfig` names no HTTP(S) URL.
    #[error("the repository's .lfsconfig names {url}: only https and http are supported")]
    Scheme { url: String },
    /// A pointer with extensions.
    #[error(
        "the LFS object {oid} needs a git-lfs extension to become its file: extensions are not supported"
    )]
    Extended { oid: String },
    /// No connection, or the end of one.
    #[error("{url} could not be reached")]
    Unreachable {
        url: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// "Not now".
    #[error("{url} answered {status}")]
    Busy { url: String, status: StatusCode },
    /// Silence.
    #[error("{url} sent nothing for {seconds} s")]
    Silent { url: String, seconds: u64 },
    /// The login was refused.
    #[error("{url} refused the credentials of the git secret: {status}")]
    Authentication { url: String, status: StatusCode },
    /// The server wants the client to go where it must not.
    #[error("{url} redirects to {to}: {reason}")]
    Redirected {
        url: String,
        to: String,
        reason: &'static str,
    },
    /// The LFS server does not know the repository.
    #[error("the LFS server {url} is not there, or may not be read")]
    RepositoryNotFound { url: String },
    /// The LFS server does not have the object.
    #[error("the LFS object {oid} is not in {url}")]
    ObjectMissing { url: String, oid: String },
    /// The server speaks wrongly, or sent another object.
    #[error("what {url} sent cannot be used: {reason}")]
    Invalid { url: String, reason: String },
    /// The repository contradicts itself.
    #[error("the repository's {what} cannot be used: {reason}")]
    Repository { what: &'static str, reason: String },
    /// No login for the LFS server.
    #[error(transparent)]
    Credentials(#[from] MissingCredentials),
    /// A certificate that is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// A limit.
    #[error("{url} meets options.limits.{limit}: {met}")]
    Limit {
        url: String,
        limit: &'static str,
        met: String,
    },
    /// The staging bucket.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another object's failure, which is the one that is told.
    #[error("the download was stopped, for another has failed")]
    Stopped,
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::NoEndpoint { .. } | Self::HostNotAllowed { .. } | Self::AddressNotAllowed { .. } => {
                Code::GitHostNotAllowed
            }
            Self::RepositoryNotAllowed { .. } => Code::SubmoduleNotAllowed,
            Self::Policy(_) => Code::SourceInvalid,
            Self::Scheme { .. } | Self::Extended { .. } => Code::RepositoryUnsupported,
            Self::Unreachable { .. } | Self::Busy { .. } => Code::GitHostUnreachable,
            Self::Silent { .. } => Code::GitHostTimedOut,
            Self::Authentication { .. } => Code::AuthenticationFailed,
            Self::Redirected { .. } => Code::GitHostRedirected,
            Self::RepositoryNotFound { .. } => Code::RepositoryNotFound,
            Self::Credentials(error) => error.code(),
            Self::Certificate { .. } => Code::CertificateInvalid,
            Self::Limit { .. } => Code::LimitExceeded,
            Self::Storage(error) => error.code(),
            Self::ObjectMissing { .. } => Code::LfsObjectMissing,
            Self::Invalid { .. } | Self::Repository { .. } | Self::Stopped => Code::LfsInvalid,
        }
    }
}
