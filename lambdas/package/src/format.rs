//! The parts of the zip format that are written here, by PKWARE's APPNOTE.TXT 6.3.10
//! (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>). Each structure names its section.
//!
//! Sizes and checksums are in the local headers, except for large files, which are written while they are read and are
//! followed by a data descriptor. Large files are always deflated, because streaming readers, such as Java's
//! ZipInputStream, refuse data descriptors of stored entries. A name that is UTF-8 is marked as such; the bytes of any
//! other name are written without the mark, and unzip programs on Unix take them as they are.

use std::io::{self, Write};

/// The fixed part of a local header, in bytes.
const LOCAL_HEADER_BYTES: usize = 30;
/// The ZIP64 extra field of a local header, in bytes: its head and two sizes.
const LOCAL_ZIP64_BYTES: usize = 20;
/// A large file of at least this size is given ZIP64 fields before its compressed size is known, because deflate adds
/// up to 0.03 % to what it cannot compress.
const LARGE_ZIP64_FROM: u64 = ZIP64_FROM - (16 << 20);
/// A value of at least this is written as all ones in its 32-bit field, and stands in a ZIP64 field.
const ZIP64_FROM: u64 = 0xFFFF_FFFF;
/// The same for a 16-bit count.
const ZIP64_FROM_ENTRIES: u64 = 0xFFFF;
/// The extra field's id (4.5.3).
const ZIP64_ID: u16 = 1;
/// "Made by version 4.5 on Unix" (4.4.2), so that the upper half of the external attributes is a file mode.
const MADE_BY: u16 = (3 << 8) | 45;
/// Bit 11 of the flags (4.4.4): the name is UTF-8.
const UTF8: u16 = 1 << 11;
/// Bit 3 of the flags (4.4.4): a data descriptor follows the data.
const DESCRIPTOR: u16 = 1 << 3;

/// How data is compressed (4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Stored,
    Deflated,
}

/// What both headers of an entry say.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    pub path: &'a [u8],
    pub method: Method,
    pub time: u16,
    pub date: u16,
    pub crc32: u32,
    pub compressed: u64,
    pub size: u64,
    /// The file mode, as in POSIX's `st_mode`.
    pub mode: u32,
    /// Whether a data descriptor follows the data. If so, `crc32` and `compressed` are 0 until the data are written.
    pub descriptor: bool,
}

impl Fields<'_> {
    /// Returns the length of the local header with name and extra field, in bytes. It does not depend on `compressed`,
    /// which is never larger than `size` in an entry without a data descriptor.
    pub fn local_header_bytes(&self) -> usize {
        let zip64 = if self.is_zip64() { LOCAL_ZIP64_BYTES } else { 0 };
        LOCAL_HEADER_BYTES + self.path.len() + zip64
    }

    /// Returns the length of header, data and data descriptor, in bytes.
    pub fn record_bytes(&self) -> u64 {
        self.local_header_bytes() as u64 + self.compressed + self.data_descriptor().len() as u64
    }

    /// Returns whether the local header and the data descriptor have 64-bit sizes.
    fn is_zip64(&self) -> bool {
        let from = if self.descriptor {
            LARGE_ZIP64_FROM
        } else {
            ZIP64_FROM
        };
        self.size >= from
    }

    /// Returns the data descriptor (4.3.9), which is empty if the entry has none.
    fn data_descriptor(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.descriptor {
            bytes.extend(*b"PK\x07\x08");
            put32(&mut bytes, self.crc32);
            for size in [self.compressed, self.size] {
                if self.is_zip64() {
                    bytes.extend(size.to_le_bytes());
                } else {
                    put32(&mut bytes, saturated(size));
                }
            }
        }
        bytes
    }

    /// Writes the local header (4.3.7) into `bytes`, whose length is that of the header.
    pub fn write_local_header(&self, bytes: &mut [u8]) {
        let mut header = Vec::with_capacity(bytes.len());
        // What the data descriptor says is zero in the local header.
        let [crc32, compressed, size] = if self.descriptor {
            [0; 3]
        } else {
            [u64::from(self.crc32), self.compressed, self.size]
        };
        let sizes = if self.is_zip64() {
            [u32::MAX; 2]
        } else {
            [saturated(compressed), saturated(size)]
        };
        header.extend(*b"PK\x03\x04");
        self.put_common(&mut header, self.is_zip64(), crc32 as u32, sizes);
        let extra = bytes.len() - LOCAL_HEADER_BYTES - self.path.len();
        put16(&mut header, path_bytes(self.path));
        put16(&mut header, extra as u16);
        header.extend(self.path);
        if self.is_zip64() {
            put16(&mut header, ZIP64_ID);
            put16(&mut header, 16);
            header.extend(size.to_le_bytes());
            header.extend(compressed.to_le_bytes());
        }
        bytes.copy_from_slice(&header);
    }

    /// Appends the entry's header in the central directory (4.3.12).
    fn put_central_header(&self, central: &mut Vec<u8>, offset: u64) {
        let values = [self.size, self.compressed, offset];
        let large: Vec<u64> = values.into_iter().filter(|value| *value >= ZIP64_FROM).collect();
        central.extend(*b"PK\x01\x02");
        put16(central, MADE_BY);
        let sizes = [saturated(self.compressed), saturated(self.size)];
        self.put_common(central, self.is_zip64() || !large.is_empty(), self.crc32, sizes);
        put16(central, path_bytes(self.path));
        let extra = if large.is_empty() { 0 } else { 4 + 8 * large.len() };
        put16(central, extra as u16);
        // No comment, the first disk, no internal attributes.
        for _ in 0..3 {
            put16(central, 0);
        }
        let folder = u32::from(self.path.ends_with(b"/")) << 4;
        put32(central, (self.mode << 16) | folder);
        put32(central, saturated(offset));
        central.extend(self.path);
        if !large.is_empty() {
            put16(central, ZIP64_ID);
            put16(central, 8 * large.len() as u16);
            for value in large {
                central.extend(value.to_le_bytes());
            }
        }
    }

    fn put_common(&self, header: &mut Vec<u8>, zip64: bool, crc32: u32, [compressed, size]: [u32; 2]) {
        // The version that a reader needs (4.4.3): 4.5 for ZIP64, 2.0 for folders and deflate.
        put16(header, if zip64 { 45 } else { 20 });
        let utf8 = std::str::from_utf8(self.path).is_ok();
        let descriptor = if self.descriptor { DESCRIPTOR } else { 0 };
        put16(header, descriptor | if utf8 { UTF8 } else { 0 });
        put16(header, if self.method == Method::Deflated { 8 } else { 0 });
        put16(header, self.time);
        put16(header, self.date);
        put32(header, crc32);
        put32(header, compressed);
        put32(header, size);
    }
}

/// The records of some entries, one after another.
#[derive(Debug, Default)]
pub struct Records<'a> {
    /// Local headers, names, extra fields and data, as they stand in the archive.
    pub bytes: Vec<u8>,
    /// What the central directory repeats.
    pub fields: Vec<Fields<'a>>,
}

/// Writes records one after another, then the central directory, of which it holds about 100 bytes per entry in memory.
pub struct Writer<W> {
    out: W,
    offset: u64,
    central: Vec<u8>,
    entries: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            offset: 0,
            central: Vec::new(),
            entries: 0,
        }
    }

    /// Appends `records`, and lists them in the central directory.
    pub fn add(&mut self, records: &Records<'_>) -> io::Result<()> {
        for fields in &records.fields {
            self.list(fields);
        }
        self.out.write_all(&records.bytes)
    }

    /// Writes the local header of an entry whose data are then written by [`Writer::data`].
    pub fn begin(&mut self, fields: &Fields<'_>) -> io::Result<()> {
        let mut header = vec![0; fields.local_header_bytes()];
        fields.write_local_header(&mut header);
        self.out.write_all(&header)
    }

    /// Writes some of the data of the current entry.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Ends the current entry, all of whose fields are now known.
    pub fn end(&mut self, fields: &Fields<'_>) -> io::Result<()> {
        self.out.write_all(&fields.data_descriptor())?;
        self.list(fields);
        Ok(())
    }

    fn list(&mut self, fields: &Fields<'_>) {
        fields.put_central_header(&mut self.central, self.offset);
        self.entries += 1;
        self.offset += fields.record_bytes();
    }

    /// Writes the central directory and its end records (4.3.14 to 4.3.16).
    pub fn finish(mut self) -> io::Result<W> {
        let size = self.central.len() as u64;
        let mut end = std::mem::take(&mut self.central);
        if self.entries >= ZIP64_FROM_ENTRIES || size >= ZIP64_FROM || self.offset >= ZIP64_FROM {
            let end_offset = self.offset + size;
            end.extend(*b"PK\x06\x06");
            // The size of the rest of this record, in bytes.
            end.extend(44_u64.to_le_bytes());
            put16(&mut end, MADE_BY);
            put16(&mut end, 45);
            for disk in [0, 0] {
                put32(&mut end, disk);
            }
            for value in [self.entries, self.entries, size, self.offset] {
                end.extend(value.to_le_bytes());
            }
            end.extend(*b"PK\x06\x07");
            put32(&mut end, 0);
            end.extend(end_offset.to_le_bytes());
            put32(&mut end, 1);
        }
        end.extend(*b"PK\x05\x06");
        put32(&mut end, 0);
        let entries = self.entries.min(ZIP64_FROM_ENTRIES) as u16;
        put16(&mut end, entries);
        put16(&mut end, entries);
        put32(&mut end, saturated(size));
        put32(&mut end, saturated(self.offset));
        put16(&mut end, 0);
        self.out.write_all(&end)?;
        Ok(self.out)
    }
}

fn saturated(value: u64) -> u32 {
    value.min(ZIP64_FROM) as u32
}

/// Returns the length of `path`. It fits, because paths of a tree are at most 4,096 bytes long.
fn path_bytes(path: &[u8]) -> u16 {
    path.len() as u16
}

fn put16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_le_bytes());
}

/// Converts to MS-DOS time and date (4.4.6), which have a resolution of two seconds and range from 1980 to 2107. A time
/// outside this range becomes 1980-01-01. The result is UTC, so that it is the same everywhere.
pub fn dos_time(time: chrono::DateTime<chrono::Utc>) -> (u16, u16) {
    use chrono::{Datelike, Timelike};
    let year = time.year() - 1980;
    if !(0..128).contains(&year) {
        return (0, (1 << 5) | 1);
    }
    let time_of_day = (time.hour() << 11) | (time.minute() << 5) | (time.second() / 2);
    let date = ((year as u32) << 9) | (time.month() << 5) | time.day();
    (time_of_day as u16, date as u16)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Seek, SeekFrom};

    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::record::RecordBuilder;

    #[test]
    fn times_outside_the_range_of_a_zip_become_1980() {
        let time = |seconds| dos_time(DateTime::from_timestamp(seconds, 0).unwrap());
        assert_eq!(time(0), (0, 0x21));
        assert_eq!(time(4_354_819_200), (0, 0x21));
        // 2023-11-14 22:13:20, as git archive writes it in UTC.
        assert_eq!(time(1_700_000_000), (0xB1AA, 0x576E));
    }

    /// A sparse file, which is all zeros except for what was written, so that the tests of ZIP64 need no memory.
    #[derive(Default)]
    struct Sparse {
        pieces: std::collections::BTreeMap<u64, Vec<u8>>,
        end: u64,
        position: u64,
    }

    impl Sparse {
        fn skip(&mut self, bytes: u64) {
            self.end += bytes;
        }
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.pieces.insert(self.end, bytes.to_vec());
            self.end += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Sparse {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer
                .len()
                .min((self.end - self.position.min(self.end)) as usize);
            for (index, byte) in buffer[..count].iter_mut().enumerate() {
                let at = self.position + index as u64;
                let piece = self.pieces.range(..=at).next_back();
                *byte = piece
                    .and_then(|(start, piece)| piece.get((at - start) as usize).copied())
                    .unwrap_or(0);
            }
            self.position += count as u64;
            Ok(count)
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.position = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::Current(by) => self.position.wrapping_add_signed(by),
                SeekFrom::End(by) => self.end.wrapping_add_signed(by),
            };
            Ok(self.position)
        }
    }

    #[test]
    fn an_entry_and_an_archive_of_more_than_4_gib_are_zip64() {
        let size = 5 << 30;
        let fields = Fields {
            path: b"large",
            method: Method::Stored,
            time: 0,
            date: 33,
            crc32: 7,
            compressed: size,
            size,
            mode: 0o100_644,
            descriptor: false,
        };
        let mut bytes = vec![0; fields.local_header_bytes()];
        fields.write_local_header(&mut bytes);
        let large = Records {
            bytes,
            fields: vec![fields],
        };
        let mut writer = Writer::new(Sparse::default());
        writer.add(&large).unwrap();
        // The data, which are zeros.
        writer.out.skip(size);
        let mut small = Records::default();
        RecordBuilder::new((0, 33)).file(&mut small, b"small", b"content", true);
        writer.add(&small).unwrap();
        let mut zip = zip::ZipArchive::new(writer.finish().unwrap()).unwrap();
        {
            let large = zip.by_name("large").unwrap();
            assert_eq!(
                (large.size(), large.compressed_size(), large.crc32()),
                (size, size, 7)
            );
        }
        let mut small = zip.by_name("small").unwrap();
        assert!(small.header_start() > size);
        let mut content = String::new();
        small.read_to_string(&mut content).unwrap();
        assert_eq!(
            (content.as_str(), small.unix_mode()),
            ("content", Some(0o100_755))
        );
    }

    #[test]
    fn a_large_entry_that_is_written_as_it_is_read_is_zip64() {
        // The second one is smaller than 4 GiB, and larger once it is deflated.
        for (size, compressed) in [(5 << 30, 9 << 29), ((4 << 30) - 2, (4 << 30) + 7)] {
            let mut fields = RecordBuilder::new((0, 33)).unread(b"large", size, false);
            fields.method = Method::Deflated;
            fields.descriptor = true;
            let mut writer = Writer::new(Sparse::default());
            writer.begin(&fields).unwrap();
            let local = writer.out.pieces.values().next().unwrap().clone();
            assert_eq!(u16::from_le_bytes([local[6], local[7]]), UTF8 | DESCRIPTOR);
            assert_eq!(local[14..18], [0; 4], "the checksum comes later");
            assert_eq!(local[18..26], [0xFF; 8], "and so do the sizes, in 64 bits");
            writer.out.skip(compressed);
            (fields.crc32, fields.compressed) = (7, compressed);
            writer.end(&fields).unwrap();
            let (_, descriptor) = writer.out.pieces.last_key_value().unwrap();
            assert_eq!(descriptor.len(), 24);
            assert_eq!(descriptor[8..16], compressed.to_le_bytes());
            let mut small = Records::default();
            RecordBuilder::new((0, 33)).file(&mut small, b"small", b"content", true);
            writer.add(&small).unwrap();
            let mut zip = zip::ZipArchive::new(writer.finish().unwrap()).unwrap();
            {
                let large = zip.by_name("large").unwrap();
                assert_eq!(
                    (large.size(), large.compressed_size(), large.crc32()),
                    (size, compressed, 7)
                );
            }
            let mut content = String::new();
            zip.by_name("small")
                .unwrap()
                .read_to_string(&mut content)
                .unwrap();
            assert_eq!(content, "content");
        }
    }

    #[test]
    fn more_entries_than_fit_into_16_bits_are_zip64() {
        let builder = RecordBuilder::new((0, 33));
        let mut writer = Writer::new(Cursor::new(Vec::new()));
        for number in 0..70_000 {
            let path = number.to_string();
            let mut records = Records::default();
            builder.symlink(&mut records, path.as_bytes(), b"x");
            writer.add(&records).unwrap();
        }
        let zip = zip::ZipArchive::new(writer.finish().unwrap()).unwrap();
        assert_eq!(zip.len(), 70_000);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_written_as_its_bytes_without_the_mark() {
        let mut writer = Writer::new(Cursor::new(Vec::new()));
        let mut builder = RecordBuilder::new((0, 33));
        let mut records = Records::default();
        builder.file(&mut records, b"\xff\xe9", b"", false);
        builder.file(&mut records, "\u{e9}".as_bytes(), b"", false);
        writer.add(&records).unwrap();
        let mut zip = zip::ZipArchive::new(writer.finish().unwrap()).unwrap();
        assert_eq!(zip.by_index(0).unwrap().name_raw(), b"\xff\xe9");
        assert_eq!(zip.by_index(1).unwrap().name().unwrap(), "\u{e9}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_another_implementation_reads(
            files in prop::collection::btree_map("[a-z\u{e4}/]{1,20}[a-z]", (prop::collection::vec(any::<u8>(), 0..3_000), any::<bool>()), 0..10),
        ) {
            let mut builder = RecordBuilder::new((0xB1AA, 0x576E));
            let mut writer = Writer::new(Cursor::new(Vec::new()));
            let mut records = Records::default();
            for (path, (data, executable)) in &files {
                builder.file(&mut records, path.as_bytes(), data, *executable);
            }
            writer.add(&records).unwrap();
            let mut zip = zip::ZipArchive::new(writer.finish().unwrap()).unwrap();
            prop_assert_eq!(zip.len(), files.len());
            for (index, (path, (data, executable))) in files.iter().enumerate() {
                let mut file = zip.by_index(index).unwrap();
                let mut content = Vec::new();
                file.read_to_end(&mut content).unwrap();
                prop_assert_eq!(&content, data);
                prop_assert_eq!(file.name().unwrap(), path.as_str());
                prop_assert_eq!(file.unix_mode(), Some(if *executable { 0o100_755 } else { 0o100_644 }));
            }
        }
    }
}
