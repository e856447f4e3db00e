//! Why a commit cannot be fetched.

use std::net::IpAddr;

use credentials::AccessError;
use domain::error::{Code, Coded};

/// Why a commit cannot be fetched. `url` never contains credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// There is no login for the repository.
    #[error(transparent)]
    Credentials(#[from] AccessError),
    /// The host is where no git host is.
    #[error("{url} is at {address}, {}", egress::Reach::Forbidden.describe())]
    AddressNotAllowed { url: String, address: IpAddr },
    /// There is no connection, or the host responds that it is not available now.
    #[error("{url} could not be reached")]
    Unreachable { url: String, source: git2::Error },
    /// The host was silent for too long.
    #[error("{url} sent nothing for {seconds} s")]
    Silent {
        url: String,
        seconds: u64,
        source: git2::Error,
    },
    /// The host's certificate is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// The host's key is not pinned.
    #[error("the SSH host key of {url} is not pinned: {reason}")]
    HostKey { url: String, reason: String },
    /// The host refused the login.
    #[error("{url} refused the credentials of the git secret")]
    Authentication { url: String, source: git2::Error },
    /// The host redirects to another one.
    #[error("{url} redirects to another host, which must not get the credentials")]
    Redirected { url: String, source: git2::Error },
    /// The repository does not exist, or may not be read.
    #[error("{url} does not exist, or may not be read")]
    RepositoryNotFound { url: String, source: git2::Error },
    /// The repository does not have the commit.
    #[error("{object} is not in {url}, and {from} does not lead to it")]
    CommitNotFound {
        url: String,
        object: String,
        /// The ref, or `any branch`.
        from: String,
        source: Option<git2::Error>,
    },
    /// The transfer process has died.
    #[error("the transfer from {url} broke down: {how}")]
    Died { url: String, how: String },
    /// The transfer process has reported an error.
    #[error("{cause}")]
    Transfer { code: Code, cause: String },
    /// The repository has the commit, but not on the ref.
    #[error(
        "{object} in {url} is not on {ref_name}, which {}",
        .ref_now.as_ref().map_or_else(|| "does not exist".to_owned(), |now| format!("points to {now}"))
    )]
    NotOnRef {
        url: String,
        object: String,
        ref_name: String,
        /// What the ref points to, or `None` if it does not exist.
        ref_now: Option<String>,
        source: Option<git2::Error>,
    },
    /// The id is not that of a commit or of a tag of one.
    #[error("{object} in {url} is neither a commit nor a tag of one")]
    NotACommit {
        url: String,
        object: String,
        source: git2::Error,
    },
    /// The repository has SHA-256 object ids.
    #[error("{url} has SHA-256 object ids, which cannot be fetched yet")]
    Sha256 { url: String },
    /// The fetch exceeds a limit.
    #[error("{url} exceeds options.limits.{limit}: {reason}")]
    Limit {
        url: String,
        limit: &'static str,
        reason: String,
    },
    /// The host has not listed its refs in time.
    #[error("{url} has not listed its refs within {seconds} s")]
    ListTooSlow { url: String, seconds: u64 },
    /// The host has not presented its key in time.
    #[error("{url} has presented no key within {seconds} s")]
    NoHostKey { url: String, seconds: u64 },
    /// The host lists more refs than are compared.
    #[error("{url} lists {refs} refs, and at most {limit} are compared")]
    TooManyRefs { url: String, refs: usize, limit: usize },
    /// The host's response or its objects are damaged.
    #[error("what {url} sent cannot be used")]
    Invalid { url: String, source: git2::Error },
    /// The function's own disk failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[source] std::io::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Credentials(error) => error.code(),
            Self::AddressNotAllowed { .. } => Code::GitHostNotAllowed,
            Self::Unreachable { .. } => Code::GitHostUnreachable,
            Self::Silent { .. } => Code::GitHostTimedOut,
            Self::Certificate { .. } => Code::CertificateInvalid,
            Self::HostKey { .. } => Code::HostKeyMismatch,
            Self::Authentication { .. } => Code::AuthenticationFailed,
            Self::Redirected { .. } => Code::GitHostRedirected,
            Self::RepositoryNotFound { .. } => Code::RepositoryNotFound,
            Self::CommitNotFound { .. } => Code::CommitNotFound,
            Self::Died { .. } => Code::TransferDied,
            Self::Transfer { code, .. } => *code,
            Self::NotOnRef { .. } => Code::CommitNotOnRef,
            Self::Sha256 { .. } => Code::RepositoryUnsupported,
            Self::NotACommit { .. } | Self::Invalid { .. } => Code::RepositoryInvalid,
            Self::ListTooSlow { .. } | Self::NoHostKey { .. } => Code::GitHostTimedOut,
            Self::Limit { .. } | Self::TooManyRefs { .. } => Code::LimitExceeded,
            Self::Workspace(_) => Code::WorkspaceFailed,
        }
    }
}
