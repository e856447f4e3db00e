//! The symbolic links of a tree by name. No other path may have the same name as a link on any file system.

use std::collections::HashMap;

use crate::entry::{Content, Entry};
use crate::error::Error;
use crate::fold::{self, Key, Keys, ROOT};
use crate::lossy;

/// The symbolic links of a tree, by the keys of their paths.
#[derive(Debug)]
pub struct Links<'e> {
    keys: Keys,
    paths: HashMap<Key, &'e [u8]>,
}

impl<'e> Links<'e> {
    /// Returns the links among `entries`, which are sorted by path, or `None` if there are none.
    ///
    /// If a link had the same name as another path, by the rules of [`crate::fold`], unpacking the zip would write
    /// files through the link, to wherever it leads.
    ///
    /// # Errors
    /// Returns [`Error::Alias`] if a link has the same name as another path, or as a folder of one, on some file
    /// system.
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

    /// Returns what computes the keys for [`Self::has`].
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns whether the path of a link has this key.
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

/// Goes through sorted paths, and computes the key of each folder only once.
#[derive(Debug, Default)]
struct Walk<'e> {
    path: &'e [u8],
    /// For each folder that `path` is in, where the folder's path ends, and its key.
    folders: Vec<(usize, Key)>,
}

impl<'e> Walk<'e> {
    /// Moves on to `path`. Calls `found` for each name in it that the previous path did not have, with the name's key
    /// and the path up to and including the name.
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
