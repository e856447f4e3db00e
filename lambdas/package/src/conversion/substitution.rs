//! The attribute `export-subst`: the placeholders in `$Format:...$` are replaced by properties of the commit.

use super::commit::Commit;
use super::{MAX_GROWTH_BYTES, TooLarge, placeholder};

const START: &[u8] = b"$Format:";

/// Replaces each `$Format:...$` of `content`. Returns `None` if it has none. Calls `left` with each placeholder that is
/// left as it is.
pub fn substitute(
    content: &[u8],
    commit: &Commit,
    left: &mut dyn FnMut(&str),
) -> Result<Option<Vec<u8>>, TooLarge> {
    let mut substituted = Vec::new();
    let mut rest = content;
    while let Some((before, format, after)) = next(rest) {
        substituted.extend_from_slice(before);
        let most = content.len() + MAX_GROWTH_BYTES;
        placeholder::format(commit, format, &mut substituted, most, left)?;
        rest = after;
    }
    if rest.len() == content.len() {
        return Ok(None);
    }
    substituted.extend_from_slice(rest);
    Ok(Some(substituted))
}

/// Splits `content` into the part before the next `$Format:...$`, the format, and the part after it.
fn next(content: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let dollars = content.iter().enumerate().filter(|(_, byte)| **byte == b'$');
    let start = dollars
        .map(|(at, _)| at)
        .find(|at| content[*at..].starts_with(START))?;
    let format = &content[start + START.len()..];
    let end = format.iter().position(|byte| *byte == b'$')?;
    Some((&content[..start], &format[..end], &format[end + 1..]))
}
