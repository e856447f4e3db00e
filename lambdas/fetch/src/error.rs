//! Why a commit cannot be fetched.

use audit::AuditError;
use aws::failure::chain;
use aws::secrets::SecretError;
use aws::staging::StorageError;
use credentials::AccessError;
use domain::error::{Code, Coded};
use domain::policy::PolicyError;
use domain::push::PushId;
use signatures::NotVerified;

use crate::secret::GitSecret;

/// Why a commit cannot be fetched. `url` never contains credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// An error whose text contained a secret, because a host repeated what it was sent. `redacted` is the text without
    /// it.
    #[error("{redacted}")]
    Redacted { code: Code, redacted: String },
    /// The input is a deletion, which Validate ignores.
    #[error("the push deleted its ref: there is nothing to fetch")]
    NothingPushed,
    /// The input is no rollback.
    #[error("the push is no rollback: there is no version to find")]
    NoRollback,
    /// The trail of the push to roll back to does not say what was delivered.
    #[error("the trail of push {push_id} does not say what its zip was made of")]
    VersionUnknown { push_id: PushId },
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// There is no login for the repository.
    #[error(transparent)]
    Credentials(#[from] AccessError),
    /// The commit is not signed by a key of the source.
    #[error("{object} in {url} is not verified")]
    NotVerified {
        url: String,
        object: String,
        source: NotVerified,
    },
    /// The commit exceeds a limit.
    #[error("{url} exceeds options.limits.{limit}: {reason}")]
    Limit {
        url: String,
        limit: &'static str,
        reason: String,
    },
    /// A submodule cannot be fetched.
    #[error("the submodule {path}")]
    Submodule { path: String, source: Box<Error> },
    /// `.gitmodules` does not say where a submodule comes from.
    #[error("the submodule {path} cannot be fetched: {reason}")]
    SubmoduleInvalid { path: String, reason: String },
    /// The repository names a host that the settings do not.
    #[error("{url} is on none of the git hosts that the source's settings allow ({allowed})")]
    HostNotAllowed { url: String, allowed: String },
    /// The repository names a repository that the settings do not.
    #[error("{url} matches none of the repositories that are allowed as submodules ({allowed})")]
    RepositoryNotAllowed { url: String, allowed: String },
    /// The settings cannot be applied.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The tree cannot be read, or is not allowed.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// The git host failed.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// The LFS server failed.
    #[error(transparent)]
    Lfs(#[from] lfs::Error),
    /// The function's own disk failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[source] std::io::Error),
    /// The git secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The staging area failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::NothingPushed | Self::NoRollback => Code::InputInvalid,
            Self::VersionUnknown { .. } => Code::VersionMissing,
            Self::Audit(error) => error.code(),
            Self::Credentials(error) => error.code(),
            Self::Remote(error) => error.code(),
            Self::NotVerified { .. } => Code::CommitNotVerified,
            Self::Limit { .. } => Code::LimitExceeded,
            Self::Redacted { code, .. } => *code,
            Self::Lfs(error) => error.code(),
            Self::Submodule { source, .. } => source.code(),
            Self::SubmoduleInvalid { .. } => Code::SubmoduleInvalid,
            Self::HostNotAllowed { .. } => Code::GitHostNotAllowed,
            Self::RepositoryNotAllowed { .. } => Code::SubmoduleNotAllowed,
            Self::Policy(_) => Code::SourceInvalid,
            Self::Tree(error) => error.code(),
            Self::Workspace(_) => Code::WorkspaceFailed,
            Self::Secret(error) => error.code(),
            Self::Storage(error) => error.code(),
        }
    }
}

impl Error {
    /// Removes the secret texts of `secret` from the error.
    pub(crate) fn without(self, secret: &GitSecret) -> Self {
        let text = chain(&self);
        let redacted = secret.credentials().redact(&text);
        if redacted == text {
            return self;
        }
        let code = self.code();
        Self::Redacted { code, redacted }
    }
}
