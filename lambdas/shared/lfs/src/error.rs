//! Why LFS objects cannot be fetched.

use std::net::IpAddr;

use aws::staging::StorageError;
use credentials::AccessError;
use domain::error::{Code, Coded};
use domain::policy::PolicyError;
use http::StatusCode;

/// Why LFS objects cannot be fetched. `url` is always formatted by [`named`](egress::named), because the query of a URL
/// may contain its signature.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// An SSH host has no LFS server of its own.
    #[error(
        "the LFS objects of {url} are fetched over HTTPS: add https://{host} to the source's git_hosts, and its login to the git secret"
    )]
    NoEndpoint { url: String, host: String },
    /// `.lfsconfig` names a host that the settings do not.
    #[error(
        "the repository's .lfsconfig names {url}, which is on none of the git hosts that the source's settings allow ({allowed})"
    )]
    HostNotAllowed { url: String, allowed: String },
    /// `.lfsconfig` leads to a repository that the settings do not name.
    #[error(
        "the repository's .lfsconfig names {url}, which is neither its own LFS server nor that of a repository that the source's submodule_repositories allow ({allowed})"
    )]
    RepositoryNotAllowed { url: String, allowed: String },
    /// The settings cannot be applied.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The URL of an object leads further into the network than is allowed.
    #[error(
        "{url} is at {address}, {reason}: an LFS server must not refer to it unless the source's git_hosts name it"
    )]
    AddressNotAllowed {
        url: String,
        address: IpAddr,
        reason: &'static str,
    },
    /// `.lfsconfig` does not name an HTTP(S) URL.
    #[error("the repository's .lfsconfig names {url}: only https and http are supported")]
    Scheme { url: String },
    /// A pointer has extensions.
    #[error(
        "the LFS object {oid} needs a git-lfs extension to become its file, and extensions are not supported"
    )]
    Extended { oid: String },
    /// There is no connection, or it has ended.
    #[error("{url} could not be reached")]
    Unreachable {
        url: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is not available now.
    #[error("{url} responded with {status}")]
    Busy { url: String, status: StatusCode },
    /// The server was silent for too long.
    #[error("{url} sent nothing for {seconds} s")]
    Silent { url: String, seconds: u64 },
    /// The server refused the login.
    #[error("{url} refused the credentials of the git secret: {status}")]
    Authentication { url: String, status: StatusCode },
    /// The server redirects to where the client must not go.
    #[error("{url} redirects to {to}: {reason}")]
    Redirected {
        url: String,
        to: String,
        reason: &'static str,
    },
    /// The LFS server does not know the repository.
    #[error("the LFS server {url} does not exist, or may not be read")]
    RepositoryNotFound { url: String },
    /// The LFS server does not have the object.
    #[error("the LFS object {oid} is not in {url}")]
    ObjectMissing { url: String, oid: String },
    /// The server violates the protocol, or sent another object.
    #[error("what {url} sent cannot be used: {reason}")]
    Invalid { url: String, reason: String },
    /// The repository contradicts itself.
    #[error("the repository's {what} cannot be used: {reason}")]
    Repository { what: &'static str, reason: String },
    /// There is no login for the LFS server.
    #[error(transparent)]
    Credentials(#[from] AccessError),
    /// The server's certificate is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// The objects exceed a limit.
    #[error("{url} exceeds options.limits.{limit}: {reason}")]
    Limit {
        url: String,
        limit: &'static str,
        reason: String,
    },
    /// The staging area failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The download was stopped because another one has failed, whose error is returned.
    #[error("the download was stopped, because another one has failed")]
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
