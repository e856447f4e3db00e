//! The list.

use std::collections::{HashMap, HashSet};

use domain::source::{Limits, Symlinks};
use git2::{ObjectType, Odb, Oid, Repository};

use crate::error::Error;
use crate::repository::unreadable;
use crate::{link, lossy, name};

/// More warnings of one kind are only counted.
const WARNINGS: usize = 10;
/// The longest target of a symbolic link, in bytes: Linux's `PATH_MAX`.
const TARGET_BYTES: usize = 4_096;

/// One entry of the tree.
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
    File {
        /// Its content.
        blob: Oid,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Its target.
        blob: Oid,
    },
    /// A submodule.
    Submodule {
        /// The commit that is recorded.
        commit: Oid,
    },
}

/// A tree.
#[derive(Debug)]
pub struct Tree {
    /// Its files, links and submodules, in the order of their paths' bytes.
    pub entries: Vec<Entry>,
    /// What a reader of the trail should know.
    pub warnings: Vec<String>,
}

/// What is allowed, and what is known besides.
#[derive(Debug)]
pub struct Rules<'a> {
    /// Of these, `entries`.
    pub limits: &'a Limits,
    /// What becomes of links.
    pub symlinks: Symlinks,
    /// The trees of the submodules that were fetched, by their paths, which end with a slash. They are listed as folders.
    pub submodules: &'a HashMap<Vec<u8>, Oid>,
}

/// Lists `tree`.
///
/// # Errors
/// [`Error`].
pub fn list(repository: &Repository, tree: Oid, rules: &Rules<'_>) -> Result<Tree, Error> {
    let odb = repository.odb().map_err(Error::Pack)?;
    let mut listing = Listing {
        odb: &odb,
        rules,
        entries: Vec::new(),
        folders: vec![(Vec::new(), tree)],
        seen: 0,
        collisions: Vec::new(),
    };
    while let Some((folder, oid)) = listing.folders.pop() {
        let tree = repository.find_tree(oid).map_err(unreadable(oid, &folder))?;
        listing.folder(&tree, &folder)?;
    }
    listing.check_turns()?;
    let Listing {
        mut entries,
        collisions,
        ..
    } = listing;
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(Tree {
        entries,
        warnings: warn_of(collisions),
    })
}

struct Listing<'a> {
    odb: &'a Odb<'a>,
    rules: &'a Rules<'a>,
    entries: Vec<Entry>,
    /// What is still to be listed.
    folders: Vec<(Vec<u8>, Oid)>,
    /// The entries so far, folders included: a few small trees can name each other's millions of times.
    seen: u64,
    collisions: Vec<Vec<u8>>,
}

impl Listing<'_> {
    fn folder(&mut self, tree: &git2::Tree<'_>, folder: &[u8]) -> Result<(), Error> {
        self.seen += tree.len() as u64;
        if self.seen > self.rules.limits.entries {
            return Err(Error::Limit {
                limit: "entries",
                met: format!(
                    "it has more than {} files, links and folders",
                    self.rules.limits.entries
                ),
            });
        }
        let mut names = HashSet::with_capacity(tree.len());
        let mut folded = HashSet::with_capacity(tree.len());
        for entry in tree {
            let path = name::join(folder, entry.name_bytes())?;
            // No honest git writes that. One may be a file and the other a folder.
            if !names.insert(entry.name_bytes().to_vec()) {
                return Err(Error::Path {
                    path: lossy(&path),
                    reason: "it is there twice",
                });
            }
            if !folded.insert(fold_case(entry.name_bytes())) {
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
            (0o120_000, _) => {
                self.check_link(&path, object)?;
                Content::Symlink { blob: object }
            }
            (0o100_000, Some(ObjectType::Blob) | None) => Content::File {
                blob: object,
                executable: entry.filemode_raw() & 0o100 != 0,
            },
            _ => {
                return Err(Error::Path {
                    path: lossy(&path),
                    reason: "its mode is none of git's",
                });
            }
        };
        self.entries.push(Entry { path, content });
        Ok(())
    }

    fn check_link(&self, path: &[u8], blob: Oid) -> Result<(), Error> {
        let (size, _) = self.odb.read_header(blob).map_err(unreadable(blob, path))?;
        if size > TARGET_BYTES {
            return Err(Error::Path {
                path: lossy(path),
                reason: "it is a symbolic link of more than 4,096 bytes",
            });
        }
        if self.rules.symlinks == Symlinks::Keep {
            return Ok(());
        }
        let target = self.odb.read(blob).map_err(unreadable(blob, path))?;
        let reason = match self.rules.symlinks {
            Symlinks::Refuse => "the option symlinks is \"refuse\"",
            Symlinks::Inside if link::leaves(path, target.data()) => "the option symlinks is \"inside\"",
            Symlinks::Inside | Symlinks::Keep => return Ok(()),
        };
        Err(Error::Symlink {
            path: lossy(path),
            target: lossy(target.data()),
            reason,
        })
    }

    /// Refuses links that lead out by way of others, where none may lead out. All links have to be known for it.
    fn check_turns(&self) -> Result<(), Error> {
        if self.rules.symlinks != Symlinks::Inside {
            return Ok(());
        }
        let links: Vec<(&[u8], Oid)> = self
            .entries
            .iter()
            .filter_map(|entry| match entry.content {
                Content::Symlink { blob } => Some((entry.path.as_slice(), blob)),
                _ => None,
            })
            .collect();
        let paths: HashSet<Vec<u8>> = links.iter().map(|(path, _)| fold_case(path)).collect();
        // One target may stand in a folder millions of times.
        let mut seen = HashSet::new();
        for (path, blob) in links {
            let folder = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            if !seen.insert((&path[..folder], blob)) {
                continue;
            }
            let target = self.odb.read(blob).map_err(unreadable(blob, path))?;
            if link::turns(path, target.data(), |path| paths.contains(&fold_case(path))) {
                return Err(Error::Symlink {
                    path: lossy(path),
                    target: lossy(target.data()),
                    reason: "the option symlinks is \"inside\": it goes up after another link",
                });
            }
        }
        Ok(())
    }
}

/// Names that are equal after this are one name on Windows and macOS.
fn fold_case(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => name.to_ascii_lowercase(),
    }
}

fn warn_of(mut collisions: Vec<Vec<u8>>) -> Vec<String> {
    collisions.sort_unstable();
    let more = collisions.len().saturating_sub(WARNINGS);
    let mut warnings: Vec<String> = collisions
        .iter()
        .take(WARNINGS)
        .map(|path| {
            format!(
                "{} differs from another path in upper and lower case only: on Windows and macOS one of them is lost",
                lossy(path)
            )
        })
        .collect();
    if more > 0 {
        warnings.push(format!("so do {more} more paths"));
    }
    warnings
}
