//! A release: an archive with functions that are built already, from which `push-code deploy` deploys without a
//! compiler. The program `release` makes it.
//!
//! ```text
//! push-code-VERSION/
//!   CHANGELOG.md LICENSE README.md
//!   push-code                              the command, for Linux on x86_64
//!   samconfig.toml                         the defaults of sam deploy
//!   statemachine/push.asl.json ...
//!   x86_64/template.yaml delivery.yaml     for these processors alone
//!   x86_64/accept/bootstrap ...            the functions
//!   arm64/...
//! ```

mod error;
pub mod layout;
pub mod pack;
pub mod sums;
mod unpack;

use std::path::{Path, PathBuf};

use local_aws::application::PUSH_CODE;
use local_aws::architecture::Architecture;
use shell::progress::Progress;
use tempfile::TempDir;

pub use error::Error;

/// A release that can be deployed.
#[derive(Debug)]
pub struct Release {
    folder: PathBuf,
    version: String,
    architectures: Vec<Architecture>,
    /// The folder that it was unpacked into, which is removed with this value.
    _unpacked: Option<TempDir>,
}

impl Release {
    /// Opens a release: an archive, which is checked against `SHA256SUMS` if that is beside it, or the folder that was
    /// in one.
    ///
    /// # Errors
    /// Returns an error if it is no release, or not the one that `SHA256SUMS` names.
    pub fn open(path: &Path, progress: Progress) -> Result<Self, Error> {
        if path.is_dir() {
            // sam runs in it.
            let folder = path.canonicalize().map_err(Error::io("find", path))?;
            return Self::in_folder(path, folder, None);
        }
        let step = progress.step(format!("Unpacking {}", path.display()));
        let unpacked = unpack::unpack(path)?;
        let release = Self::in_folder(path, unpacked.folder, Some(unpacked.holder))?;
        let checked = if unpacked.is_checked {
            "its checksum is that of SHA256SUMS"
        } else {
            "there is no SHA256SUMS beside it to check it by"
        };
        step.done(&format!("Unpacked {}: {checked}", path.display()));
        Ok(release)
    }

    fn in_folder(named: &Path, folder: PathBuf, unpacked: Option<TempDir>) -> Result<Self, Error> {
        let template = |architecture| folder.join(layout::template_path(&PUSH_CODE, architecture));
        let all = Architecture::all().iter().copied();
        let architectures: Vec<_> = all.filter(|&one| template(one).is_file()).collect();
        let not = |reason: String| Error::NotARelease {
            path: named.to_owned(),
            reason,
        };
        let Some(&first) = architectures.first() else {
            let name = layout::template_path(&PUSH_CODE, Architecture::X86_64);
            return Err(not(format!("it has no {}", name.display())));
        };
        let file = template(first);
        let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        let version =
            layout::version_of(&text).map_err(|reason| not(format!("{}: {reason}", file.display())))?;
        Ok(Self {
            folder,
            version,
            architectures,
            _unpacked: unpacked,
        })
    }

    /// Returns its version, which its template says.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the processors that it has functions for, the template's default first.
    #[must_use]
    pub fn architectures(&self) -> &[Architecture] {
        &self.architectures
    }

    /// Returns the template of Push Code for these processors, which names their functions.
    #[must_use]
    pub fn template(&self, architecture: Architecture) -> PathBuf {
        self.folder.join(layout::template_path(&PUSH_CODE, architecture))
    }
}
