//! Why a commit cannot be fetched.

use credentials::MissingCredentials;
use domain::error::{Code, Coded};
use domain::policy::PolicyError;
use platform::failure::chain;
use platform::secrets::SecretError;
use platform::staging::StorageError;
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
    /// The input's URL is none.
    #[error("{url} is not a URL")]
    Url { url: String, source: url::ParseError },
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
    /// Not signed by who may.
    #[error("{object} in {url} is not verified")]
    NotVerified {
        url: String,
        object: String,
        source: NotVerified,
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
    /// The host's answer or its objects are damaged.
    #[error("what {url} sent cannot be used")]
    Invalid { url: String, source: git2::Error },
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
            Self::NothingPushed | Self::Url { .. } => Code::InputInvalid,
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
            Self::NotVerified { .. } => Code::CommitNotVerified,
            Self::Sha256 { .. } => Code::RepositoryUnsupported,
            Self::NotACommit { .. } | Self::Invalid { .. } => Code::RepositoryInvalid,
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
        let told = secret.credentials().taken_out_of(&text);
        if told == text {
            return self;
        }
        let code = self.code();
        Self::Quoted { code, told }
    }
}
