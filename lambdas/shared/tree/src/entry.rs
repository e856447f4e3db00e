//! The entries of a tree.

use git2::Oid;

/// One entry of the tree.
#[derive(Debug)]
pub struct Entry {
    /// The path from the root, with `/` between its parts. A folder's path ends with `/`.
    pub path: Vec<u8>,
    /// The content.
    pub content: Content,
}

/// The content of an entry.
#[derive(Debug)]
pub enum Content {
    /// A file.
    File {
        /// The file's content.
        blob: Oid,
        /// Whether the file is executable.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// The link's target.
        blob: Oid,
    },
    /// A submodule.
    Submodule {
        /// The commit that the tree records.
        commit: Oid,
    },
}
