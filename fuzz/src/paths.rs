//! Rules for paths that can be unpacked anywhere. They are written independently of the project's own checks, which are
//! compared with them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use git2::Repository;
use tree::{Content, Entry};

/// Panics if a listing has a path that leads out of the folder that it is unpacked into, or that is both a folder and a
/// file.
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
        // Windows ignores spaces and dots at the end of a name.
        let end = part.iter().rposition(|byte| !matches!(byte, b' ' | b'.'));
        let name = &part[..end.map_or(0, |end| end + 1)];
        assert!(part != b"..", "{shown:?}");
        assert!(!name.eq_ignore_ascii_case(b".git"), "{shown:?}");
        assert!(!name.eq_ignore_ascii_case(b"git~1"), "{shown:?}");
    }
}

/// Unpacks entries whose links must not lead out, as on Linux and as on Windows, and panics if a link does.
pub fn follow(repository: &Repository, entries: &[Entry]) {
    if !entries.iter().any(is_link) {
        return;
    }
    unpack(repository, entries, <[u8]>::to_vec);
    unpack(repository, entries, |path| {
        let parts = path.split(|byte| matches!(byte, b'/' | b'\\'));
        let parts = parts.map(|part| {
            let end = part.iter().rposition(|byte| *byte != b' ');
            part[..end.map_or(0, |end| end + 1)].to_ascii_lowercase()
        });
        parts.collect::<Vec<_>>().join(&b'/')
    });
}

fn unpack(repository: &Repository, entries: &[Entry], spell: impl Fn(&[u8]) -> Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    // The folder is deep, so that a link that leads out still ends inside the temporary folder.
    let root = folder.path().join("1/2/3/4/5/6/7/8");
    std::fs::create_dir_all(&root).expect("a folder");
    let root = root.canonicalize().expect("it is there");
    let path = |entry: &Entry| root.join(OsStr::from_bytes(&spell(&entry.path)));
    // An entry that cannot be created (a name that exists already or is too long) cannot be led through either.
    let make_parent = |path: &Path| path.parent().map(std::fs::create_dir_all);
    for entry in entries.iter().filter(|entry| !is_link(entry)) {
        let path = path(entry);
        let _ = make_parent(&path);
        let _ = match entry.content {
            Content::Submodule { .. } => std::fs::create_dir_all(path),
            _ => std::fs::write(path, b""),
        };
    }
    let links: Vec<PathBuf> = entries
        .iter()
        .filter_map(|entry| {
            let Content::Symlink { blob } = entry.content else {
                return None;
            };
            let target = repository.find_blob(blob).expect("it was read");
            let path = path(entry);
            let _ = make_parent(&path);
            symlink(OsStr::from_bytes(&spell(target.content())), &path).ok()?;
            Some(path)
        })
        .collect();
    for link in links {
        if let Ok(real) = link.canonicalize() {
            assert!(
                real.starts_with(&root),
                "{} is {}",
                link.display(),
                real.display()
            );
        }
    }
}

fn is_link(entry: &Entry) -> bool {
    matches!(entry.content, Content::Symlink { .. })
}

/// Panics if a link has the same name as another path, or as a folder of one, by ASCII case, dots and blanks. That is
/// less than the listing compares, but written independently.
pub fn check_links(entries: &[Entry]) {
    let links: HashSet<Vec<u8>> = entries
        .iter()
        .filter(|entry| is_link(entry))
        .map(|entry| plain(&entry.path))
        .collect();
    if links.is_empty() {
        return;
    }
    for entry in entries {
        let all = plain(&entry.path);
        let slashes = all.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (end, _) in slashes {
            assert!(!links.contains(&all[..end]), "below a link: {entry:?}");
        }
        assert!(is_link(entry) || !links.contains(&all), "a link, too: {entry:?}");
    }
    let count = entries.iter().filter(|entry| is_link(entry)).count();
    assert_eq!(links.len(), count, "two links of one name");
}

/// Returns a path with slashes for backslashes, in lower case, without dots and blanks at the ends of its names, and
/// without empty names.
fn plain(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|byte| matches!(byte, b'/' | b'\\'));
    let parts = parts.map(|part| {
        let end = part.iter().rposition(|byte| !matches!(byte, b' ' | b'.'));
        part[..end.map_or(0, |end| end + 1)].to_ascii_lowercase()
    });
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(&b'/')
}
