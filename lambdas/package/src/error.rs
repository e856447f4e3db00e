//! Why a commit cannot be packaged.

use domain::error::{Code, Coded};
use platform::staging::StorageError;

/// Why a commit cannot be packaged. Paths are shown with U+FFFD for what is not UTF-8.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// An object is missing or damaged.
    #[error("the object {object} cannot be read{at}")]
    Object {
        object: String,
        /// ` (the file x)`, where that is known.
        at: String,
        source: git2::Error,
    },
    /// The staged pack is none.
    #[error("the staged pack cannot be opened")]
    Pack(#[source] git2::Error),
    /// A name that no honest git writes.
    #[error("the path {path:?} cannot be in a zip: {reason}")]
    Path { path: String, reason: &'static str },
    /// A limit.
    #[error("the commit meets the limit {limit}: {met}")]
    Limit { limit: &'static str, met: String },
    /// The zip could not be written.
    #[error("the zip could not be written")]
    Zip(#[source] std::io::Error),
    /// build-info.json could not be made.
    #[error("build-info.json could not be written")]
    BuildInfo(#[from] serde_json::Error),
    /// The function's own storage or threads failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[source] std::io::Error),
    /// The staging bucket.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Object { .. } | Self::Pack(_) => Code::RepositoryInvalid,
            Self::Path { .. } => Code::PathUnsafe,
            Self::Limit { .. } => Code::LimitExceeded,
            Self::Zip(_) | Self::BuildInfo(_) | Self::Workspace(_) => Code::WorkspaceFailed,
            Self::Storage(error) => error.code(),
        }
    }
}
