//! Why nothing could be measured, or what was made is wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("cannot {action} {path}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A program that cannot be started.
    #[error("cannot run {program}: is it installed?")]
    Start { program: String, source: io::Error },
    /// A program that has failed.
    #[error("{command} failed ({status})\n{stderr}")]
    Failed {
        command: String,
        status: ExitStatus,
        stderr: String,
    },
    /// The host of what is measured.
    #[error(transparent)]
    Host(#[from] git_host::Error),
    /// A path, ref or URL that Push Code does not take.
    #[error(transparent)]
    Invalid(#[from] domain::Invalid),
    /// libgit2's clone.
    #[error("libgit2 cannot clone")]
    Clone(#[from] git2::Error),
    /// The stage's own error.
    #[error("the stage {stage} failed")]
    Stage {
        stage: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the processes of this tool tell each other.
    #[error("cannot read or write what a stage was given or has answered")]
    Json(#[from] serde_json::Error),
    /// A zip that cannot be read or written.
    #[error("the zip {path} cannot be read or written")]
    Zip {
        path: PathBuf,
        source: zip::result::ZipError,
    },
    /// A zip that does not hold what the commit holds.
    #[error("the zip {zip} is wrong: {what}")]
    Wrong { zip: PathBuf, what: String },
    /// What git says cannot be understood.
    #[error("git said what cannot be understood: {0:?}")]
    Git(String),
}

impl Error {
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub fn zip(path: &Path) -> impl Fn(zip::result::ZipError) -> Self {
        let path = path.to_owned();
        move |source| Self::Zip {
            path: path.clone(),
            source,
        }
    }
}
