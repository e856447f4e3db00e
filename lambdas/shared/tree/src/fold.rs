//! Finds names that are the same name on some file system.
//!
//! macOS ignores the case of letters, and whether they are composed or decomposed; HFS+ ignores some code points
//! altogether; Windows drops dots and blanks from the end of a name, and takes a backslash for a slash. A zip may be
//! unpacked anywhere, so names are compared by all of these rules at once, and by Unicode's compatibility mappings,
//! which go further than any file system: the compatibility caseless matching of
//! <https://www.unicode.org/versions/latest/core-spec/chapter-3/#G53253> (D146).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// A hash that is the same for all paths that are the same path on some file system. Other paths have another key,
/// except by chance: among a million paths, two share the 64 bits once in many million listings. Whoever wrote the
/// paths cannot provoke this, because each process hashes with a random key of its own.
pub type Key = u64;

/// The key of the root's path.
pub const ROOT: Key = 0;

/// Computes [`Key`]s.
#[derive(Debug, Default)]
pub struct Keys(RandomState);

impl Keys {
    /// Returns the key of `name` in the folder whose key is `folder`.
    pub fn of(&self, folder: Key, name: &[u8]) -> Key {
        self.of_folded(folder, &fold(name))
    }

    /// Returns the key of a name that is folded already.
    pub fn of_folded(&self, folder: Key, folded: &[u8]) -> Key {
        parts(folded).fold(folder, |key, part| self.of_part(key, part))
    }

    /// Returns the key of one of the [`parts`] of a folded name.
    pub fn of_part(&self, folder: Key, part: &[u8]) -> Key {
        self.0.hash_one((folder, part))
    }
}

/// Returns the form of `name` in which it is compared with others. Its [`parts`] are separated by a backslash.
pub fn fold(name: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        if chunk.valid().is_ascii() {
            folded.extend(chunk.valid().bytes().map(|byte| byte.to_ascii_lowercase()));
        } else {
            folded.extend(fold_text(chunk.valid()).into_bytes());
        }
        folded.extend(chunk.invalid());
    }
    for byte in &mut folded {
        if *byte == b'/' {
            *byte = b'\\';
        }
    }
    folded
}

/// Returns the parts of a folded name on Windows, where a backslash separates.
pub fn parts(folded: &[u8]) -> impl Iterator<Item = &[u8]> {
    folded
        .split(|byte| *byte == b'\\')
        .map(|part| {
            let end = part.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
            &part[..end.map_or(0, |end| end + 1)]
        })
        .filter(|part| !part.is_empty())
}

fn fold_text(text: &str) -> String {
    let seen = text.chars().filter(|char| !is_ignored(*char));
    let once = seen.nfd().default_case_fold().nfkd();
    once.default_case_fold().nfkd().collect()
}

/// Returns whether the first part of `path` is the ASCII name `name` on some file system.
#[must_use]
pub fn begins_with(path: &[u8], name: &[u8]) -> bool {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    parts(&fold(first)).next() == parts(&fold(name)).next()
}

/// Returns whether HFS+ ignores `char`, by git's list (`next_hfs_char` in its `utf8.c`).
fn is_ignored(char: char) -> bool {
    matches!(
        char,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_the_same_somewhere_have_the_same_key() {
        let keys = Keys::default();
        let key = |name: &str| keys.of(ROOT, name.as_bytes());
        for (one, other) in [
            ("A", "a"),
            ("\u{e9}", "e\u{301}"),
            ("\u{c9}", "e\u{301}"),
            ("a", "a."),
            ("a", "a . "),
            ("\u{df}", "SS"),
            ("STRASSE", "stra\u{df}e"),
            ("\u{3a3}", "\u{3c2}"),
            ("\u{212a}", "k"),
            ("\u{fb01}", "fi"),
            ("\u{ff21}", "a"),
            ("a\u{200c}b", "ab"),
            ("a\u{a0}", "a"),
            ("a\\b", "A\\\\.\\b."),
            ("\u{1e9e}", "\u{df}"),
            ("\u{390}", "\u{1fd3}"),
            ("a\u{323}\u{307}", "a\u{307}\u{323}"),
        ] {
            assert_eq!(key(one), key(other), "{one:?} {other:?}");
        }
        assert_eq!(keys.of(ROOT, b"A\xff"), keys.of(ROOT, b"a\xff"));
        assert_eq!(keys.of(key("a"), b"b"), key("a\\B"));
    }

    #[test]
    fn a_path_begins_with_its_first_name_however_that_is_written() {
        for path in ["a.b", "A.b/c", "a.B. /c", "a.b\\c", "\u{ff41}.b"] {
            assert!(begins_with(path.as_bytes(), b"a.b"), "{path}");
        }
        for path in ["c/a.b", "a.bc", "a/b", "a\\b", "..."] {
            assert!(!begins_with(path.as_bytes(), b"a.b"), "{path}");
        }
    }

    #[test]
    fn other_names_have_other_keys() {
        let keys = Keys::default();
        let names: [&[u8]; 14] = [
            b"a",
            b"b",
            b"ab",
            b".a",
            b" a",
            b"a.b",
            b"a b",
            b"a\\b",
            b"b\\a",
            b"\xff",
            b"\xfe",
            b"a\xff",
            "\u{e4}".as_bytes(),
            "\u{131}".as_bytes(),
        ];
        let different: std::collections::HashSet<Key> =
            names.iter().map(|name| keys.of(ROOT, name)).collect();
        assert_eq!(different.len(), names.len());
    }
}
