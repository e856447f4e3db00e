//! The commit's tree as a list of entries.

use std::io;
use std::path::{Path, PathBuf};

use domain::git::{CommitId, ObjectId};
use domain::source::Limits;
use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository};

use crate::error::Error;

/// The longest path, in bytes: Linux's `PATH_MAX`.
pub const PATH_BYTES: usize = 4_096;

/// One entry of the zip.
#[derive(Debug)]
pub struct Entry {
    /// Its path from the root, parts separated by `/`; a folder's ends with one.
    pub path: Vec<u8>,
    /// What is in it.
    pub content: Content,
}

/// What is in an entry.
#[derive(Debug)]
pub enum Content {
    /// A file.
    File { blob: Oid, executable: bool },
    /// A symbolic link, whose target is the blob's content.
    Symlink { blob: Oid },
    /// A submodule: an empty folder, as in a clone without submodules.
    Submodule,
    /// A file that is not the commit's.
    Made(Vec<u8>),
}

/// Where the staged pack of `commit` has to be, so that the repository `repository` has it. Makes the folders.
pub fn pack_path(repository: &Path, commit: &CommitId) -> io::Result<PathBuf> {
    let folder = repository.join("objects").join("pack");
    std::fs::create_dir_all(&folder)?;
    std::fs::create_dir_all(repository.join("refs"))?;
    std::fs::write(repository.join("HEAD"), "ref: refs/heads/main\n")?;
    Ok(folder.join(format!("pack-{commit}.pack")))
}

/// Opens the repository that was made around the staged pack.
pub fn open(repository: &Path) -> Result<Repository, Error> {
    Repository::open_bare(repository).map_err(Error::Pack)
}

/// Lists the entries of `tree`. The tree may be hostile: it is checked that each path is one that stays within the
/// folder that it is unpacked into.
pub fn list(repository: &Path, tree: &ObjectId, limits: &Limits) -> Result<Vec<Entry>, Error> {
    // Each object was hashed when the pack was indexed, which is how the index knows its id. git does not do it again
    // at each reading either. That it is read as it was written, zlib's checksum says.
    git2::opts::strict_hash_verification(false);
    let repository = open(repository)?;
    let root = Oid::from_str(tree.as_str()).map_err(Error::Pack)?;
    let mut entries = Vec::new();
    let mut folders = vec![(Vec::new(), root)];
    while let Some((prefix, oid)) = folders.pop() {
        let tree = repository.find_tree(oid).map_err(unreadable(oid, &prefix))?;
        for entry in &tree {
            let mut path = join(&prefix, entry.name_bytes())?;
            let blob = entry.id();
            let content = match (entry.filemode_raw() & 0o170_000, entry.kind()) {
                (0o040_000, _) => {
                    path.push(b'/');
                    folders.push((path, blob));
                    continue;
                }
                (0o160_000, _) => {
                    path.push(b'/');
                    Content::Submodule
                }
                (0o120_000, _) => Content::Symlink { blob },
                (0o100_000, Some(ObjectType::Blob) | None) => Content::File {
                    blob,
                    executable: entry.filemode_raw() & 0o100 != 0,
                },
                _ => {
                    return Err(Error::Path {
                        path: lossy(&path),
                        reason: "its mode is none of git's",
                    });
                }
            };
            entries.push(Entry { path, content });
            if entries.len() as u64 > limits.entries {
                return Err(Error::Limit {
                    limit: "entries",
                    met: format!("it has more than {} files", limits.entries),
                });
            }
        }
    }
    Ok(entries)
}

/// A path for people, with U+FFFD for what is not UTF-8.
fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn join(prefix: &[u8], name: &[u8]) -> Result<Vec<u8>, Error> {
    let path = [prefix, name].concat();
    let reason = if matches!(name, b"" | b"." | b"..") {
        "its name is empty, '.' or '..'"
    } else if name.contains(&b'/') || name.contains(&0) {
        "its name has a slash or a NUL"
    } else if name.eq_ignore_ascii_case(b".git") {
        "its name is git's own folder's"
    } else if path.len() > PATH_BYTES {
        "it has more than 4,096 bytes"
    } else {
        return Ok(path);
    };
    Err(Error::Path {
        path: lossy(&path),
        reason,
    })
}

/// Refuses a path that is there twice, which no honest git writes. The entries are in order.
pub fn refuse_repeated(entries: &[Entry]) -> Result<(), Error> {
    match entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
        Some(pair) => Err(Error::Path {
            path: lossy(&pair[0].path),
            reason: "it is there twice",
        }),
        None => Ok(()),
    }
}

/// What it means that an object cannot be read.
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
    fn names_that_lead_elsewhere_are_refused() {
        for hostile in ["", ".", "..", "a/b", "/etc", ".git", ".GIT", "a\0b"] {
            assert!(
                matches!(join(b"dir/", hostile.as_bytes()), Err(Error::Path { .. })),
                "{hostile:?}"
            );
        }
        assert!(join(&b"x/".repeat(2_048), b"y").is_err());
        assert_eq!(join(b"dir/", b".gitignore").unwrap(), b"dir/.gitignore");
        assert_eq!(join(b"dir/", b"\xff").unwrap(), b"dir/\xff");
    }
}
