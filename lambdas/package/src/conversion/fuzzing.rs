//! Opens the conversions to the fuzz targets.

use git2::Oid;

use super::commit::Commit;
use super::encoding::Encoding;
use super::eol::Eol;
use super::{ident, substitution};

/// Applies `export-subst` to `content`, for the commit object `commit`.
pub fn substitute(commit: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    substitution::substitute(content, &Commit::parse(commit), &mut |_| {})
        .ok()
        .flatten()
}

/// Applies `ident` to `content`.
pub fn expand(content: &[u8], blob: Oid) -> Option<Vec<u8>> {
    ident::expand(content, blob).ok().flatten()
}

/// Converts `content` to CRLF, by `text` or `text=auto`.
pub fn crlf(content: &[u8], auto: bool) -> Option<Vec<u8>> {
    let eol = if auto { Eol::AutoCrlf } else { Eol::Crlf };
    eol.convert(content)
}

/// Encodes `content` in the `working-tree-encoding` of this name.
pub fn encode(name: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    Encoding::named(name).ok().flatten()?.encode(content)
}
