//! The attribute `ident`: `$Id$` becomes `$Id: <the blob's id> $`.

use git2::Oid;

use super::{MAX_GROWTH_BYTES, TooLarge};

/// Expands each `$Id$` of `content`. Returns `None` if it has none.
pub fn expand(content: &[u8], blob: Oid) -> Result<Option<Vec<u8>>, TooLarge> {
    let mut expanded = Vec::new();
    let mut rest = content;
    // The start of what was not copied yet.
    let mut from = content;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        rest = &rest[dollar + 1..];
        let Some(keyword) = keyword(rest) else { continue };
        let copied = from.len() - rest.len();
        expanded.extend_from_slice(&from[..copied]);
        expanded.extend_from_slice(format!("Id: {blob} $").as_bytes());
        rest = &rest[keyword..];
        from = rest;
        if expanded.len() > content.len() + MAX_GROWTH_BYTES {
            return Err(TooLarge);
        }
    }
    if from.len() == content.len() {
        return Ok(None);
    }
    expanded.extend_from_slice(from);
    Ok(Some(expanded))
}

/// Returns the length of the keyword that follows a dollar, with its closing dollar.
fn keyword(text: &[u8]) -> Option<usize> {
    let value = match text.strip_prefix(b"Id")? {
        [b'$', ..] => return Some(3),
        [b':', value @ ..] => value,
        _ => return None,
    };
    let end = value.iter().position(|byte| matches!(byte, b'$' | b'\n'))?;
    if value[end] == b'\n' {
        return None;
    }
    // An id that git wrote has one space before and one after it. One with other spaces was written by another system,
    // and is kept.
    let id = value[..end].get(1..).unwrap_or_default();
    let space = id.iter().position(|byte| *byte == b' ');
    match space {
        Some(space) if space + 1 < id.len() => None,
        _ => Some("Id:".len() + end + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gits_own_ids_are_replaced() {
        let blob = Oid::from_bytes(&[7; 20]).unwrap();
        let id = format!("$Id: {blob} $");
        for (content, expected) in [
            ("$Id$", id.clone()),
            ("a $Id$ b $Id:$\n$Id: 1 $$Id$", format!("a {id} b {id}\n{id}{id}")),
            ("$Id: other system $ $Id$", format!("$Id: other system $ {id}")),
            ("$Id: x\n$Id$", format!("$Id: x\n{id}")),
            ("$$Id$$", format!("${id}$")),
        ] {
            let expanded = expand(content.as_bytes(), blob).unwrap().unwrap();
            assert_eq!(String::from_utf8(expanded).unwrap(), expected);
        }
        for content in [
            "",
            "$",
            "Id$",
            "$Id",
            "$Id:",
            "$Id: x",
            "$Ident$",
            "$Id: a b $",
            "$id$",
        ] {
            assert_eq!(expand(content.as_bytes(), blob), Ok(None), "{content}");
        }
    }

    #[test]
    fn a_file_that_is_full_of_ids_is_left() {
        let blob = Oid::from_bytes(&[7; 20]).unwrap();
        let ids = b"$Id$".repeat(500_000);
        assert_eq!(expand(&ids, blob), Err(TooLarge));
        let expanded = expand(&ids[..1_000_000], blob).unwrap().unwrap();
        assert_eq!(expanded.len(), 250_000 * "$Id: $".len() + 250_000 * 41);
    }
}
