//! For fuzz targets: what is private otherwise.

use std::io::{self, Cursor};

use reporter::ProgressReporter;

pub use crate::conversion::fuzzing::{crlf, encode, expand, substitute};
use crate::error::Error;
use crate::format::Writer;
use crate::large::LargeFiles;
use crate::progress::Meter;
use crate::record::{RecordBuilder, Records};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file in memory.
    File,
    /// One that may be executed.
    Executable,
    /// A file that is written while it is read.
    Large,
    /// A symbolic link, whose target is its data.
    Symlink,
    /// A folder without data, whose path ends with a slash.
    Folder,
}

/// The zip of these entries.
///
/// # Errors
/// [`Error`].
pub fn zip(entries: &[(Vec<u8>, Kind, Vec<u8>)], time: (u16, u16)) -> Result<Vec<u8>, Error> {
    let nobody = ProgressReporter::silent();
    let meter = Meter::new(&nobody, entries.len() as u64);
    let mut builder = RecordBuilder::new(time);
    let mut writer = Writer::new(Cursor::new(Vec::new()));
    for (path, kind, data) in entries {
        let mut records = Records::default();
        match kind {
            Kind::File | Kind::Executable => {
                builder.file(&mut records, path, data, *kind == Kind::Executable);
            }
            Kind::Large => {
                let fields = builder.unread(path, data.len() as u64, false);
                let mut files = LargeFiles {
                    zip: &mut writer,
                    workers: 2,
                    meter: &meter,
                };
                files.made(fields, data.clone())?;
                continue;
            }
            Kind::Symlink => builder.symlink(&mut records, path, data),
            Kind::Folder => builder.folder(&mut records, path),
        }
        writer.add(&records).map_err(Error::Zip)?;
    }
    let finished: io::Result<_> = writer.finish();
    finished.map(Cursor::into_inner).map_err(Error::Zip)
}
