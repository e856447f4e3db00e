//! Why Python tools cannot be installed, each with a remedy.

use std::path::PathBuf;

use shell::IoError;

/// An error of an installation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no usable Python.
    #[error(
        "{found}: install Python 3.10 to 3.14, so that one of `{tried}` runs it (Debian: apt install python3 python3-venv)"
    )]
    Python {
        /// What was found instead.
        found: String,
        /// The names that were tried.
        tried: String,
    },
    /// Python comes without venv.
    #[error(
        "{python} cannot make a virtual environment, as its module venv or ensurepip is missing: install it (Debian: apt install python3-venv), then run this again\n{detail}"
    )]
    VenvMissing {
        /// The interpreter.
        python: String,
        /// Its output.
        detail: String,
    },
    /// pip failed.
    #[error(
        "the Python tools in {requirements} could not be installed: check the network and pip's settings (pip config list), then run this again\n{tail}\nThe whole log: {}", log.display()
    )]
    Pip {
        /// The requirements file.
        requirements: &'static str,
        /// pip's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// A file or folder cannot be used.
    #[error(transparent)]
    Io(#[from] IoError),
}
