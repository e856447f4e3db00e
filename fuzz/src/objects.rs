//! Repositories in memory.

use git2::{Error, ObjectType, Odb, Oid, Repository};

/// Creates an empty repository in memory.
///
/// # Errors
/// Returns an error of libgit2.
pub fn repository() -> Result<Repository, Error> {
    let odb = Odb::new()?;
    odb.add_new_mempack_backend(1)?;
    Repository::from_odb(odb)
}

/// Adds objects, each of which is a letter, `b` for a blob and `t` for a tree, and its bytes. A tree can refer only to
/// objects that were added before it: the first byte of an id in it is the number of the object.
///
/// # Errors
/// Returns an error of libgit2.
pub fn add<'a>(
    repository: &Repository,
    objects: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<(ObjectType, Oid)>, Error> {
    let odb = repository.odb()?;
    let mut added: Vec<(ObjectType, Oid)> = Vec::new();
    for object in objects {
        let (kind, id) = match object.split_first() {
            Some((b'b', blob)) => (ObjectType::Blob, odb.write(ObjectType::Blob, blob)?),
            Some((b't', tree)) => (
                ObjectType::Tree,
                odb.write(ObjectType::Tree, &with_ids(tree, &added))?,
            ),
            _ => continue,
        };
        added.push((kind, id));
    }
    Ok(added)
}

/// Returns a tree's bytes with the ids of `objects` in place of their numbers. Malformed parts are left as they are.
#[must_use]
pub fn with_ids(tree: &[u8], objects: &[(ObjectType, Oid)]) -> Vec<u8> {
    let mut bytes = tree.to_vec();
    let mut at = 0;
    while let Some(nul) = bytes[at..].iter().position(|byte| *byte == 0) {
        let id = at + nul + 1;
        let Some(room) = bytes.get_mut(id..id + 20) else {
            break;
        };
        if let Some((_, object)) = objects.get(usize::from(room[0])) {
            room.copy_from_slice(object.as_bytes());
        }
        at = id + 20;
    }
    bytes
}
