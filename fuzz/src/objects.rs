//! A repository in memory.

use git2::{Error, ObjectType, Odb, Oid, Repository};

/// A repository without a single object, on no disk.
///
/// # Errors
/// libgit2's.
pub fn repository() -> Result<Repository, Error> {
    let odb = Odb::new()?;
    odb.add_new_mempack_backend(1)?;
    Repository::from_odb(odb)
}

/// Adds objects, each of which is a letter, `b` for a blob and `t` for a tree, and its bytes. A tree can name only what
/// was added before it: the first byte of an id in it is the number of the object.
///
/// # Errors
/// libgit2's.
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

/// A tree's bytes with the ids of `objects` in the place of their numbers. What cannot be read is left as it is.
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
