//! Why a release cannot be deployed or made, each with a remedy.

use std::path::{Path, PathBuf};

use shell::IoError;

/// An error with a release.
#[derive(Debug, strum::AsRefStr, thiserror::Error)]
pub enum Error {
    /// The file or folder is something else.
    #[error(
        "{} is not a release of Push Code: {reason}. Name an archive push-code-VERSION.tar.gz, or the folder push-code-VERSION that is in it",
        path.display()
    )]
    NotARelease {
        /// The file or folder.
        path: PathBuf,
        /// Why it is not a release.
        reason: String,
    },
    /// An entry of the archive is not one that a release has.
    #[error(
        "{} was not unpacked, because its entry {entry:?} {what}, which no release has: download it again from where releases are published",
        path.display()
    )]
    UnsafeEntry {
        /// The archive.
        path: PathBuf,
        /// The entry's path.
        entry: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The archive is not the one that was published.
    #[error(
        "{} has the SHA-256 {found}, but SHA256SUMS beside it says {expected}: download both again from where releases are published",
        path.display()
    )]
    WrongChecksum {
        /// The archive.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
        /// The expected SHA-256.
        expected: String,
    },
    /// The archive is not one of those that were published.
    #[error(
        "SHA256SUMS beside {} does not name it: put the one of this release there, or move the archive into another folder",
        path.display()
    )]
    NoChecksum {
        /// The archive.
        path: PathBuf,
    },
    /// The checkout is not what a release can be made of.
    #[error("no release can be made of {}: {reason}", path.display())]
    NotReleasable {
        /// The checkout.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// A program that is needed failed.
    #[error("{command} failed: correct what it names, then run this again\n{tail}")]
    Program {
        /// The program.
        command: String,
        /// The end of its output.
        tail: String,
    },
    /// The build failed.
    #[error(transparent)]
    LocalAws(#[from] local_aws::Error),
    /// A file or folder cannot be used.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Error {
    /// Wraps an I/O error with what was tried, and with what.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let wrap = IoError::of(action, path);
        |source| wrap(source).into()
    }
}
