//! The zip of an earlier push, from which the data of files that have not changed are taken. What a file deflates to depends on
//! its content alone, so they need not be read and deflated again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use crate::changes::Changes;
use crate::format::{Fields, Method};

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
