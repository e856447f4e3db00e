//! Makes a repository around staged packs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};

use crate::error::Error;
use crate::lossy;

/// Returns the path at which the repository `repository` finds a pack of this name, and creates its folders.
///
/// # Errors
/// Returns the error of the file system if the folders cannot be created.
pub fn pack_path(repository: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = repository.join("objects").join("pack");
    std::fs::create_dir_all(&folder)?;
    std::fs::create_dir_all(repository.join("refs"))?;
    std::fs::write(repository.join("HEAD"), "ref: refs/heads/main\n")?;
    Ok(folder.join(format!("pack-{name}.pack")))
}

/// Opens the repository that was made around staged packs.
///
/// # Errors
/// Returns [`Error::Pack`] if it is not a repository.
pub fn open(repository: &Path) -> Result<Repository, Error> {
    static NO_SECOND_HASH: Once = Once::new();
    // Each object was hashed when its pack was indexed, which is how the index knows its id. Like git, we do not hash
    // it again at each reading: zlib's checksum shows that it is read as it was written.
    NO_SECOND_HASH.call_once(|| git2::opts::strict_hash_verification(false));
    Repository::open_bare(repository).map_err(Error::Pack)
}

/// Checks that the object at `path`, which is a file or a link, is a blob. A tree may name any object by any mode.
///
/// # Errors
/// Returns [`Error::Object`] if it is not.
pub fn check_blob(kind: ObjectType, object: Oid, path: &[u8]) -> Result<(), Error> {
    if kind == ObjectType::Blob {
        return Ok(());
    }
    let text = format!("it is a {kind} and not a blob");
    let source = git2::Error::new(ErrorCode::Invalid, ErrorClass::Odb, text);
    Err(unreadable(object, path)(source))
}

/// Makes the error of an object at `path` that cannot be read. An empty `path` means that the path is not known.
pub fn unreadable(object: Oid, path: &[u8]) -> impl FnOnce(git2::Error) -> Error {
    let at = if path.is_empty() {
        String::new()
    } else {
        format!(" ({})", lossy(path))
    };
    move |source| {
        let source = if source.code() == ErrorCode::NotFound {
            git2::Error::new(ErrorCode::NotFound, ErrorClass::Odb, "the host did not send it")
        } else {
            source
        };
        Error::Object {
            object: object.to_string(),
            at,
            source,
        }
    }
}
