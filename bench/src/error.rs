//! Why a measurement failed, or why a zip is wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// An error of a measurement, or a wrong zip.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error("cannot {action} {path}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A program cannot be started.
    #[error("cannot run {program}: is it installed?")]
    Start { program: String, source: io::Error },
    /// A program has failed.
    #[error("{command} failed ({status})\n{stderr}")]
    Failed {
        command: String,
        status: ExitStatus,
        stderr: String,
    },
    /// The host of what is measured.
    #[error(transparent)]
    Host(#[from] git_host::Error),
    /// Push Code does not accept a path, ref or URL.
    #[error(transparent)]
    Invalid(#[from] domain::Invalid),
    /// libgit2's clone has failed.
    #[error("libgit2 cannot clone")]
    Clone(#[from] git2::Error),
    /// The stage's own error.
    #[error("the stage {stage} failed")]
    Stage {
        stage: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The JSON that the processes of this tool exchange cannot be read or written.
    #[error("cannot read or write the input or output of a stage")]
    Json(#[from] serde_json::Error),
    /// A zip cannot be read or written.
    #[error("the zip {path} cannot be read or written")]
    Zip {
        path: PathBuf,
        source: zip::result::ZipError,
    },
    /// A zip does not hold what the commit holds.
    #[error("the zip {zip} is wrong: {what}")]
    Wrong { zip: PathBuf, what: String },
    /// A command cannot be recorded.
    #[error("nothing was recorded: {what}")]
    Record { what: String },
    /// The board cannot be served.
    #[error(transparent)]
    Board(#[from] board::Error),
    /// A chart cannot be drawn.
    #[error("the chart cannot be drawn: {0}")]
    Chart(String),
    /// The audit table or the local AWS has failed.
    #[error("cannot {action}")]
    Trail {
        action: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An operation has not found what is in the table.
    #[error("{operation}: {found} were found, of {expected}")]
    WrongCount {
        operation: &'static str,
        found: usize,
        expected: usize,
    },
    /// The units of a request are not known.
    #[error("the request units of the operation {0} are not known: add it to bench/src/trail/units.rs")]
    Uncounted(String),
    /// An operation costs more in a larger table.
    #[error("these cost more in the larger table: {0}")]
    Grows(String),
    /// The output of git cannot be parsed.
    #[error("git's output cannot be parsed: {0:?}")]
    Git(String),
}

impl Error {
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub fn trail<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        action: &'static str,
    ) -> impl Fn(E) -> Self {
        move |source| Self::Trail {
            action,
            source: source.into(),
        }
    }

    pub fn zip(path: &Path) -> impl Fn(zip::result::ZipError) -> Self {
        let path = path.to_owned();
        move |source| Self::Zip {
            path: path.clone(),
            source,
        }
    }
}
