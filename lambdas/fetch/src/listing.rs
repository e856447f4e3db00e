//! Lists the tree of one repository of a push, without those of its submodules.

use std::collections::HashMap;
use std::path::Path;

use domain::git::ObjectId;
use domain::limits::TreeLimits;
use domain::source::Symlinks;
use git2::{Oid, Repository};
use tree::{Attributes, Content, Rules, Tree};

use crate::error::Error;

/// A repository and one of its trees.
pub struct Listing {
    pub repository: Repository,
    pub tree: Tree,
}

impl Listing {
    /// Lists `tree`, which `repository` has.
    pub fn read(repository: &Path, tree: &ObjectId, limits: TreeLimits) -> Result<Self, Error> {
        let repository = tree::open(repository)?;
        let root = Oid::from_str(tree.as_str()).map_err(tree::Error::Pack)?;
        let rules = Rules {
            limits,
            symlinks: Symlinks::Keep,
            submodules: &HashMap::new(),
        };
        let tree = tree::list(&repository, root, &rules)?;
        Ok(Self { repository, tree })
    }

    /// Reads the `.gitattributes` of the tree.
    pub fn attributes(&self, limits: TreeLimits) -> Result<Attributes, Error> {
        Ok(Attributes::read(
            &self.repository,
            &self.tree.entries,
            &[],
            limits,
        )?)
    }

    /// Returns the content of the file `path`, or `None` if it does not exist. The inner error is the file's size, if
    /// that is more than `limit` bytes.
    pub fn file(&self, path: &[u8], limit: usize) -> Result<Result<Option<Vec<u8>>, usize>, Error> {
        let found = self.tree.entries.iter().find_map(|entry| match entry.content {
            Content::File { blob, .. } if entry.path == path => Some(blob),
            _ => None,
        });
        let Some(blob) = found else {
            return Ok(Ok(None));
        };
        let odb = self.repository.odb().map_err(tree::Error::Pack)?;
        let (size, _) = odb.read_header(blob).map_err(tree::unreadable(blob, path))?;
        if size > limit {
            return Ok(Err(size));
        }
        let content = odb.read(blob).map_err(tree::unreadable(blob, path))?;
        Ok(Ok(Some(content.data().to_vec())))
    }
}

/// Runs `work` on a thread for blocking work.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Workspace(std::io::Error::other(error)))?
}
