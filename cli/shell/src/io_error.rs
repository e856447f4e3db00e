//! What the file system refuses.

use std::path::{Path, PathBuf};

/// An I/O error with what was tried, and with what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct IoError {
    /// What was tried.
    pub action: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

impl IoError {
    /// Wraps an error of `action` with `path`.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
