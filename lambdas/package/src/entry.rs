//! The entries of the zip.

use std::path::PathBuf;

use git2::Oid;
use tree::Tree;

use crate::conversion::Conversion;

/// One entry of the zip.
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
    /// A file of the commit.
    Blob {
        id: Oid,
        executable: bool,
        /// What becomes of its content on the way.
        conversion: Option<Conversion>,
    },
    /// A file on this function's disk.
    Disk { file: PathBuf, executable: bool },
    /// A symbolic link, whose target is the blob's content.
    Symlink { id: Oid },
    /// An empty folder.
    Folder,
    /// A file that is not the commit's.
    Made(Vec<u8>),
}

/// The entries of a tree. A submodule that was not fetched is an empty folder, as in a clone without submodules.
pub fn of(tree: Tree) -> Vec<Entry> {
    let entry = |entry: tree::Entry| Entry {
        path: entry.path,
        content: match entry.content {
            tree::Content::File { blob, executable } => Content::Blob {
                id: blob,
                executable,
                conversion: None,
            },
            tree::Content::Symlink { blob } => Content::Symlink { id: blob },
            tree::Content::Submodule { .. } => Content::Folder,
        },
    };
    tree.entries.into_iter().map(entry).collect()
}
