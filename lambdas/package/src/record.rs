//! One entry as a zip holds it: its local header and its data, made apart from the archive.

use libdeflater::{CompressionLvl, Compressor, crc32};

use crate::format::{Fields, Method};

/// zlib's own default, and git archive's.
const LEVEL: i32 = 6;

/// See the module.
pub struct Record {
    /// Local header, name, extra fields and data, as they stand in the archive.
    pub bytes: Vec<u8>,
    /// What the central directory repeats.
    pub fields: Fields,
}

/// Makes records. Each worker has its own, whose compressor is used again and again.
pub struct Maker {
    compressor: Compressor,
    time: u16,
    date: u16,
}

impl Maker {
    /// A maker whose entries all have this time and date, in MS-DOS form.
    pub fn new(time: u16, date: u16) -> Self {
        let level = CompressionLvl::new(LEVEL).unwrap_or_default();
        Self {
            compressor: Compressor::new(level),
            time,
            date,
        }
    }

    /// A file's record: deflated, or stored where that is no smaller.
    pub fn file(&mut self, path: &[u8], data: &[u8], executable: bool) -> Record {
        let mode = if executable { 0o100_755 } else { 0o100_644 };
        let mut fields = self.fields(path, data, mode);
        let start = fields.local_header_bytes();
        // The room is the data's own size: what does not fit is better stored.
        let mut bytes = vec![0; start + data.len()];
        match self.compressor.deflate_compress(data, &mut bytes[start..]) {
            Ok(deflated) if deflated < data.len() => {
                fields.method = Method::Deflated;
                fields.compressed = deflated as u64;
                bytes.truncate(start + deflated);
            }
            _ => bytes[start..].copy_from_slice(data),
        }
        fields.write_local_header(&mut bytes[..start]);
        Record { bytes, fields }
    }

    /// A symbolic link's record: its target, stored.
    pub fn symlink(&self, path: &[u8], target: &[u8]) -> Record {
        self.stored(path, target, 0o120_777)
    }

    /// A folder's record. `path` ends with a slash.
    pub fn folder(&self, path: &[u8]) -> Record {
        self.stored(path, &[], 0o040_755)
    }

    fn stored(&self, path: &[u8], data: &[u8], mode: u32) -> Record {
        let fields = self.fields(path, data, mode);
        let start = fields.local_header_bytes();
        let mut bytes = vec![0; start + data.len()];
        bytes[start..].copy_from_slice(data);
        fields.write_local_header(&mut bytes[..start]);
        Record { bytes, fields }
    }

    fn fields(&self, path: &[u8], data: &[u8], mode: u32) -> Fields {
        let size = data.len() as u64;
        Fields {
            path: path.to_vec(),
            method: Method::Stored,
            time: self.time,
            date: self.date,
            crc32: crc32(data),
            compressed: size,
            size,
            mode,
        }
    }
}
