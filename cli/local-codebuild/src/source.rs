//! Unpacks the zip with the source.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

/// The longest target of a symbolic link, as Linux has it.
const MAX_TARGET_BYTES: u64 = 4_096;

/// The bits of a mode that say what an entry is, and their values.
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// How much a source may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of the zip, and of all its files once unpacked.
    pub bytes: u64,
    /// The most entries of the zip.
    pub entries: usize,
}

impl Default for Limits {
    /// Returns 4 GiB and a million entries.
    fn default() -> Self {
        Self {
            bytes: 4 << 30,
            entries: 1_000_000,
        }
    }
}

/// Why a source is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It is no zip, or is damaged.
    #[error("the source is not a valid zip")]
    Zip(#[from] ZipError),
    /// An entry would be written outside the source's folder.
    #[error("the source's entry {0:?} leads out of its folder")]
    Outside(PathBuf),
    /// A link leads outside the source's folder.
    #[error("the source's link {link:?} leads out of its folder, to {target:?}")]
    LinkOutside {
        /// The link.
        link: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// An entry is neither file, folder nor link.
    #[error("the source's entry {path:?} is neither a file, a folder nor a link (its mode is {mode:o})")]
    Special {
        /// The entry.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Two entries have one name, or one is a file where another one needs a folder.
    #[error("the source's entry {0:?} is there twice")]
    Twice(PathBuf),
    /// It is too large.
    #[error("the source has more than {} bytes or {} entries", .0.bytes, .0.entries)]
    TooLarge(Limits),
    /// A file cannot be written or read.
    #[error("{path:?} of the source cannot be unpacked")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Unpacks `zip` into `root`, an empty folder.
///
/// Files keep their permissions, without those that give others' rights to who runs them. Nothing is written outside
/// `root`, and no link leads outside. Links are created last, so nothing is written through one.
///
/// # Errors
/// Returns an error if the zip is damaged, larger than `limits`, or has an entry that is refused.
pub(crate) fn unpack(zip: impl Read + Seek, root: &Path, limits: Limits) -> Result<(), Error> {
    let mut archive = ZipArchive::new(zip)?;
    if archive.len() > limits.entries {
        return Err(Error::TooLarge(limits));
    }
    let mut left = limits.bytes;
    let mut links = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = PathBuf::from(OsStr::from_bytes(entry.name_raw()));
        let mode = entry.unix_mode().unwrap_or_default();
        let io = |source| Error::Io {
            path: name.clone(),
            source,
        };
        if !is_inside(&name) {
            return Err(Error::Outside(name));
        }
        let path = root.join(&name);
        match mode & TYPE {
            FOLDER => fs::create_dir_all(&path).map_err(io)?,
            // Where no type is given, a name says whether it is a folder's.
            0 if entry.is_dir() => fs::create_dir_all(&path).map_err(io)?,
            LINK => {
                let mut target = Vec::new();
                (&mut entry)
                    .take(MAX_TARGET_BYTES)
                    .read_to_end(&mut target)
                    .map_err(io)?;
                let target = PathBuf::from(OsStr::from_bytes(&target));
                if links.insert(name.clone(), target).is_some() {
                    return Err(Error::Twice(name));
                }
            }
            0 | FILE => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(io)?;
                }
                let mut file = File::create_new(&path).map_err(|error| match error.kind() {
                    std::io::ErrorKind::AlreadyExists => Error::Twice(name.clone()),
                    _ => io(error),
                })?;
                // One byte more than is left shows that there is more.
                let written = std::io::copy(&mut (&mut entry).take(left.saturating_add(1)), &mut file);
                left = written
                    .map_err(io)
                    .and_then(|written| left.checked_sub(written).ok_or(Error::TooLarge(limits)))?;
                let permissions = if mode == 0 { 0o644 } else { mode & 0o777 | 0o600 };
                file.set_permissions(Permissions::from_mode(permissions))
                    .map_err(io)?;
            }
            _ => return Err(Error::Special { path: name, mode }),
        }
    }
    create_links(root, links)
}

/// Creates the links, and refuses any that leads outside, also by way of another one.
fn create_links(root: &Path, links: BTreeMap<PathBuf, PathBuf>) -> Result<(), Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Twice(path),
            _ => Error::Io { path, source },
        }
    };
    for (name, target) in &links {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io(name))?;
            // An earlier link may be one of its folders.
            if !folder.canonicalize().map_err(io(name))?.starts_with(root) {
                return Err(Error::Outside(name.clone()));
            }
        }
        let from = name.parent().unwrap_or(Path::new(""));
        if !is_inside(&from.join(target)) {
            return Err(Error::LinkOutside {
                link: name.clone(),
                target: target.clone(),
            });
        }
        symlink(target, &path).map_err(io(name))?;
    }
    for (link, target) in links {
        // A link to nothing is as harmless as it is useless.
        if root
            .join(&link)
            .canonicalize()
            .is_ok_and(|real| !real.starts_with(root))
        {
            return Err(Error::LinkOutside { link, target });
        }
    }
    Ok(())
}

/// Returns whether a relative path stays below where it begins, as far as its text says.
pub(crate) fn is_inside(path: &Path) -> bool {
    let mut depth = 0_usize;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// An entry: its name, its mode with its type, and its content.
    type Entry<'a> = (&'a str, u32, &'a [u8]);

    /// Returns a zip with these entries, whatever they are.
    fn zip(entries: &[Entry<'_>]) -> Cursor<Vec<u8>> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (index, (_, _, content)) in entries.iter().enumerate() {
            writer
                .start_file(format!("{index:08}"), SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
        let mut archive = ZipArchive::new(writer.finish().unwrap()).unwrap();
        let start = usize::try_from(archive.central_directory_start()).unwrap();
        let headers: Vec<_> = (0..entries.len())
            .map(|index| usize::try_from(archive.by_index(index).unwrap().central_header_start()).unwrap())
            .collect();
        let bytes = archive.into_inner().into_inner();
        // The names and modes are those in the central directory, which readers go by.
        let mut made = bytes[..start].to_vec();
        for (header, (name, mode, _)) in headers.iter().zip(entries) {
            let mut header = bytes[*header..header + 46].to_vec();
            header[5] = 3; // made on Unix
            header[28..30].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            header[30..34].fill(0); // neither extra fields nor a comment
            header[38..42].copy_from_slice(&(mode << 16).to_le_bytes());
            made.extend(header);
            made.extend(name.as_bytes());
        }
        let size = u32::try_from(made.len() - start).unwrap();
        let mut end = bytes[bytes.len() - 22..].to_vec();
        end[12..16].copy_from_slice(&size.to_le_bytes());
        made.extend(end);
        Cursor::new(made)
    }

    fn unpacked(entries: &[Entry<'_>]) -> Result<tempfile::TempDir, Error> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("src");
        fs::create_dir(&root).unwrap();
        unpack(zip(entries), &root, Limits::default())?;
        Ok(folder)
    }

    #[test]
    fn files_keep_their_content_and_permissions_and_links_their_targets() {
        let folder = unpacked(&[
            ("a/run", 0o100_755, b"#!"),
            ("a/set-user-id", 0o104_755, b""),
            ("plain", 0, b"text"),
            ("empty/", 0o040_755, b""),
            ("a/link", 0o120_777, b"../plain"),
            ("to-nothing", 0o120_777, b"a/later"),
        ])
        .unwrap();
        let root = folder.path().join("src");
        let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            (mode("a/run"), mode("a/set-user-id"), mode("plain")),
            (0o755, 0o755, 0o644)
        );
        assert_eq!(fs::read(root.join("a/link")).unwrap(), b"text");
        assert!(root.join("empty").is_dir());
        assert_eq!(
            fs::read_link(root.join("to-nothing")).unwrap(),
            Path::new("a/later")
        );
    }

    #[test]
    fn nothing_is_written_outside() {
        for name in ["../evil", "/tmp/evil", "a/../../evil", ".."] {
            let refused = unpacked(&[(name, 0o100_644, b"x")]).unwrap_err();
            assert!(matches!(refused, Error::Outside(_)), "{name}: {refused}");
        }
        let through = unpacked(&[("a", 0o120_777, b"/tmp"), ("a/evil", 0o100_644, b"x")]);
        assert!(matches!(
            through.unwrap_err(),
            Error::Twice(_) | Error::LinkOutside { .. }
        ));
    }

    #[test]
    fn no_link_leads_outside() {
        for target in ["/etc/passwd", "..", "../src/../..", "a/../../x"] {
            let refused = unpacked(&[("link", 0o120_777, target.as_bytes())]).unwrap_err();
            assert!(
                matches!(refused, Error::LinkOutside { .. }),
                "{target}: {refused}"
            );
        }
        // Each stays inside by its text, and the second leads outside by way of the first.
        let refused = unpacked(&[
            ("p/q/file", 0o100_644, b""),
            ("p/q/up", 0o120_777, b"../.."),
            ("x", 0o120_777, b"p/q/up/.."),
        ]);
        assert!(matches!(refused.unwrap_err(), Error::LinkOutside { .. }));
        let refused = unpacked(&[
            ("a", 0o120_777, b"b/c/up/../.."),
            ("b/c/up", 0o120_777, b"../.."),
            ("a/link", 0o120_777, b"x"),
        ]);
        assert!(refused.is_err());
    }

    #[test]
    fn devices_and_pipes_are_refused() {
        for mode in [0o020_666, 0o060_666, 0o010_666, 0o140_666] {
            let refused = unpacked(&[("null", mode, b"")]).unwrap_err();
            assert!(matches!(refused, Error::Special { .. }), "{mode:o}: {refused}");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        let refused = unpacked(&[("a", 0o100_644, b"1"), ("./a", 0o100_644, b"2")]);
        assert!(matches!(refused.unwrap_err(), Error::Twice(_)));
    }

    #[test]
    fn a_source_over_a_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let entries: [Entry<'_>; 2] = [("a", 0, &[0; 70]), ("b", 0, &[0; 40])];
        for (bytes, entries_limit, fits) in [(110, 2, true), (109, 2, false), (110, 1, false)] {
            let root = folder.path().join(format!("{bytes}-{entries_limit}"));
            fs::create_dir(&root).unwrap();
            let limits = Limits {
                bytes,
                entries: entries_limit,
            };
            let done = unpack(zip(&entries), &root, limits);
            match done {
                Ok(()) => assert!(fits, "{limits:?}"),
                Err(Error::TooLarge(_)) => assert!(!fits, "{limits:?}"),
                Err(other) => unreachable!("{other}"),
            }
        }
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let refused = unpack(Cursor::new(b"not a zip"), root.path(), Limits::default());
        assert!(matches!(refused.unwrap_err(), Error::Zip(_)));
    }
}
