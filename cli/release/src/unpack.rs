//! Unpacks an archive, and refuses what would be written elsewhere.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Seek};
use std::path::{Path, PathBuf};

use aws::failure::chain;
use flate2::read::GzDecoder;
use tar::Archive;
use tempfile::TempDir;

use crate::{Error, sums};

/// An archive that is unpacked.
pub(crate) struct Unpacked {
    /// The temporary folder with it.
    pub holder: TempDir,
    /// The archive's one folder.
    pub folder: PathBuf,
    /// Whether its checksum is that of `SHA256SUMS` beside it. `false` if there is no such file.
    pub is_checked: bool,
}

/// Checks and unpacks an archive into a temporary folder.
///
/// # Errors
/// Returns an error if it is no release, or not the one that `SHA256SUMS` names.
pub(crate) fn unpack(path: &Path) -> Result<Unpacked, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let is_checked = sums::check(path, &mut file)?;
    file.rewind().map_err(Error::io("read", path))?;
    let holder = tempfile::Builder::new().prefix("push-code-").tempdir();
    let holder = holder.map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
    let unreadable = |error| unreadable(path, error);
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |what| Error::UnsafeEntry {
            path: path.to_owned(),
            entry: name,
            what,
        };
        let kind = entry.header().entry_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(refused("is neither a file nor a folder"));
        }
        if !entry.unpack_in(holder.path()).map_err(unreadable)? {
            return Err(refused("leads out of the archive's folder"));
        }
    }
    let mut entries = std::fs::read_dir(holder.path()).map_err(Error::io("read", holder.path()))?;
    let folder = match (entries.next(), entries.next()) {
        (Some(Ok(folder)), None) => folder.path(),
        _ => {
            return Err(Error::NotARelease {
                path: path.to_owned(),
                reason: "it has not one folder in it".to_owned(),
            });
        }
    };
    Ok(Unpacked {
        holder,
        folder,
        is_checked,
    })
}

/// Returns why an archive cannot be unpacked: because of what is in it, or because of this machine.
fn unreadable(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof | ErrorKind::Other => {
            Error::NotARelease {
                path: path.to_owned(),
                reason: format!("it cannot be unpacked ({})", chain(&error)),
            }
        }
        _ => Error::io("unpack", path)(error),
    }
}
