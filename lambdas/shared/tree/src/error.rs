//! Why a tree cannot be listed.

use domain::error::{Code, Coded};

/// Why a tree cannot be listed. Paths show U+FFFD for bytes that are not UTF-8.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// An object is missing or damaged.
    #[error("the object {object} cannot be read{at}")]
    Object {
        object: String,
        /// ` (the file x)`, or empty if the path is not known.
        at: String,
        source: git2::Error,
    },
    /// The pack is missing or not a valid pack.
    #[error("the pack cannot be opened")]
    Pack(#[source] git2::Error),
    /// A path is not allowed, because no honest git would write it.
    #[error("the path {path:?} cannot be in a zip: {reason}")]
    Path { path: String, reason: &'static str },
    /// A link and another path are the same path on some file system.
    #[error(
        "the symbolic link {link:?} and {other:?} have the same name on some file systems, where files would be written \
         through the link: rename one of them"
    )]
    Alias { link: String, other: String },
    /// The options do not allow a link.
    #[error("the symbolic link {path:?} leads to {target:?}, and {reason}")]
    Symlink {
        path: String,
        target: String,
        reason: &'static str,
    },
    /// The commit exceeds a limit.
    #[error("the commit exceeds options.limits.{limit}: {reason}")]
    Limit { limit: &'static str, reason: String },
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Object { .. } | Self::Pack(_) => Code::RepositoryInvalid,
            Self::Path { .. } | Self::Alias { .. } => Code::PathUnsafe,
            Self::Symlink { .. } => Code::SymlinkRefused,
            Self::Limit { .. } => Code::LimitExceeded,
        }
    }
}
