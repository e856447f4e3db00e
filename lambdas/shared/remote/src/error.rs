//! Why a commit cannot be fetched.

use credentials::MissingCredentials;
use domain::error::{Code, Coded};

/// Why a commit cannot be fetched. `url` is always without credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// No login for the host.
    #[error(transparent)]
    Credentials(#[from] MissingCredentials),
    /// No connection, or an answer that says "not now".
    #[error("{url} could not be reached")]
    Unreachable { url: String, source: git2::Error },
    /// Silence.
    #[error("{url} sent nothing for {seconds} s")]
    Silent {
        url: String,
        seconds: u64,
        source: git2::Error,
    },
    /// A certificate that is not trusted.
    #[error("the TLS certificate of {url} is not trusted: {reason}")]
    Certificate { url: String, reason: String },
    /// A host key that is not pinned.
    #[error("the SSH host key of {url} is not pinned: {reason}")]
    HostKey { url: String, reason: String },
    /// The login was refused.
    #[error("{url} refused the credentials of the git secret")]
    Authentication { url: String, source: git2::Error },
    /// The host wants the client to go elsewhere.
    #[error("{url} redirects elsewhere, where credentials must not go")]
    Redirected { url: String, source: git2::Error },
    /// The repository is not there.
    #[error("{url} is not there, or may not be read")]
    RepositoryNotFound { url: String, source: git2::Error },
    /// The commit is not there.
    #[error("{object} is not in {url}, and {from} does not lead to it")]
    CommitNotFound {
        url: String,
        object: String,
        /// The ref, or `any branch`.
        from: String,
        source: Option<git2::Error>,
    },
    /// The process that transfers has died.
    #[error("the transfer from {url} broke down: {how}")]
    Died { url: String, how: String },
    /// What the process that transfers says.
    #[error("{cause}")]
    Transfer { code: Code, cause: String },
    /// The commit is there, and not on the ref.
    #[error(
        "{object} in {url} is not on {ref_name}, which {}",
        .ref_now.as_ref().map_or_else(|| "is not there".to_owned(), |now| format!("points to {now}"))
    )]
    NotOnRef {
        url: String,
        object: String,
        ref_name: String,
        /// What the ref points to. `None` if it is not there.
        ref_now: Option<String>,
        source: Option<git2::Error>,
    },
    /// The id is of something else.
    #[error("{object} in {url} is neither a commit nor a tag of one")]
    NotACommit {
        url: String,
        object: String,
        source: git2::Error,
    },
    /// SHA-256 object ids.
    #[error("{url} has SHA-256 object ids, which cannot be fetched yet")]
    Sha256 { url: String },
    /// A limit.
    #[error("{url} meets options.limits.{limit}: {met}")]
    Limit {
        url: String,
        limit: &'static str,
        met: String,
    },
    /// The host's answer or its objects are damaged.
    #[error("what {url} sent cannot be used")]
    Invalid { url: String, source: git2::Error },
    /// The function's own storage failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[source] std::io::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Credentials(error) => error.code(),
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
            Self::Limit { .. } => Code::LimitExceeded,
            Self::Workspace(_) => Code::WorkspaceFailed,
        }
    }
}
