//! What may be unpacked anywhere. It is written apart from the project's own checks, which it is compared with.

use std::collections::HashSet;

use tree::{Content, Entry};

/// Stops where a listing has what leads out of the folder that it is unpacked into, or is a folder and a file at once.
pub fn check(entries: &[Entry]) {
    let mut all = HashSet::new();
    let mut folders = HashSet::new();
    for entry in entries {
        let path = match entry.content {
            Content::Submodule { .. } => entry.path.strip_suffix(b"/"),
            _ => Some(entry.path.as_slice()),
        };
        let path = path.unwrap_or_else(|| panic!("a folder without a slash: {entry:?}"));
        check_path(path);
        assert!(all.insert(path), "twice: {entry:?}");
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        folders.extend(slashes.map(|(at, _)| &path[..at]));
    }
    assert!(all.is_disjoint(&folders), "a file and a folder");
    assert!(
        entries.is_sorted_by(|one, other| one.path < other.path),
        "no order"
    );
}

fn check_path(path: &[u8]) {
    let shown = String::from_utf8_lossy(path);
    assert!(!path.is_empty() && path.len() <= 4_096, "{shown:?}");
    assert!(!path.contains(&0), "{shown:?}");
    assert!(!matches!(path, [b'/' | b'\\', ..]), "{shown:?}");
    assert!(
        !matches!(path, [_, b':'] | [_, b':', b'/' | b'\\', ..]) || !path[0].is_ascii_alphabetic(),
        "{shown:?}"
    );
    for part in path.split(|byte| *byte == b'/') {
        assert!(!matches!(part, b"" | b"."), "{shown:?}");
    }
    for part in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        // Windows has no spaces and dots at the end of a name.
        let end = part.iter().rposition(|byte| !matches!(byte, b' ' | b'.'));
        let name = &part[..end.map_or(0, |end| end + 1)];
        assert!(part != b"..", "{shown:?}");
        assert!(!name.eq_ignore_ascii_case(b".git"), "{shown:?}");
        assert!(!name.eq_ignore_ascii_case(b"git~1"), "{shown:?}");
    }
}
