//! Builds the records of a zip, each a local header and data, apart from the archive.

use std::io;

use libdeflater::{CompressionLvl, Compressor, crc32};

use crate::earlier::{Earlier, Place, Window};
use crate::format::{Fields, Method, Records};

/// libdeflate's level 6, whose output is about as small as that of zlib's level 6, the one of `git archive`. Level 5
/// would save a fifth of the time, and make zips one or two percent larger.
const LEVEL: i32 = 6;

/// Builds records. Each worker has a builder of its own, and reuses its compressor.
pub struct RecordBuilder {
    compressor: Compressor,
    window: Window,
    time: u16,
    date: u16,
}

impl RecordBuilder {
    /// Creates a builder whose entries all have this MS-DOS time and date.
    pub fn new((time, date): (u16, u16)) -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        Self {
            compressor: Compressor::new(level),
            window: Window::default(),
            time,
            date,
        }
    }

    /// Appends a file: deflated, or stored if deflating makes it no smaller.
    pub fn file<'a>(&mut self, records: &mut Records<'a>, path: &'a [u8], data: &[u8], executable: bool) {
        let mut fields = self.fields(path, data, file_mode(executable));
        // The room is as large as the data: if the deflated data do not fit, they are better stored.
        let (header, room) = append(&mut records.bytes, &fields);
        match self.compressor.deflate_compress(data, room) {
            Ok(deflated) if deflated < data.len() => {
                fields.method = Method::Deflated;
                fields.compressed = deflated as u64;
            }
            _ => room.copy_from_slice(data),
        }
        fields.write_local_header(header);
        let unused = fields.size - fields.compressed;
        records.bytes.truncate(records.bytes.len() - unused as usize);
        records.fields.push(fields);
    }

    /// Appends a file whose data are those of an earlier zip.
    pub fn taken<'a>(
        &mut self,
        records: &mut Records<'a>,
        path: &'a [u8],
        (earlier, place): (&Earlier, &Place),
        executable: bool,
    ) -> io::Result<()> {
        let fields = self.unchanged(path, place, executable);
        let (header, room) = append(&mut records.bytes, &fields);
        earlier.data_through(&mut self.window, place, room)?;
        fields.write_local_header(header);
        records.fields.push(fields);
        Ok(())
    }

    /// Returns the fields of a file whose data are those of an earlier zip.
    pub fn unchanged<'a>(&self, path: &'a [u8], place: &Place, executable: bool) -> Fields<'a> {
        Fields {
            time: self.time,
            date: self.date,
            mode: file_mode(executable),
            ..place.fields(path)
        }
    }

    /// Appends a symbolic link, whose data are its target, stored.
    pub fn symlink<'a>(&self, records: &mut Records<'a>, path: &'a [u8], target: &[u8]) {
        self.stored(records, path, target, 0o120_777);
    }

    /// Appends a folder. `path` ends with a slash.
    pub fn folder<'a>(&self, records: &mut Records<'a>, path: &'a [u8]) {
        self.stored(records, path, &[], 0o040_755);
    }

    fn stored<'a>(&self, records: &mut Records<'a>, path: &'a [u8], data: &[u8], mode: u32) {
        let fields = self.fields(path, data, mode);
        let (header, room) = append(&mut records.bytes, &fields);
        room.copy_from_slice(data);
        fields.write_local_header(header);
        records.fields.push(fields);
    }

    /// Returns the fields of a file of which only the size is known.
    pub fn unread<'a>(&self, path: &'a [u8], size: u64, executable: bool) -> Fields<'a> {
        Fields {
            path,
            method: Method::Stored,
            time: self.time,
            date: self.date,
            crc32: 0,
            compressed: 0,
            size,
            mode: file_mode(executable),
            descriptor: false,
        }
    }

    fn fields<'a>(&self, path: &'a [u8], data: &[u8], mode: u32) -> Fields<'a> {
        let size = data.len() as u64;
        Fields {
            crc32: crc32(data),
            compressed: size,
            mode,
            ..self.unread(path, size, false)
        }
    }
}

fn file_mode(executable: bool) -> u32 {
    if executable { 0o100_755 } else { 0o100_644 }
}

/// Appends room for a record whose data are stored. Returns the room for its header and that for its data.
fn append<'a>(bytes: &'a mut Vec<u8>, fields: &Fields<'_>) -> (&'a mut [u8], &'a mut [u8]) {
    let start = bytes.len();
    let end = start + fields.record_bytes() as usize;
    if bytes.capacity() == 0 {
        // The system hands out zeroed memory, and pages that are never written to take no memory.
        *bytes = vec![0; end];
    } else {
        bytes.resize(end, 0);
    }
    bytes[start..].split_at_mut(fields.local_header_bytes())
}
