//! Makes a repository around staged packs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};

use crate::error::Error;
use crate::lossy;

/// What the file name of a pack ends with before its extension. No name has it, so no file name begins another one:
/// libgit2 takes `pack-1` for known once it knows `pack-10`, as git itself gives all packs names of the same length.
const END: char = '_';

/// Returns the path at which the repository `repository` finds a pack of this name, which has no `_`, and creates its
/// folders.
///
/// # Errors
/// Returns the error of the file system if the folders cannot be created.
pub fn pack_path(repository: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = repository.join("objects").join("pack");
    std::fs::create_dir_all(&folder)?;
    std::fs::create_dir_all(repository.join("refs"))?;
    std::fs::write(repository.join("HEAD"), "ref: refs/heads/main\n")?;
    Ok(folder.join(format!("pack-{name}{END}.pack")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_the_objects_of_all_packs_whatever_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let (made, put) = (folder.path().join("made"), folder.path().join("put"));
        let mut blobs = Vec::new();
        for number in 0..30 {
            let repository = Repository::init_bare(made.join(number.to_string())).unwrap();
            let blob = repository.blob(format!("{number}").as_bytes()).unwrap();
            let mut builder = repository.packbuilder().unwrap();
            builder.insert_object(blob, None).unwrap();
            builder.write(repository.path(), 0).unwrap();
            let pack = repository
                .path()
                .join(format!("pack-{}.pack", builder.name().unwrap().unwrap()));
            let path = pack_path(&put, &number.to_string()).unwrap();
            for extension in ["pack", "idx"] {
                std::fs::rename(pack.with_extension(extension), path.with_extension(extension)).unwrap();
            }
            blobs.push(blob);
        }
        let repository = open(&put).unwrap();
        for blob in blobs {
            assert!(repository.find_blob(blob).is_ok(), "{blob}");
        }
    }
}
