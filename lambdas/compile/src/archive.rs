//! Zips: the output of a build, of which nothing is trusted, the delivered zip, and the zips that are made of the
//! output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::Error;

/// The most entries that an output may have.
const MAX_ENTRIES: usize = 50_000;

/// The most bytes that the entries of an output may have together.
const MAX_BYTES: u64 = 2 << 30;

/// The most bytes that the files of a function may have together, which is Lambda's limit.
const MAX_FOLDER_BYTES: u64 = 250 << 20;

/// The longest path of an entry, in bytes.
const MAX_PATH_BYTES: usize = 1_024;

/// The bits of a file mode that say what kind of file it is, and those of ordinary files and folders.
const KIND: u32 = 0o170_000;
const ORDINARY: [u32; 3] = [0, 0o100_000, 0o040_000];

/// A file in the output of a build.
#[derive(Debug, Clone, Copy)]
struct Entry {
    index: usize,
    executable: bool,
}

/// The output of a build, whose names are checked.
pub struct Output {
    archive: ZipArchive<BufReader<File>>,
    files: BTreeMap<String, Entry>,
}

impl Output {
    /// Opens the zip `path`, and checks what it says of its entries.
    ///
    /// # Errors
    /// Returns an [`Error`] if it is not a zip, or has an entry that is not accepted.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut archive =
            ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|error| unreadable(&error))?;
        if archive.len() > MAX_ENTRIES {
            let entries = archive.len();
            return Err(refused(format!(
                "it has {entries} entries, and may have {MAX_ENTRIES}"
            )));
        }
        if archive.has_duplicate_names() {
            return Err(refused("two of its entries have the same path"));
        }
        let mut files = BTreeMap::new();
        let mut folders = BTreeSet::new();
        let mut bytes = 0_u64;
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|error| unreadable(&error))?;
            let name = entry.name().map_err(|error| unreadable(&error))?.into_owned();
            let path = checked(&name)?;
            let shown = domain::plain(path, 200);
            let mode = entry.unix_mode();
            if entry.is_symlink() || !ORDINARY.contains(&(mode.unwrap_or_default() & KIND)) {
                return Err(refused(format!("{shown} is neither a file nor a folder")));
            }
            if entry.encrypted() {
                return Err(refused(format!("{shown} is encrypted")));
            }
            bytes = bytes.saturating_add(entry.size());
            if bytes > MAX_BYTES {
                return Err(refused(format!("its entries have more than {MAX_BYTES} bytes")));
            }
            let mut parents = path.match_indices('/').map(|(end, _)| path[..end].to_owned());
            folders.extend(&mut parents);
            if entry.is_dir() {
                folders.insert(path.to_owned());
                continue;
            }
            // If the zip has no modes, a program of it could not be run.
            let executable = mode.is_none_or(|mode| mode & 0o111 != 0);
            files.insert(path.to_owned(), Entry { index, executable });
        }
        if let Some(both) = files.keys().find(|path| folders.contains(*path)) {
            let shown = domain::plain(both, 200);
            return Err(refused(format!("{shown} is both a file and a folder")));
        }
        Ok(Self { archive, files })
    }

    /// Returns the bytes of a file, or `None` if there is none.
    ///
    /// # Errors
    /// Returns an [`Error`] if it has more than `max_bytes`, or cannot be read.
    pub fn read(&mut self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(entry) = self.files.get(path) else {
            return Ok(None);
        };
        read_entry(&mut self.archive, entry.index, path, max_bytes).map(Some)
    }

    /// Returns whether there is a file below this folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.files_of(folder).next().is_some()
    }

    fn files_of(&self, folder: &str) -> impl Iterator<Item = (String, Entry)> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let files = self.files.range(prefix.clone()..);
        let files = files.take_while(move |(path, _)| path.starts_with(&prefix));
        files.map(|(path, entry)| (path.clone(), *entry))
    }

    /// Writes a zip of the files below a folder. The same files become the same bytes: they are sorted, have no times,
    /// and one of two modes.
    ///
    /// # Errors
    /// Returns an [`Error`] if a file cannot be read, or if they are larger than Lambda accepts.
    pub fn pack(&mut self, folder: &str, to: &Path) -> Result<(), Error> {
        let files: Vec<_> = self.files_of(folder).collect();
        let start = if folder.is_empty() { 0 } else { folder.len() + 1 };
        let mut writer = ZipWriter::new(BufWriter::new(File::create_new(to)?));
        let mut left = MAX_FOLDER_BYTES;
        for (path, entry) in files {
            let mode = if entry.executable { 0o755 } else { 0o644 };
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .last_modified_time(DateTime::DEFAULT)
                .unix_permissions(mode);
            writer.start_file(&path[start..], options).map_err(unwritten)?;
            let file = self
                .archive
                .by_index(entry.index)
                .map_err(|error| unreadable(&error))?;
            let copied = io::copy(&mut Failing(file.take(left + 1)), &mut writer);
            let copied = copied.map_err(|error| read_failed(&path, error))?;
            left = left.checked_sub(copied).ok_or_else(|| {
                refused(format!(
                    "the files in {} have more than {MAX_FOLDER_BYTES} bytes, which is Lambda's limit",
                    domain::plain(folder, 200)
                ))
            })?;
        }
        let mut file = writer.finish().map_err(unwritten)?;
        file.flush()?;
        Ok(())
    }
}

/// The delivered zip, whose bytes are known by their digest.
pub struct Source {
    archive: ZipArchive<BufReader<File>>,
}

impl Source {
    /// Opens the zip `path`.
    ///
    /// # Errors
    /// Returns an [`Error`] if it is not a zip.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let archive = ZipArchive::new(BufReader::new(File::open(path)?));
        let archive =
            archive.map_err(|error| refused(format!("the delivered zip cannot be read: {error}")))?;
        Ok(Self { archive })
    }

    /// Returns the bytes of a file, or `None` if there is none.
    ///
    /// # Errors
    /// Returns an [`Error`] if it has more than `max_bytes`, or cannot be read.
    pub fn read(&mut self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(index) = self.archive.index_for_name(path) else {
            return Ok(None);
        };
        let entry = self
            .archive
            .by_index_raw(index)
            .map_err(|error| unreadable(&error))?;
        if entry.is_dir() || entry.is_symlink() {
            return Ok(None);
        }
        drop(entry);
        read_entry(&mut self.archive, index, path, max_bytes).map(Some)
    }
}

fn read_entry<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    path: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, Error> {
    let file = archive.by_index(index).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    let read = file.take(max_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(format!("{} cannot be read: {error}", domain::plain(path, 200))))?;
    if bytes.len() as u64 > max_bytes {
        let shown = domain::plain(path, 200);
        return Err(refused(format!("{shown} has more than {max_bytes} bytes")));
    }
    Ok(bytes)
}

/// Marks errors of reading, so that they are told from those of writing.
struct Failing<R>(R);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ReadFailed(io::Error);

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(buffer)
            .map_err(|error| io::Error::new(error.kind(), ReadFailed(error)))
    }
}

fn read_failed(path: &str, error: io::Error) -> Error {
    match error
        .get_ref()
        .and_then(|error| error.downcast_ref::<ReadFailed>())
    {
        Some(read) => refused(format!("{} cannot be read: {read}", domain::plain(path, 200))),
        None => Error::Workspace(error),
    }
}

/// Returns the path of an entry, without the slash that ends a folder's.
fn checked(name: &str) -> Result<&str, Error> {
    let path = name.strip_suffix('/').unwrap_or(name);
    let parts = || path.split('/');
    let fits = path.len() <= MAX_PATH_BYTES
        && !parts().any(|part| matches!(part, "" | "." | ".."))
        && !path.chars().any(|char| char.is_control() || char == '\\');
    if fits {
        Ok(path)
    } else {
        let shown = domain::plain(name, 200);
        Err(refused(format!("{shown:?} is not a path that an entry may have")))
    }
}

fn refused(reason: impl Into<String>) -> Error {
    Error::Output(reason.into())
}

fn unreadable(error: &ZipError) -> Error {
    refused(format!("it is not a zip that can be read: {error}"))
}

fn unwritten(error: ZipError) -> Error {
    Error::Workspace(io::Error::other(error))
}

#[cfg(test)]
mod tests;
