//! Finds the files of a tree that are Git LFS pointers.

use git2::Repository;

use crate::attributes::Attributes;
use crate::entry::{Content, Entry};
use crate::error::Error;
use crate::pointer::{POINTER_BYTES, Pointer};
use crate::repository::unreadable;

/// Returns the files that are pointers, each with its pointer. A file is one if its attributes say so and its content
/// has the form of a pointer; git-lfs takes any other content for a large file that was committed by mistake, and
/// leaves it.
///
/// # Errors
/// Returns [`Error::Object`] if a file cannot be read, and the errors of [`Attributes::of`].
pub fn pointers<'e>(
    repository: &Repository,
    entries: &'e [Entry],
    attributes: &Attributes,
) -> Result<Vec<(&'e Entry, Pointer)>, Error> {
    let odb = repository.odb().map_err(Error::Pack)?;
    let mut found = Vec::new();
    for entry in entries {
        let Content::File { blob, .. } = entry.content else {
            continue;
        };
        if !attributes.is_lfs(&entry.path)? {
            continue;
        }
        let (size, _) = odb.read_header(blob).map_err(unreadable(blob, &entry.path))?;
        if size >= POINTER_BYTES {
            continue;
        }
        let content = odb.read(blob).map_err(unreadable(blob, &entry.path))?;
        if let Some(pointer) = Pointer::parse(content.data()) {
            found.push((entry, pointer));
        }
    }
    Ok(found)
}
