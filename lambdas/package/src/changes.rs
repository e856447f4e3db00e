//! What differs between the tree of an earlier commit and that of a fetched one, in their submodules too.

use std::collections::HashSet;

use domain::contract::FetchedCommit;
use domain::git::CommitId;
use git2::{ObjectType, Oid, Repository, Tree};

/// The file whose change may change how any other one is put into the zip.
const ATTRIBUTES: &[u8] = b".gitattributes";

/// Why it is not known what differs, or is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The trees cannot be compared.
    #[error("the commit of the base cannot be compared")]
    Compare(#[from] git2::Error),
    /// Attributes decide how files are converted, and which are left out.
    #[error("attributes have changed")]
    Attributes,
}

/// What differs.
#[derive(Debug, Default)]
pub struct Changes {
    files: HashSet<Vec<u8>>,
    /// Folders, with a slash at the end of each, of which all files may.
    folders: Vec<Vec<u8>>,
}

impl Changes {
    /// Compares the commit `base` with what was fetched. Of a submodule whose earlier commit is not in the repository,
    /// all files count as changed.
    ///
    /// # Errors
    /// Returns [`Unknown`] if that cannot be done, or if attributes differ and `with_attributes` says that they matter.
    pub fn find(
        repository: &Repository,
        base: &CommitId,
        fetched: &FetchedCommit,
        with_attributes: bool,
    ) -> Result<Self, Unknown> {
        let mut changes = Self::default();
        let tree = |id: &str| repository.find_tree(Oid::from_str(id)?);
        let commit_tree = |id: Oid| repository.find_commit(id)?.tree();
        let root = (
            Vec::new(),
            Some(commit_tree(Oid::from_str(base.as_str())?)?),
            tree(fetched.tree.as_str())?,
        );
        let mut folders = vec![root];
        for submodule in &fetched.submodules {
            let folder = format!("{}/", submodule.path).into_bytes();
            let now = tree(submodule.tree.as_str())?;
            // Each comes after the one that it is in.
            let parent = folders
                .iter()
                .rev()
                .find(|(parent, ..)| folder.starts_with(parent));
            let before = parent
                .and_then(|(parent, tree, _)| commit_at(tree.as_ref()?, &submodule.path[parent.len()..]));
            let before = match before {
                Some(commit) if commit.to_string() == submodule.commit.as_str() => Some(now.clone()),
                Some(commit) => commit_tree(commit).ok(),
                None => None,
            };
            folders.push((folder, before, now));
        }
        for (folder, before, now) in folders {
            match before {
                Some(before) => changes.add(repository, &folder, &before, &now)?,
                None => changes.folders.push(folder),
            }
        }
        if with_attributes && changes.concern_attributes() {
            return Err(Unknown::Attributes);
        }
        Ok(changes)
    }

    fn add(
        &mut self,
        repository: &Repository,
        folder: &[u8],
        before: &Tree<'_>,
        now: &Tree<'_>,
    ) -> Result<(), git2::Error> {
        let difference = repository.diff_tree_to_tree(Some(before), Some(now), None)?;
        for delta in difference.deltas() {
            let paths = [delta.old_file().path_bytes(), delta.new_file().path_bytes()];
            let paths = paths.into_iter().flatten();
            self.files.extend(paths.map(|path| [folder, path].concat()));
        }
        Ok(())
    }

    /// Returns whether a file may differ.
    pub fn contain(&self, path: &[u8]) -> bool {
        self.files.contains(path) || self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// Returns whether attributes differ, other than those of a folder of which all files may.
    fn concern_attributes(&self) -> bool {
        let name = |path: &Vec<u8>| path.rsplit(|byte| *byte == b'/').next() == Some(ATTRIBUTES);
        self.files.iter().any(name)
    }
}

/// Returns the commit of the submodule at a path of a tree, or `None` if there is none.
fn commit_at(tree: &Tree<'_>, path: &str) -> Option<Oid> {
    let entry = tree.get_path(path.as_ref()).ok()?;
    (entry.kind() == Some(ObjectType::Commit)).then(|| entry.id())
}
