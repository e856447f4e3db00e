//! The folders of a measurement.

use std::path::Path;

use crate::error::Error;

/// Removes a folder, if it is there.
pub fn remove(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder)(error)),
        _ => Ok(()),
    }
}
