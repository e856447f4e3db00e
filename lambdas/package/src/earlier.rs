//! The zip of an earlier push, from which the data of files that have not changed are taken. What a file deflates to
//! depends on its content alone, so they need not be read and deflated again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use crate::changes::Changes;
use crate::format::{Fields, Method};

/// How many bytes of a zip are read at once for small files. They stand there in the order in which they are asked for.
const WINDOW_BYTES: usize = 64 << 10;

/// What was read of an earlier zip last.
#[derive(Debug, Default)]
pub struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn part(&self, start: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }

    fn fill(&mut self, zip: &File, start: u64) -> io::Result<()> {
        self.start = start;
        self.bytes.resize(WINDOW_BYTES, 0);
        let mut filled = 0;
        while filled < WINDOW_BYTES {
            match zip.read_at(&mut self.bytes[filled..], start + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

/// The files of an earlier zip that have not changed since.
#[derive(Debug)]
pub struct Earlier {
    zip: File,
    files: HashMap<Vec<u8>, Place>,
    taken: AtomicU64,
}

/// Where the data of a file are in the zip, and what its headers say of them.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    offset: u64,
    pub method: Method,
    pub crc32: u32,
    pub compressed: u64,
    pub size: u64,
    /// Whether a data descriptor follows the data, as after those of large files.
    pub descriptor: bool,
}

/// Why an earlier zip cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The zip cannot be read.
    #[error("its zip cannot be read")]
    Read(#[source] io::Error),
    /// The zip is not one.
    #[error("its zip is damaged")]
    Zip(#[source] rawzip::Error),
    /// It says that a file is where the zip has ended.
    #[error("its zip is too short for its files")]
    Outside,
}

impl Earlier {
    /// Opens a zip, and finds the files in it that have not changed since.
    ///
    /// # Errors
    /// Returns an error if it is no zip as they are written here.
    pub fn open(zip: &Path, changes: &Changes) -> Result<Self, Unusable> {
        Self::read(File::open(zip).map_err(Unusable::Read)?, changes)
    }

    /// Reads a zip as [`open`](Self::open) does.
    ///
    /// # Errors
    /// Returns an error in the same cases.
    pub fn read(zip: File, changes: &Changes) -> Result<Self, Unusable> {
        let bytes = zip.metadata().map_err(Unusable::Read)?.len();
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(zip, &mut buffer).map_err(Unusable::Zip)?;
        let mut files = HashMap::new();
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(Unusable::Zip)? {
            let path = entry.file_path();
            let path = path.as_ref();
            if entry.is_dir() || changes.contain(path) {
                continue;
            }
            let method = match entry.compression_method() {
                CompressionMethod::DEFLATE => Method::Deflated,
                _ => Method::Stored,
            };
            let mut place = Place {
                offset: entry.local_header_offset(),
                method,
                crc32: entry.crc32(),
                compressed: entry.compressed_size_hint(),
                size: entry.uncompressed_size_hint(),
                descriptor: entry.flags().has_data_descriptor(),
            };
            // It was written here, so its local header has the same length as the one that would be written now.
            let header = place.fields(path).local_header_bytes() as u64;
            place.offset = place.offset.saturating_add(header);
            if place.offset.saturating_add(place.compressed) > bytes {
                return Err(Unusable::Outside);
            }
            files.insert(path.to_vec(), place);
        }
        Ok(Self {
            zip: archive.into_inner().into_inner(),
            files,
            taken: AtomicU64::new(0),
        })
    }

    /// Returns the place of an unchanged file.
    pub fn find(&self, path: &[u8]) -> Option<Place> {
        self.files.get(path).copied()
    }

    /// Reads some of the data of a file, from `at` on.
    pub fn data(&self, place: &Place, at: u64, data: &mut [u8]) -> io::Result<()> {
        self.zip.read_exact_at(data, place.offset + at)
    }

    /// Reads all data of a file, with what follows if it is small.
    pub fn data_through(&self, window: &mut Window, place: &Place, data: &mut [u8]) -> io::Result<()> {
        if data.len() > WINDOW_BYTES / 4 {
            return self.data(place, 0, data);
        }
        if window.part(place.offset, data.len()).is_none() {
            window.fill(&self.zip, place.offset)?;
        }
        let part = window.part(place.offset, data.len());
        data.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Returns the files with their data, as they stand in the zip.
    #[cfg(feature = "fuzzing")]
    pub fn all(&self) -> io::Result<HashMap<Vec<u8>, Vec<u8>>> {
        let files = self.files.iter();
        let read = files.map(|(path, place)| {
            let mut data = vec![0; place.compressed as usize];
            self.data(place, 0, &mut data)?;
            Ok((path.clone(), data))
        });
        read.collect()
    }

    /// Counts a file that was taken.
    pub fn count(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many files were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Returns the fields of a file at `path`, of which time and mode are still to be set.
    pub fn fields<'a>(&self, path: &'a [u8]) -> Fields<'a> {
        Fields {
            path,
            method: self.method,
            time: 0,
            date: 0,
            crc32: self.crc32,
            compressed: self.compressed,
            size: self.size,
            mode: 0,
            descriptor: self.descriptor,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn data_are_the_same_through_a_window_wherever_they_are() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number * 7 / 3) as u8).collect();
        let mut zip = tempfile::tempfile().unwrap();
        zip.write_all(&bytes).unwrap();
        let earlier = Earlier {
            zip,
            files: HashMap::new(),
            taken: AtomicU64::new(0),
        };
        let mut window = Window::default();
        let sizes = [0, 1, 5_000, WINDOW_BYTES / 4, WINDOW_BYTES / 4 + 1, WINDOW_BYTES];
        // Onwards, with gaps, and back.
        for start in (0..200_000).step_by(7_001).chain([65_536, 3, 0, 299_999, 65_535]) {
            for size in sizes.into_iter().filter(|size| start + size <= bytes.len()) {
                let place = Place {
                    offset: start as u64,
                    method: Method::Stored,
                    crc32: 0,
                    compressed: size as u64,
                    size: size as u64,
                    descriptor: false,
                };
                let mut data = vec![0; size];
                earlier.data_through(&mut window, &place, &mut data).unwrap();
                assert!(data == bytes[start..start + size], "{size} from {start}");
            }
        }
        let outside = Place {
            offset: 299_990,
            method: Method::Stored,
            crc32: 0,
            compressed: 20,
            size: 20,
            descriptor: false,
        };
        let error = earlier
            .data_through(&mut window, &outside, &mut [0; 20])
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
