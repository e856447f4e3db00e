//! Why a commit cannot be fetched.

use aws::failure::chain;
use aws::secrets::SecretError;
use aws::staging::StorageError;
use credentials::MissingCredentials;
use domain::error::{Code, Coded};
use domain::policy::PolicyError;
use signatures::NotVerified;

use crate::secret::GitSecret;

/// Why a commit cannot be fetched. `url` is always without credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// An error that had a secret in it, such as a host's answer that repeats what it was sent.
    #[error("{told}")]
    Quoted { code: Code, told: String },
    /// The input is a deletion, which Validate ignores.
    #[error("the push deleted its ref: there is nothing to fetch")]
    NothingPushed,
    /// No login for the host.
    #[error(transparent)]
    Credentials(#[from] MissingCredentials),
    /// Not signed by who may.
    #[error("{object} in {url} is not verified")]
    NotVerified {
        url: String,
        object: String,
        source: NotVerified,
    },
    /// A limit.
    #[error("{url} meets options.limits.{limit}: {met}")]
    Limit {
        url: String,
        limit: &'static str,
        met: String,
    },
    /// A submodule cannot be fetched.
    #[error("the submodule {path}")]
    Submodule { path: String, source: Box<Error> },
    /// It is not known where a submodule comes from.
    #[error("the submodule {path} cannot be fetched: {reason}")]
    SubmoduleInvalid { path: String, reason: String },
    /// The repository names a host that the settings do not.
    #[error("{url} is on none of the git hosts that the source's settings allow ({allowed})")]
    HostNotAllowed { url: String, allowed: String },
    /// The repository names another that the settings do not.
    #[error("{url} matches none of the repositories that a submodule may be of ({allowed})")]
    RepositoryNotAllowed { url: String, allowed: String },
    /// The settings.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// The git host.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// Git LFS.
    #[error(transparent)]
    Lfs(#[from] lfs::Error),
    /// The function's own storage failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[source] std::io::Error),
    /// The git secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The staging bucket.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::NothingPushed => Code::InputInvalid,
            Self::Credentials(error) => error.code(),
            Self::Remote(error) => error.code(),
            Self::NotVerified { .. } => Code::CommitNotVerified,
            Self::Limit { .. } => Code::LimitExceeded,
            Self::Quoted { code, .. } => *code,
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
    /// The error without the texts of `secret` in it.
    pub(crate) fn without(self, secret: &GitSecret) -> Self {
        let text = chain(&self);
        let told = secret.credentials().redact(&text);
        if told == text {
            return self;
        }
        let code = self.code();
        Self::Quoted { code, told }
    }
}
