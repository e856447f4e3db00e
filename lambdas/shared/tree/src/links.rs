//! The symbolic links of a tree by what they are called, and the paths that they must not share a name with.

use std::collections::HashMap;

use crate::error::Error;
use crate::fold::{self, Key, Keys, ROOT};
use crate::list::{Content, Entry};
use crate::lossy;

/// See the module.
#[derive(Debug)]
pub struct Links<'e> {
    keys: Keys,
    paths: HashMap<Key, &'e [u8]>,
}

impl<'e> Links<'e> {
    /// The links among `entries`, which are in the order of their paths. `None` if there are none.
    ///
    /// A link and something else that are one name where the zip is unpacked, by the rules of [`crate::fold`], would have
    /// files written through the link, to wherever it leads.
    ///
    /// # Errors
    /// [`Error::Alias`] if a link and another path, or the beginning of one, are one name on some file system.
    pub fn of(entries: &'e [Entry]) -> Result<Option<Self>, Error> {
        let mut links = Self {
            keys: Keys::default(),
            paths: HashMap::new(),
        };
        let mut walk = Walk::default();
        for entry in entries.iter().filter(|entry| is_link(entry)) {
            let mut last = ROOT;
            walk.to(&entry.path, &links.keys, |key, _| {
                last = key;
                Ok(())
            })?;
            if let Some(other) = links.paths.insert(last, &entry.path) {
                return Err(alias(&entry.path, other));
            }
        }
        if links.paths.is_empty() {
            return Ok(None);
        }
        links.check_aliases(entries)?;
        Ok(Some(links))
    }

    fn check_aliases(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut walk = Walk::default();
        for entry in entries {
            walk.to(&entry.path, &self.keys, |key, beginning| {
                match self.paths.get(&key) {
                    Some(link) if *link != beginning => Err(alias(link, beginning)),
                    _ => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// What makes the keys that [`Self::has`] is asked for.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether a link has this key.
    pub fn has(&self, key: Key) -> bool {
        self.paths.contains_key(&key)
    }
}

fn is_link(entry: &Entry) -> bool {
    matches!(entry.content, Content::Symlink { .. })
}

fn alias(link: &[u8], other: &[u8]) -> Error {
    Error::Alias {
        link: lossy(link),
        other: lossy(other),
    }
}

/// Goes from path to path in their order, and makes the keys of folders that two of them share once.
#[derive(Debug, Default)]
struct Walk<'e> {
    path: &'e [u8],
    /// Of each folder that `path` is in: where its path ends, and its key.
    folders: Vec<(usize, Key)>,
}

impl<'e> Walk<'e> {
    /// Calls `found` for each name in `path` that the path before did not have: with its key, and the path up to there.
    fn to(
        &mut self,
        path: &'e [u8],
        keys: &Keys,
        mut found: impl FnMut(Key, &'e [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let pairs = self.path.iter().zip(path);
        let same = pairs.take_while(|(one, other)| one == other).count();
        while self.folders.pop_if(|(end, _)| *end > same).is_some() {}
        let (mut at, mut key) = self.folders.last().copied().unwrap_or((0, ROOT));
        for name in path[at..].split_inclusive(|byte| *byte == b'/') {
            at += name.len();
            let is_folder = name.ends_with(b"/");
            let name = name.strip_suffix(b"/").unwrap_or(name);
            let beginning = &path[..at - usize::from(is_folder)];
            let folded = fold::fold(name);
            let mut any = false;
            for part in fold::parts(&folded) {
                key = keys.of_part(key, part);
                found(key, beginning)?;
                any = true;
            }
            if !any {
                found(key, beginning)?;
            }
            if is_folder {
                self.folders.push((at, key));
            }
        }
        self.path = path;
        Ok(())
    }
}
