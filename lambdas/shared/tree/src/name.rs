//! Checks the names of entries.
//!
//! A zip may be unpacked anywhere: a name that is harmless where the zip is made may lead out of the folder, or into
//! git's own, where it is unpacked. So the rules are git's for all file systems at once (`core.protectHFS`,
//! `core.protectNTFS`, <https://git-scm.com/docs/git-config#Documentation/git-config.txt-coreprotectNTFS>), and a
//! backslash separates parts of a path, as it does on Windows. Names that only Windows cannot have, such as `aux.c`,
//! are allowed.

use gix_validate::path::component::{Error as Invalid, Options};

use crate::error::Error;
use crate::lossy;

/// The longest path that is allowed, in bytes: Linux's `PATH_MAX`.
const PATH_BYTES: usize = 4_096;

const PROTECT: Options = Options {
    protect_windows: false,
    protect_hfs: true,
    protect_ntfs: true,
};

/// Returns the path of `name` in the folder `folder`, which is empty or ends with a slash.
///
/// # Errors
/// Returns [`Error::Path`] if the path is not allowed.
pub fn join(folder: &[u8], name: &[u8]) -> Result<Vec<u8>, Error> {
    let path = [folder, name].concat();
    match wrong(folder, name) {
        None if path.len() > PATH_BYTES => Err(Error::Path {
            path: lossy(&path[..80]) + "...",
            reason: "it has more than 4,096 bytes",
        }),
        None => Ok(path),
        Some(reason) => Err(Error::Path {
            path: lossy(&path),
            reason,
        }),
    }
}

fn wrong(folder: &[u8], name: &[u8]) -> Option<&'static str> {
    if name.contains(&0) {
        return Some("its name has a NUL");
    }
    if let Err(invalid) = gix_validate::path::component(name.into(), None, PROTECT) {
        return Some(reason(&invalid));
    }
    if name.starts_with(b"\\") {
        return Some("on Windows it is an absolute path");
    }
    let mut parts = name.split(|byte| *byte == b'\\');
    let first = parts.next().unwrap_or_default();
    if folder.is_empty() && matches!(first, [drive, b':', ..] if drive.is_ascii_alphabetic()) {
        return Some("on Windows it is on another drive");
    }
    // A name without a backslash is its only part, and was checked above.
    std::iter::once(first)
        .chain(parts)
        .filter(|part| !matches!(*part, b"" | b"."))
        .find_map(|part| gix_validate::path::component(part.into(), None, PROTECT).err())
        .map(|invalid| reason(&invalid))
}

fn reason(invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::Empty => "its name is empty",
        Invalid::Relative => "its name is '.' or '..'",
        Invalid::PathSeparator => "its name has a slash",
        Invalid::DotGitDir => "its name is that of git's own folder, on some file system",
        _ => "git forbids its name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for hostile in [
            "",
            ".",
            "..",
            "a/b",
            "/etc",
            "a\0b",
            "..\\a",
            "a\\..\\..\\b",
            "\\a",
            "\\\\host\\share",
            "C:\\a",
            "c:",
            "C:a",
        ] {
            assert!(
                matches!(join(b"", hostile.as_bytes()), Err(Error::Path { .. })),
                "{hostile:?}"
            );
        }
        let long = join(&b"x/".repeat(2_048), b"y").unwrap_err().to_string();
        assert!(long.contains("4,096") && long.len() < 200, "{long}");
    }

    #[test]
    fn names_of_gits_own_folder_are_refused_as_every_file_system_reads_them() {
        for hostile in [
            ".git",
            ".GIT",
            ".Git.",
            ".git ",
            ".git. .",
            "git~1",
            "GIT~1",
            "git~1.",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{202e}T",
            ".git\\config",
            "a\\.GIT\\hooks",
        ] {
            assert!(
                matches!(join(b"dir/", hostile.as_bytes()), Err(Error::Path { .. })),
                "{hostile:?}"
            );
        }
    }

    #[test]
    fn names_that_are_only_unusual_are_allowed() {
        for name in [
            ".gitignore",
            ".github",
            ".git2",
            "git~2",
            "aux.c",
            "dev-disk-by\\x2dlabel.swap",
            "a:b",
            "...",
            "a ",
            "-rf",
            "*",
            "\u{200c}",
        ] {
            let path = join(b"dir/", name.as_bytes()).unwrap();
            assert_eq!(path, format!("dir/{name}").into_bytes());
        }
        assert_eq!(join(b"dir/", b"\xff").unwrap(), b"dir/\xff");
    }
}
