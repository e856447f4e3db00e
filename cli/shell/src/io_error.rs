//! Errors of the file system.

use std::path::{Path, PathBuf};

/// An I/O error with the action that was tried, and its file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct IoError {
    /// What was tried.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// Why it failed.
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
