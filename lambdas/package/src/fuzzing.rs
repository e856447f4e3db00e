//! Opens private functions to the fuzz targets.

use std::collections::HashMap;
use std::io::{self, Cursor, Write as _};

use reporter::ProgressReporter;

use crate::changes::Changes;
pub use crate::conversion::fuzzing::{crlf, encode, expand, substitute};
use crate::earlier::Earlier;
use crate::error::Error;
use crate::format::{Records, Writer};
use crate::large::LargeFiles;
use crate::progress::Meter;
use crate::record::RecordBuilder;

/// Returns the paths of the files of a zip, with their data as they stand in it, or `None` if it is no zip as they are
/// written here.
///
/// # Errors
/// Returns an error if what the zip says is there cannot be read.
pub fn earlier(zip: &[u8]) -> io::Result<Option<HashMap<Vec<u8>, Vec<u8>>>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(zip)?;
    let earlier = Earlier::read(file, &Changes::default()).ok();
    earlier.map(|earlier| earlier.all()).transpose()
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file in memory.
    File,
    /// An executable file in memory.
    Executable,
    /// A file that is written while it is read.
    Large,
    /// A symbolic link, whose target is its data.
    Symlink,
    /// A folder without data, whose path ends with a slash.
    Folder,
}

/// Returns the zip of these entries.
///
/// # Errors
/// Returns an [`Error`] if the zip cannot be written.
pub fn zip(entries: &[(Vec<u8>, EntryKind, Vec<u8>)], time: (u16, u16)) -> Result<Vec<u8>, Error> {
    let silent = ProgressReporter::silent();
    let meter = Meter::new(&silent, entries.len() as u64);
    let mut builder = RecordBuilder::new(time);
    let mut writer = Writer::new(Cursor::new(Vec::new()));
    for (path, kind, data) in entries {
        let mut records = Records::default();
        match kind {
            EntryKind::File | EntryKind::Executable => {
                builder.file(&mut records, path, data, *kind == EntryKind::Executable);
            }
            EntryKind::Large => {
                let fields = builder.unread(path, data.len() as u64, false);
                let mut files = LargeFiles {
                    zip: &mut writer,
                    workers: 2,
                    meter: &meter,
                };
                files.made(fields, data.clone())?;
                continue;
            }
            EntryKind::Symlink => builder.symlink(&mut records, path, data),
            EntryKind::Folder => builder.folder(&mut records, path),
        }
        writer.add(&records).map_err(Error::Zip)?;
    }
    let finished: io::Result<_> = writer.finish();
    finished.map(Cursor::into_inner).map_err(Error::Zip)
}
