//! Opens private functions to the fuzz targets.

use crate::known_hosts::{self, Verdict};
use crate::progress::Progress;
use crate::side_band::SideBand;

/// Returns the progress that is reported of what a git host says while it prepares a pack.
pub fn host_progress(said: &[u8]) -> Option<String> {
    let line = SideBand::default().read(&[said, b"\n"].concat())?;
    Progress::host(&line).map(|progress| progress.to_string())
}

/// Returns whether the key that `host` has presented is pinned.
pub fn is_pinned(known_hosts: &str, host: &str, port: u16, key: &[u8]) -> bool {
    known_hosts::check(known_hosts, host, port, key) == Verdict::Pinned
}
