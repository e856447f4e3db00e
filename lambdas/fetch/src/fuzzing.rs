//! For fuzz targets: what is private otherwise.

use crate::gitmodules;
use crate::known_hosts::{self, Verdict};
use crate::side_band::SideBand;
use crate::transfer_progress::Progress;

/// The URLs of a `.gitmodules`.
///
/// # Errors
/// What is wrong with it.
pub fn gitmodules(text: &[u8]) -> Result<Vec<String>, String> {
    let submodules = gitmodules::parse(text)?.into_values();
    Ok(submodules.filter_map(|submodule| submodule.url).collect())
}

/// What is told of what a git host says while it prepares a pack.
pub fn host_progress(said: &[u8]) -> Option<String> {
    let line = SideBand::default().hear(&[said, b"\n"].concat())?;
    Progress::host(&line).map(|progress| progress.to_string())
}

/// Whether the key that `host` has presented is pinned.
pub fn is_pinned(known_hosts: &str, host: &str, port: u16, key: &[u8]) -> bool {
    known_hosts::check(known_hosts, host, port, key) == Verdict::Pinned
}
