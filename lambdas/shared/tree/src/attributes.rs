//! What the `.gitattributes` of a commit say of its paths, as `git archive` reads them from the commit's trees: the
//! system's, the user's and a clone's own attributes play no part.
//!
//! Only the attributes that the zip depends on are looked up, and lines that are about others cost nothing afterwards:
//! a path is compared with those lines only that may say something of it.

mod budget;
mod file;
mod glob;
mod left_out;
mod macros;
mod names;
mod rules;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use domain::source::Limits;
use git2::{Odb, Oid, Repository};

use crate::error::Error;
use crate::list::{Content, Entry};
use crate::repository::unreadable;
use budget::Budget;
pub use left_out::LeftOut;
use macros::Macros;
use names::{Name, Names, WANTED};
use rules::{Asked, Rules};

/// What a folder's attributes are in.
const FILE_NAME: &[u8] = b".gitattributes";
/// git ignores files from this size on.
const FILE_BYTES: usize = 100 << 20;

/// What an attribute is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing says anything of it, or the last word is `!name`.
    Unspecified,
    /// `name`.
    Set,
    /// `-name`.
    Unset,
    /// `name=value`.
    Value(Vec<u8>),
}

impl State {
    /// Whether it has this value.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        matches!(self, Self::Value(own) if own == value.as_bytes())
    }
}

/// The attributes at a path.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "they are git's own names")]
pub struct Found<'a> {
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
    /// By the folder's path, which is empty or ends with a slash. The roots are always there.
    levels: HashMap<Vec<u8>, Level>,
    budget: Budget,
}

#[derive(Debug)]
struct Level {
    rules: Arc<Rules>,
    macros: Arc<Macros>,
    /// Whether folders above say nothing of what is below.
    root: bool,
}

impl Attributes {
    /// Reads the attributes of a tree that was listed as `entries`. `submodules` are the paths, which end with a slash, of
    /// the submodules that are listed as folders: each is a tree of its own.
    ///
    /// # Errors
    /// [`Error::Object`], and [`Error::Limit`] where the files have more than `attributes_bytes`.
    pub fn read(
        repository: &Repository,
        entries: &[Entry],
        submodules: &[Vec<u8>],
        limits: &Limits,
    ) -> Result<Self, Error> {
        let files: HashMap<&[u8], Oid> = entries
            .iter()
            .filter_map(|entry| {
                let folder = entry.path.strip_suffix(FILE_NAME)?;
                match entry.content {
                    // Where git reads from trees it reads a link's target too, as if it were a file's content.
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

    /// The attributes at `path`. A folder's ends with a slash, and so does a submodule's, which is part of the tree above it.
    ///
    /// # Errors
    /// [`Error::Limit`] if this and all look-ups before it have taken more than `attributes_steps`.
    pub fn of(&self, path: &[u8]) -> Result<Found<'_>, Error> {
        let states = self.look_up(path, Names::ALL)?;
        let state = |name: Name| states[name.index()];
        Ok(Found {
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

    /// Whether Git LFS has the content of `path`: whether its attribute `filter` is `lfs`.
    ///
    /// # Errors
    /// As of [`Self::of`].
    pub fn is_lfs(&self, path: &[u8]) -> Result<bool, Error> {
        Ok(self.state(path, Name::Filter)?.is("lfs"))
    }

    /// Whether `git archive` leaves out `path` itself. What is below a folder that is left out is not looked at.
    ///
    /// # Errors
    /// As of [`Self::of`].
    pub fn is_export_ignored(&self, path: &[u8]) -> Result<bool, Error> {
        Ok(*self.state(path, Name::ExportIgnore)? == State::Set)
    }

    fn state(&self, path: &[u8], name: Name) -> Result<&State, Error> {
        Ok(self.look_up(path, Names::of(name))?[name.index()])
    }

    /// The states of `wanted` at `path`; those of others may be there or not. The last line of the deepest folder that says
    /// something of an attribute has the word.
    fn look_up(&self, path: &[u8], wanted: Names) -> Result<[&State; WANTED], Error> {
        let mut asked = None;
        let mut end = parent(path, path.len());
        // Where only the root has attributes the way to it need not be gone.
        if self.levels.len() == 1 {
            end = 0;
        }
        loop {
            // The folder's path is hashed.
            self.budget.spend(1 + end as u64 / 4)?;
            if let Some(level) = self.levels.get(&path[..end]) {
                if level.rules.touch(wanted) {
                    let asked = match &mut asked {
                        Some(asked) => asked,
                        None => asked.insert(Asked::new(&level.macros, wanted, &self.budget)?),
                    };
                    if level.rules.ask(path, end, asked)? {
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
        Ok(asked.map_or([&State::Unspecified; WANTED], Asked::states))
    }

    /// The macros that hold in `folder`.
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

/// Where the name begins of what `path[..end]` is the path of; a slash at its end is part of the name.
fn parent(path: &[u8], end: usize) -> usize {
    path[..end.saturating_sub(1)]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1)
}

struct Reader<'r> {
    odb: Odb<'r>,
    limits: &'r Limits,
    /// What was read so far.
    bytes: u64,
    attributes: Attributes,
    /// What was read below which root: many folders may have the same file.
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
        // Each line may be compared with each path.
        self.bytes += size as u64;
        if self.bytes > self.limits.attributes_bytes {
            return Err(Error::Limit {
                limit: "attributes_bytes",
                met: format!(
                    "its .gitattributes have more than {} bytes",
                    self.limits.attributes_bytes
                ),
            });
        }
        let object = self.odb.read(blob).map_err(unreadable(blob, &path))?;
        Ok(object.data().to_vec())
    }
}
