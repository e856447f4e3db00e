//! Offers a host the commit of an earlier fetch, so that it sends only what has changed since.
//!
//! The repository says that it has that commit and nothing before it. The host then takes the commit's whole tree for
//! known, and sends what the new one has besides.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};

use crate::request::Base;

/// The local ref of the offered commit: libgit2 offers what its refs lead to.
const LOCAL_BASE: &str = "refs/push/offered";

/// Puts a base into a new bare repository at `folder`.
///
/// # Errors
/// Returns an error if its packs do not hold the commit.
pub fn put(folder: &Path, base: &Base) -> Result<(), git2::Error> {
    let io = |error: std::io::Error| git2::Error::from_str(&error.to_string());
    for (number, pack) in base.packs.iter().enumerate() {
        // No pack's name is a prefix of another one's, or libgit2 would skip the other one. Those of fetched packs
        // begin with `pack-`.
        let name = folder.join("objects/pack").join(format!("base-{number}_.pack"));
        std::fs::hard_link(pack, &name).map_err(io)?;
        std::fs::hard_link(pack.with_extension("idx"), name.with_extension("idx")).map_err(io)?;
    }
    std::fs::write(folder.join("shallow"), format!("{}\n", base.commit)).map_err(io)?;
    let repository = Repository::open_bare(folder)?;
    let commit = repository.find_commit(Oid::from_str(base.commit.as_str())?)?;
    repository.reference(LOCAL_BASE, commit.id(), true, "")?;
    Ok(())
}

/// Removes packs and their indexes to free disk space.
pub fn remove_packs(packs: &[PathBuf]) {
    for pack in packs {
        for file in [pack.clone(), pack.with_extension("idx")] {
            // One that stays only takes room.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Checks that a repository has a tree with all that is in it. A host sends what the base lacks, and the packs of the
/// base may lack what it takes for known.
///
/// # Errors
/// Returns an error that names the first object that is missing.
pub fn check_tree(repository: &Repository, tree: Oid) -> Result<(), git2::Error> {
    let odb = repository.odb()?;
    let mut seen = HashSet::from([tree]);
    let mut next = vec![tree];
    while let Some(id) = next.pop() {
        for entry in &repository.find_tree(id)? {
            match entry.kind() {
                Some(ObjectType::Tree) if seen.insert(entry.id()) => next.push(entry.id()),
                Some(ObjectType::Blob) if seen.insert(entry.id()) && !odb.exists(entry.id()) => {
                    return Err(git2::Error::from_str(&format!(
                        "the blob {} is missing",
                        entry.id()
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use git2::Signature;

    use super::*;

    #[test]
    fn a_repository_has_the_objects_of_all_packs_of_a_base() {
        let folder = tempfile::tempdir().unwrap();
        let made = Repository::init_bare(folder.path().join("made")).unwrap();
        let write = |number: usize, objects: &[Oid]| {
            let to = folder.path().join(number.to_string());
            std::fs::create_dir(&to).unwrap();
            let mut builder = made.packbuilder().unwrap();
            for object in objects {
                builder.insert_object(*object, None).unwrap();
            }
            builder.write(&to, 0).unwrap();
            to.join(format!("pack-{}.pack", builder.name().unwrap().unwrap()))
        };
        let tree = made.treebuilder(None).unwrap().write().unwrap();
        let nobody = Signature::now("nobody", "nobody@example.com").unwrap();
        let commit = made
            .commit(None, &nobody, &nobody, "", &made.find_tree(tree).unwrap(), &[])
            .unwrap();
        let blobs: Vec<_> = (0..30).map(|number| made.blob(&[number]).unwrap()).collect();
        let mut packs = vec![write(100, &[commit, tree])];
        packs.extend(
            blobs
                .iter()
                .enumerate()
                .map(|(number, blob)| write(number, &[*blob])),
        );
        let base = Base {
            commit: commit.to_string().parse().unwrap(),
            packs,
        };
        let at = folder.path().join("at");
        let repository = Repository::init_bare(&at).unwrap();
        put(&at, &base).unwrap();
        for blob in blobs {
            assert!(repository.find_blob(blob).is_ok(), "{blob}");
        }
    }
}
