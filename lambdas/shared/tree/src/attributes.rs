//! Looks up the attributes of paths in the `.gitattributes` of a commit, as `git archive` reads them from the commit's
//! trees: the attributes of the system, of the user and of a clone play no part.
//!
//! Only the attributes that the zip depends on are looked up, and lines about others cost nothing once they are read: a
//! path is compared only with the lines that may apply to it.

mod budget;
mod export_ignore;
mod file;
mod glob;
mod macros;
mod names;
mod rules;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use domain::limits::TreeLimits;
use git2::{Odb, Oid, Repository};

use crate::entry::{Content, Entry};
use crate::error::Error;
use crate::repository::unreadable;
use budget::Budget;
pub use export_ignore::ExportIgnoreFilter;
use macros::Macros;
use names::{COUNT, Name, Names};
use rules::{Lookup, Rules};

/// The name of the file that holds a folder's attributes.
const FILE_NAME: &[u8] = b".gitattributes";
/// git ignores an attributes file of at least this size.
const FILE_BYTES: usize = 100 << 20;

/// The state of an attribute at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No line sets it, or the last one that does is `!name`.
    Unspecified,
    /// `name`.
    Set,
    /// `-name`.
    Unset,
    /// `name=value`.
    Value(Vec<u8>),
}

impl State {
    /// Returns whether the attribute has this value.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        matches!(self, Self::Value(own) if own == value.as_bytes())
    }
}

/// The attributes at a path.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "they are git's own names")]
pub struct PathAttributes<'a> {
    pub export_ignore: &'a State,
    pub export_subst: &'a State,
    pub text: &'a State,
    pub eol: &'a State,
    pub crlf: &'a State,
    pub ident: &'a State,
    pub working_tree_encoding: &'a State,
    pub filter: &'a State,
}

/// The attributes of a commit's paths.
#[derive(Debug)]
pub struct Attributes {
    /// The rules by the folder's path, which is empty or ends with a slash. The roots always have an item.
    levels: HashMap<Vec<u8>, Level>,
    budget: Budget,
}

#[derive(Debug)]
struct Level {
    rules: Arc<Rules>,
    macros: Arc<Macros>,
    /// Whether the attributes of the folders above do not apply here.
    root: bool,
}

impl Attributes {
    /// Reads the attributes of a tree that was listed as `entries`. `submodules` has the paths, each with a slash at
    /// its end, of the submodules that are listed as folders: the attributes of a submodule are independent of those
    /// above it.
    ///
    /// # Errors
    /// Returns [`Error::Object`] if a file cannot be read, and [`Error::Limit`] if the files have more than
    /// `attributes_bytes`.
    pub fn read(
        repository: &Repository,
        entries: &[Entry],
        submodules: &[Vec<u8>],
        limits: TreeLimits,
    ) -> Result<Self, Error> {
        let files: HashMap<&[u8], Oid> = entries
            .iter()
            .filter_map(|entry| {
                let folder = entry.path.strip_suffix(FILE_NAME)?;
                match entry.content {
                    // git, when it reads from trees, also takes the target of a link for the content of a file.
                    Content::File { blob, .. } | Content::Symlink { blob }
                        if folder.is_empty() || folder.ends_with(b"/") =>
                    {
                        Some((folder, blob))
                    }
                    _ => None,
                }
            })
            .collect();
        let mut reader = Reader {
            odb: repository.odb().map_err(Error::Pack)?,
            attributes: Self {
                levels: HashMap::new(),
                budget: Budget::new(limits.attributes_steps),
            },
            read: HashMap::new(),
            bytes: 0,
            limits,
        };
        for root in std::iter::once(&Vec::new()).chain(submodules) {
            reader.root(root, files.get(root.as_slice()).copied())?;
        }
        let mut nested: Vec<_> = files
            .into_iter()
            .filter(|(folder, _)| !reader.attributes.levels.contains_key(*folder))
            .collect();
        nested.sort_unstable();
        for (folder, blob) in nested {
            reader.nested(folder, blob)?;
        }
        let Reader { mut attributes, .. } = reader;
        attributes
            .levels
            .retain(|_, level| level.root || !level.rules.is_empty());
        Ok(attributes)
    }

    /// Returns the attributes at `path`. The path of a folder ends with a slash, and so does that of a submodule, whose
    /// own attributes are set by the tree above it.
    ///
    /// # Errors
    /// Returns [`Error::Limit`] if this and all earlier look-ups have taken more than `attributes_steps`.
    pub fn of(&self, path: &[u8]) -> Result<PathAttributes<'_>, Error> {
        let states = self.look_up(path, Names::ALL)?;
        let state = |name: Name| states[name.index()];
        Ok(PathAttributes {
            export_ignore: state(Name::ExportIgnore),
            export_subst: state(Name::ExportSubst),
            text: state(Name::Text),
            eol: state(Name::Eol),
            crlf: state(Name::Crlf),
            ident: state(Name::Ident),
            working_tree_encoding: state(Name::WorkingTreeEncoding),
            filter: state(Name::Filter),
        })
    }

    /// Returns whether Git LFS stores the content of `path`, which is so if its attribute `filter` is `lfs`.
    ///
    /// # Errors
    /// Returns the same errors as [`Self::of`].
    pub fn is_lfs(&self, path: &[u8]) -> Result<bool, Error> {
        Ok(self.state(path, Name::Filter)?.is("lfs"))
    }

    /// Returns whether `git archive` leaves out `path` itself. It does not consider whether a folder above is left out.
    ///
    /// # Errors
    /// Returns the same errors as [`Self::of`].
    pub fn is_export_ignored(&self, path: &[u8]) -> Result<bool, Error> {
        Ok(*self.state(path, Name::ExportIgnore)? == State::Set)
    }

    fn state(&self, path: &[u8], name: Name) -> Result<&State, Error> {
        Ok(self.look_up(path, Names::of(name))?[name.index()])
    }

    /// Returns the states of the attributes `wanted` at `path`; the states of the others may be missing. If several
    /// lines set an attribute, the last line of the deepest folder decides.
    fn look_up(&self, path: &[u8], wanted: Names) -> Result<[&State; COUNT], Error> {
        let mut lookup = None;
        let mut end = parent(path, path.len());
        // If only the root has attributes, the folders in between need no look-up.
        if self.levels.len() == 1 {
            end = 0;
        }
        loop {
            // Looking the folder up hashes its path.
            self.budget.spend(1 + end as u64 / 4)?;
            if let Some(level) = self.levels.get(&path[..end]) {
                if level.rules.mention(wanted) {
                    let lookup = match &mut lookup {
                        Some(lookup) => lookup,
                        None => lookup.insert(Lookup::new(&level.macros, wanted, &self.budget)?),
                    };
                    if level.rules.apply(path, end, lookup)? {
                        break;
                    }
                }
                if level.root {
                    break;
                }
            }
            if end == 0 {
                break;
            }
            end = parent(path, end);
        }
        Ok(lookup.map_or([&State::Unspecified; COUNT], Lookup::states))
    }

    /// Returns the macros that are valid in `folder`.
    fn macros(&self, folder: &[u8]) -> Arc<Macros> {
        let mut end = folder.len();
        loop {
            end = parent(folder, end);
            if let Some(level) = self.levels.get(&folder[..end]) {
                return Arc::clone(&level.macros);
            }
            if end == 0 {
                return Arc::new(Macros::default());
            }
        }
    }
}

/// Returns where the last name of `path[..end]` begins. A slash at the end is part of the name.
fn parent(path: &[u8], end: usize) -> usize {
    path[..end.saturating_sub(1)]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1)
}

struct Reader<'r> {
    odb: Odb<'r>,
    limits: TreeLimits,
    /// The bytes of the files that were read so far.
    bytes: u64,
    attributes: Attributes,
    /// The files that were read, by the macros of their root and by blob: many folders may have the same file.
    read: HashMap<(*const Macros, Oid), Arc<Rules>>,
}

impl Reader<'_> {
    fn root(&mut self, folder: &[u8], blob: Option<Oid>) -> Result<(), Error> {
        let bytes = match blob {
            Some(blob) => self.bytes(folder, blob)?,
            None => Vec::new(),
        };
        let macros = Macros::read(&bytes);
        let level = Level {
            rules: Arc::new(Rules::read(&bytes, &macros)),
            macros: Arc::new(macros),
            root: true,
        };
        self.attributes.levels.insert(folder.to_vec(), level);
        Ok(())
    }

    fn nested(&mut self, folder: &[u8], blob: Oid) -> Result<(), Error> {
        let macros = self.attributes.macros(folder);
        let key = (Arc::as_ptr(&macros), blob);
        let known = self.read.get(&key).map(Arc::clone);
        let rules = match known {
            Some(rules) => rules,
            None => {
                let bytes = self.bytes(folder, blob)?;
                let rules = Arc::new(Rules::read(&bytes, &macros));
                self.read.insert(key, Arc::clone(&rules));
                rules
            }
        };
        if let Slot::Vacant(slot) = self.attributes.levels.entry(folder.to_vec()) {
            slot.insert(Level {
                rules,
                macros,
                root: false,
            });
        }
        Ok(())
    }

    fn bytes(&mut self, folder: &[u8], blob: Oid) -> Result<Vec<u8>, Error> {
        let path = [folder, FILE_NAME].concat();
        let (size, _) = self.odb.read_header(blob).map_err(unreadable(blob, &path))?;
        if size >= FILE_BYTES {
            return Ok(Vec::new());
        }
        // The limit bounds the work, because each line may be compared with each path.
        self.bytes += size as u64;
        if self.bytes > self.limits.attributes_bytes {
            return Err(Error::Limit {
                limit: "attributes_bytes",
                reason: format!(
                    "its .gitattributes have more than {} bytes",
                    self.limits.attributes_bytes
                ),
            });
        }
        let object = self.odb.read(blob).map_err(unreadable(blob, &path))?;
        Ok(object.data().to_vec())
    }
}
