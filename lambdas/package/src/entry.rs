//! The entries of the zip.

use std::path::PathBuf;

use git2::Oid;
use tree::Tree;

use crate::conversion::Conversion;

/// One entry of the zip.
#[derive(Debug)]
pub struct ZipEntry {
    /// The path from the root, with `/` between its parts. A folder's path ends with `/`.
    pub path: Vec<u8>,
    /// The content.
    pub content: Content,
}

impl ZipEntry {
    /// Returns the path and the conversion of a file of the commit, or `None` if this is another entry.
    pub fn conversion(&mut self) -> Option<(&[u8], &mut Option<Conversion>)> {
        match &mut self.content {
            Content::Blob { conversion, .. } => Some((self.path.as_slice(), conversion)),
            _ => None,
        }
    }
}

/// The content of an entry.
#[derive(Debug)]
pub enum Content {
    /// A file of the commit.
    Blob {
        id: Oid,
        executable: bool,
        /// How the content is converted, if it is.
        conversion: Option<Conversion>,
    },
    /// A file on this function's disk.
    Disk { file: PathBuf, executable: bool },
    /// A symbolic link, whose target is the blob's content.
    Symlink { id: Oid },
    /// An empty folder.
    Folder,
    /// A file that is not part of the commit.
    Generated(Vec<u8>),
}

/// Returns the entries of a tree. A submodule that was not fetched is an empty folder, as in a clone without
/// submodules.
pub fn of(tree: Tree) -> Vec<ZipEntry> {
    let entry = |entry: tree::Entry| ZipEntry {
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
