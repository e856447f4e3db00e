//! Why a commit cannot be packaged.

use aws::staging::StorageError;
use domain::error::{Code, Coded};
use git2::ErrorCode;

/// Why a commit cannot be packaged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree cannot be read, or is not allowed.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// The zip could not be written.
    #[error("the zip could not be written")]
    Zip(#[source] std::io::Error),
    /// The .git folder could not be made.
    #[error("the .git folder could not be made")]
    Clone(#[source] git2::Error),
    /// build-info.json could not be made.
    #[error("build-info.json could not be written")]
    BuildInfo(#[from] serde_json::Error),
    /// The function's own disk or threads failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[source] std::io::Error),
    /// The staging area failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Tree(error) => error.code(),
            // The host has not sent all of the history.
            Self::Clone(error) if error.code() == ErrorCode::NotFound => Code::RepositoryInvalid,
            Self::Zip(_) | Self::Clone(_) | Self::BuildInfo(_) | Self::Workspace(_) => Code::WorkspaceFailed,
            Self::Storage(error) => error.code(),
        }
    }
}
