//! For fuzz targets.

use git2::Oid;

use super::commit::Commit;
use super::encoding::Encoding;
use super::eol::Eol;
use super::{ident, substitution};

/// `content` with the formats of `export-subst`, which speak of the commit with these bytes.
pub fn substitute(commit: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    substitution::substitute(content, &Commit::parse(commit), &mut |_| {})
        .ok()
        .flatten()
}

/// `content` with the ids of `ident`.
pub fn expand(content: &[u8], blob: Oid) -> Option<Vec<u8>> {
    ident::expand(content, blob).ok().flatten()
}

/// `content` with CRLF, by `text` or `text=auto`.
pub fn crlf(content: &[u8], auto: bool) -> Option<Vec<u8>> {
    let eol = if auto { Eol::AutoCrlf } else { Eol::Crlf };
    eol.convert(content)
}

/// `content` in the `working-tree-encoding` of this name.
pub fn encode(name: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    Encoding::named(name).ok().flatten()?.encode(content)
}
