//! The attribute `export-subst`: `$Format:...$` becomes what it says of the commit.

use super::commit::Commit;
use super::{GROWTH, TooLarge, placeholder};

const START: &[u8] = b"$Format:";

/// The content with its formats applied; none where it has none. `left` is told of placeholders that are left.
pub fn substitute(
    content: &[u8],
    commit: &Commit,
    left: &mut dyn FnMut(&str),
) -> Result<Option<Vec<u8>>, TooLarge> {
    let mut substituted = Vec::new();
    let mut rest = content;
    while let Some((before, format, after)) = next(rest) {
        substituted.extend_from_slice(before);
        let most = content.len() + GROWTH;
        placeholder::format(commit, format, &mut substituted, most, left)?;
        rest = after;
    }
    if rest.len() == content.len() {
        return Ok(None);
    }
    substituted.extend_from_slice(rest);
    Ok(Some(substituted))
}

/// What is before the next format, the format, and what is after it.
fn next(content: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let dollars = content.iter().enumerate().filter(|(_, byte)| **byte == b'$');
    let start = dollars
        .map(|(at, _)| at)
        .find(|at| content[*at..].starts_with(START))?;
    let format = &content[start + START.len()..];
    let end = format.iter().position(|byte| *byte == b'$')?;
    Some((&content[..start], &format[..end], &format[end + 1..]))
}
