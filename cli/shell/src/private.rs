//! Creates files and folders that only the user can read, because the local AWS and its logs hold secrets.

use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::IoError;

/// Creates a folder that only its owner may enter. If it exists, its permissions are changed to that.
///
/// # Errors
/// Returns an error if the folder cannot be created, or belongs to another user.
pub fn create_folder(path: &Path) -> Result<(), IoError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(IoError::of("create", path))
}

/// Creates an empty file that only its owner may read. If it exists, it is emptied and its permissions are changed to
/// that.
///
/// # Errors
/// Returns an error if the file cannot be created, or belongs to another user.
pub fn create_file(path: &Path) -> Result<File, IoError> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(IoError::of("write", path))?;
    file.set_permissions(Permissions::from_mode(0o600))
        .map_err(IoError::of("write", path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_become_readable_by_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (made, log) = (folder.path().join("made"), folder.path().join("made/log"));
        create_folder(&made).unwrap();
        drop(create_file(&log).unwrap());
        assert_eq!((mode(&made), mode(&log)), (0o700, 0o600));

        std::fs::set_permissions(&made, Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&log, Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&log, "old").unwrap();
        create_folder(&made).unwrap();
        drop(create_file(&log).unwrap());
        assert_eq!((mode(&made), mode(&log)), (0o700, 0o600));
        assert_eq!(std::fs::read(&log).unwrap(), b"");
    }
}
