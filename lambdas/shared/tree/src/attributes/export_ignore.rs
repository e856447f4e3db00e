//! The attribute `export-ignore`, by which `git archive` leaves out files and folders.

use super::Attributes;
use crate::error::Error;

/// Decides of sorted paths whether `git archive` leaves them out, by themselves or with a folder that they are in. The
/// entries of one folder come one after another, so each folder is looked up once.
#[derive(Debug)]
pub struct ExportIgnoreFilter<'a> {
    attributes: &'a Attributes,
    /// The folder that was left out last.
    folder: Option<Vec<u8>>,
    /// The previous path that was not left out.
    last: Vec<u8>,
}

impl<'a> ExportIgnoreFilter<'a> {
    /// Creates a filter by these attributes.
    #[must_use]
    pub fn new(attributes: &'a Attributes) -> Self {
        Self {
            attributes,
            folder: None,
            last: Vec::new(),
        }
    }

    /// Removes the items that are left out from `items`, which are sorted by path.
    ///
    /// # Errors
    /// Returns the errors of [`Attributes::of`].
    pub fn remove_from<T>(mut self, items: &mut Vec<T>, path: impl Fn(&T) -> &[u8]) -> Result<(), Error> {
        let mut done = Ok(());
        items.retain(|item| {
            let left_out = done.is_ok()
                && self.has(path(item)).unwrap_or_else(|error| {
                    done = Err(error);
                    false
                });
            !left_out
        });
        done
    }

    /// Returns whether `path`, which sorts after all earlier ones, is left out.
    ///
    /// # Errors
    /// Returns the errors of [`Attributes::of`].
    pub fn has(&mut self, path: &[u8]) -> Result<bool, Error> {
        if self
            .folder
            .as_ref()
            .is_some_and(|folder| path.starts_with(folder))
        {
            return Ok(true);
        }
        let pairs = self.last.iter().zip(path);
        let known = pairs.take_while(|(one, other)| one == other).count();
        let new = (known..path.len().saturating_sub(1)).filter(|at| path[*at] == b'/');
        for slash in new {
            let folder = &path[..=slash];
            if self.attributes.is_export_ignored(folder)? {
                self.folder = Some(folder.to_vec());
                return Ok(true);
            }
        }
        self.last.clear();
        self.last.extend_from_slice(path);
        self.attributes.is_export_ignored(path)
    }
}
