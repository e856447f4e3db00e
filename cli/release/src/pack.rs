//! Writes the archive, the same bytes for the same files and time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::Error;

/// What is in a file of the archive.
#[derive(Debug)]
pub enum Content {
    /// The bytes of another file.
    File(PathBuf),
    /// A text.
    Text(String),
}

/// A file of the archive.
#[derive(Debug)]
pub struct Entry {
    /// What is in it.
    pub content: Content,
    /// Whether it is a program.
    pub is_program: bool,
}

impl Entry {
    /// Returns a file with the bytes of a program.
    #[must_use]
    pub fn program(file: PathBuf) -> Self {
        Self {
            content: Content::File(file),
            is_program: true,
        }
    }
}

/// Writes an archive of these files, which are named by their paths in `folder`, the archive's one folder. It says
/// nothing of this machine, and of the time only `time`, in seconds since 1970.
///
/// # Errors
/// Returns an error if a file cannot be read, or if the archive cannot be written.
pub fn pack(
    archive: &Path,
    folder: &str,
    entries: &BTreeMap<PathBuf, Entry>,
    time: u64,
) -> Result<(), Error> {
    let failed = || Error::io("write", archive);
    let file = File::create(archive).map_err(failed())?;
    let gzip = GzBuilder::new().write(BufWriter::new(file), Compression::default());
    let mut tar = Builder::new(gzip);
    for (path, entry) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if entry.is_program { 0o755 } else { 0o644 });
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        let path = Path::new(folder).join(path);
        match &entry.content {
            Content::Text(text) => {
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes())
            }
            Content::File(content) => {
                let file = File::open(content).map_err(Error::io("read", content))?;
                let size = file.metadata().map_err(Error::io("read", content))?.len();
                header.set_size(size);
                tar.append_data(&mut header, path, file)
            }
        }
        .map_err(failed())?;
    }
    let gzip = tar.into_inner().map_err(failed())?;
    let mut file = gzip.finish().map_err(failed())?;
    file.flush().map_err(failed())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive_whenever_and_by_whomever_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let bytes = |name: &str| {
            let archive = folder.path().join(name);
            let file = |is_program| Entry {
                content: Content::File(program.clone()),
                is_program,
            };
            let text = Entry {
                content: Content::Text("text".to_owned()),
                is_program: false,
            };
            let entries = [("b/x", file(true)), ("a", text), ("b/c", file(false))];
            let entries = entries.map(|(path, entry)| (PathBuf::from(path), entry));
            pack(&archive, "top", &BTreeMap::from(entries), 1_700_000_000).unwrap();
            std::fs::read(archive).unwrap()
        };
        std::fs::write(&program, "program").unwrap();
        let first = bytes("first");
        std::fs::remove_file(&program).unwrap();
        std::fs::write(&program, "program").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o600)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        File::options()
            .write(true)
            .open(&program)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        assert_eq!(bytes("second"), first);

        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&first[..]));
        let listed: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                assert_eq!(header.mtime().unwrap(), 1_700_000_000);
                assert_eq!(header.username().unwrap().unwrap_or_default(), "");
                (path, header.mode().unwrap())
            })
            .collect();
        let expected = [("top/a", 0o644), ("top/b/c", 0o644), ("top/b/x", 0o755)];
        assert_eq!(listed, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
