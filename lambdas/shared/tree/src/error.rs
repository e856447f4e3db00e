//! Why a tree cannot be listed.

use domain::error::{Code, Coded};

/// Why a tree cannot be listed. Paths are shown with U+FFFD for what is not UTF-8.
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
    /// The pack is none.
    #[error("the pack cannot be opened")]
    Pack(#[source] git2::Error),
    /// A name that no honest git writes.
    #[error("the path {path:?} cannot be in a zip: {reason}")]
    Path { path: String, reason: &'static str },
    /// A link that is another path too, on some file system.
    #[error(
        "the symbolic link {link:?} and {other:?} are one name on some file systems, where files would be written through \
         the link: rename one of them"
    )]
    Alias { link: String, other: String },
    /// A link that the options do not allow.
    #[error("the symbolic link {path:?} leads to {target:?}, and {reason}")]
    Symlink {
        path: String,
        target: String,
        reason: &'static str,
    },
    /// A limit.
    #[error("the commit meets options.limits.{limit}: {met}")]
    Limit { limit: &'static str, met: String },
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
