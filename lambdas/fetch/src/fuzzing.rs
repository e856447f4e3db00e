//! For fuzz targets: what is private otherwise.

use crate::gitmodules;
use crate::known_hosts::{self, Verdict};
pub use crate::lfs::fuzzing::batch;
pub use crate::signature::{Signers, payload, verify};

/// The URLs of a `.gitmodules`.
///
/// # Errors
/// What is wrong with it.
pub fn gitmodules(text: &[u8]) -> Result<Vec<String>, String> {
    let submodules = gitmodules::parse(text)?.into_values();
    Ok(submodules.filter_map(|submodule| submodule.url).collect())
}

/// Whether the key that `host` has presented is pinned.
pub fn is_pinned(known_hosts: &str, host: &str, port: u16, key: &[u8]) -> bool {
    known_hosts::check(known_hosts, host, port, key) == Verdict::Pinned
}
