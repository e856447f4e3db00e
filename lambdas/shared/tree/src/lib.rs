//! Lists a commit's tree from git's objects, without a checkout. Whoever wrote the tree may be hostile, so each path is
//! checked to stay within the folder that it is unpacked into, and the work is bounded.

mod attributes;
mod entry;
mod error;
mod fold;
mod lfs;
mod link;
mod links;
mod list;
mod name;
mod pointer;
mod repository;

pub use attributes::{Attributes, ExportIgnoreFilter, PathAttributes, State};
pub use entry::{Content, Entry};
pub use error::Error;
pub use fold::begins_with;
pub use lfs::pointers;
pub use list::{Rules, Tree, list};
pub use pointer::{LfsOid, POINTER_BYTES, Pointer};
pub use repository::{check_blob, open, pack_path, unreadable};

/// Converts a path to text for people, with U+FFFD for bytes that are not UTF-8.
#[must_use]
pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
