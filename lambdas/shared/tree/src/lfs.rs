//! Which files of a tree are Git LFS pointers.

use git2::Repository;

use crate::attributes::Attributes;
use crate::error::Error;
use crate::list::{Content, Entry};
use crate::pointer::{POINTER_BYTES, Pointer};
use crate::repository::unreadable;

/// The files that are pointers, each with what it points to: those whose attributes say so, and which have a pointer's form.
/// git-lfs takes any other for a large file that was committed by mistake, and leaves it.
///
/// # Errors
/// [`Error::Object`], and [`Error::Limit`] as of [`Attributes::of`].
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
