//! Lists a tree.

use std::collections::{HashMap, HashSet};

use domain::limits::TreeLimits;
use domain::source::Symlinks;
use git2::{ObjectType, Oid, Repository};

use crate::entry::{Content, Entry};
use crate::error::Error;
use crate::fold::{Key, Keys, ROOT};
use crate::links::Links;
use crate::repository::unreadable;
use crate::{link, lossy, name};

/// The most paths that warnings name. The others are only counted.
const MAX_WARNINGS: usize = 10;

/// A tree.
#[derive(Debug)]
pub struct Tree {
    /// The files, links and submodules, sorted by the bytes of their paths.
    pub entries: Vec<Entry>,
    /// Warnings for the trail.
    pub warnings: Vec<String>,
}

/// What a tree may hold, and how it is listed.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The limits of the tree.
    pub limits: TreeLimits,
    /// Which links are allowed.
    pub symlinks: Symlinks,
    /// The trees of the submodules that were fetched, by their paths, which end with a slash. These submodules are
    /// listed as folders.
    pub submodules: &'a HashMap<Vec<u8>, Oid>,
}

/// Lists `tree`.
///
/// # Errors
/// Returns an [`Error`] if the tree cannot be read, or is not allowed by `rules`.
pub fn list(repository: &Repository, tree: Oid, rules: &Rules<'_>) -> Result<Tree, Error> {
    let mut listing = Listing {
        rules,
        entries: Vec::new(),
        folders: vec![(Vec::new(), tree)],
        seen: 0,
        path_bytes: 0,
        keys: Keys::default(),
        collisions: Vec::new(),
    };
    while let Some((folder, oid)) = listing.folders.pop() {
        let tree = repository.find_tree(oid).map_err(unreadable(oid, &folder))?;
        listing.folder(&tree, &folder)?;
    }
    let Listing {
        mut entries,
        collisions,
        ..
    } = listing;
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    if let Some(links) = Links::of(&entries)? {
        let odb = repository.odb().map_err(Error::Pack)?;
        link::check(&odb, &entries, &links, rules.symlinks)?;
    }
    Ok(Tree {
        entries,
        warnings: collision_warnings(collisions),
    })
}

struct Listing<'a> {
    rules: &'a Rules<'a>,
    entries: Vec<Entry>,
    /// The folders that are still to be listed.
    folders: Vec<(Vec<u8>, Oid)>,
    /// The number of entries so far, folders included. It is limited, because a few small trees can refer to each other
    /// so that they list millions of entries.
    seen: u64,
    /// The bytes of all paths so far. They are limited, because a deep folder makes each path below it thousands of
    /// bytes long.
    path_bytes: u64,
    keys: Keys,
    collisions: Vec<Vec<u8>>,
}

impl Listing<'_> {
    fn folder(&mut self, tree: &git2::Tree<'_>, folder: &[u8]) -> Result<(), Error> {
        self.seen += tree.len() as u64;
        if self.seen > self.rules.limits.entries {
            return Err(Error::Limit {
                limit: "entries",
                reason: format!(
                    "it has more than {} files, links and folders",
                    self.rules.limits.entries
                ),
            });
        }
        let mut names = HashSet::with_capacity(tree.len());
        let mut keys: HashSet<Key> = HashSet::with_capacity(tree.len());
        for entry in tree {
            let path = name::join(folder, entry.name_bytes())?;
            self.path_bytes += path.len() as u64;
            if self.path_bytes > self.rules.limits.path_bytes {
                return Err(Error::Limit {
                    limit: "path_bytes",
                    reason: format!(
                        "the paths of its files, links and folders have more than {} bytes",
                        self.rules.limits.path_bytes
                    ),
                });
            }
            // No honest git writes a name twice. One may be a file and the other a folder.
            if !names.insert(entry.name_bytes().to_vec()) {
                return Err(Error::Path {
                    path: lossy(&path),
                    reason: "it is there twice",
                });
            }
            if !keys.insert(self.keys.of(ROOT, entry.name_bytes())) {
                self.collisions.push(path.clone());
            }
            self.entry(&entry, path)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &git2::TreeEntry<'_>, mut path: Vec<u8>) -> Result<(), Error> {
        let object = entry.id();
        let content = match (entry.filemode_raw() & 0o170_000, entry.kind()) {
            (0o040_000, _) => {
                path.push(b'/');
                self.folders.push((path, object));
                return Ok(());
            }
            (0o160_000, _) => {
                path.push(b'/');
                if let Some(tree) = self.rules.submodules.get(&path) {
                    self.folders.push((path, *tree));
                    return Ok(());
                }
                Content::Submodule { commit: object }
            }
            (0o120_000, _) => Content::Symlink { blob: object },
            (0o100_000, Some(ObjectType::Blob) | None) => Content::File {
                blob: object,
                executable: entry.filemode_raw() & 0o100 != 0,
            },
            _ => {
                return Err(Error::Path {
                    path: lossy(&path),
                    reason: "its mode is not one that git writes",
                });
            }
        };
        self.entries.push(Entry { path, content });
        Ok(())
    }
}

fn collision_warnings(mut collisions: Vec<Vec<u8>>) -> Vec<String> {
    collisions.sort_unstable();
    let more = collisions.len().saturating_sub(MAX_WARNINGS);
    let mut warnings: Vec<String> = collisions
        .iter()
        .take(MAX_WARNINGS)
        .map(|path| {
            format!(
                "{} and another path have the same name on Windows or macOS, where one of them is lost",
                lossy(path)
            )
        })
        .collect();
    if more > 0 {
        warnings.push(format!("so do {more} more paths"));
    }
    warnings
}
