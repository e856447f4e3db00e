//! Compresses entries on all processors and writes them in their order.
//!
//! Each entry is compressed by itself, so the bytes do not depend on which worker does it. Entries are divided into
//! chunks: worker `w` of `n` compresses the chunks `w`, `w + n`, `w + 2n`..., and the writer takes the chunks in order.
//!
//! The memory is bounded: only a few finished records wait for the writer, and none of them is large. Large files are
//! left to the writer, which has each of them compressed in segments ([`crate::large`]).

use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use chrono::{DateTime, Utc};
use domain::limits::ArchiveLimits;
use git2::{Odb, Oid, Repository};
use reporter::ProgressReporter;

use crate::conversion::{self, Converter};
use crate::earlier::{Earlier, Place};
use crate::entry::{Content, ZipEntry};
use crate::error::Error;
use crate::format::{Records, Writer, dos_time};
use crate::large::{LargeFiles, Packs};
use crate::progress::{Meter, Progress};
use crate::record::RecordBuilder;
use crate::sink::Sink;

/// How many entries a worker takes at once.
const CHUNK: usize = 32;
/// A worker hands its records over as soon as they have this many bytes, and at the end of a chunk.
const HAND_OVER_BYTES: usize = 256 << 10;
/// How many such batches of one worker may wait for the writer.
const WAITING: usize = 4;
/// A file with more bytes than this is left to the writer.
const LARGE_BYTES: u64 = 8 << 20;
/// The most workers: more of them would only wait for the writer.
const MAX_WORKERS: usize = 8;

/// What a worker hands over.
enum Compressed<'a> {
    /// The next entries.
    Records(Records<'a>),
    /// The next entry, which is a large file of this size.
    Large(&'a ZipEntry, u64),
}

/// Writes the zip of `entries`, which are sorted by path.
pub fn write(
    repository: &Path,
    entries: &[ZipEntry],
    (converter, earlier): (&Converter, Option<&Earlier>),
    time: DateTime<Utc>,
    limits: ArchiveLimits,
    progress: &ProgressReporter<Progress>,
    sink: Sink,
) -> Result<(), Error> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let work = Work {
        repository,
        entries,
        converter,
        earlier,
        time: dos_time(time),
        limits,
        workers: workers.min(MAX_WORKERS),
        large: LARGE_BYTES,
    };
    work.write(progress, sink)
}

#[derive(Clone, Copy)]
struct Work<'a> {
    repository: &'a Path,
    entries: &'a [ZipEntry],
    converter: &'a Converter,
    earlier: Option<&'a Earlier>,
    time: (u16, u16),
    limits: ArchiveLimits,
    workers: usize,
    large: u64,
}

impl<'a> Work<'a> {
    fn write(self, progress: &ProgressReporter<Progress>, sink: Sink) -> Result<(), Error> {
        thread::scope(|scope| {
            let results: Vec<Receiver<_>> = (0..self.workers)
                .map(|worker| {
                    let (sender, receiver) = sync_channel(WAITING);
                    scope.spawn(move || self.make(worker, &sender));
                    receiver
                })
                .collect();
            let repository = tree::open(self.repository)?;
            let builder = self.builder(&repository)?;
            let packs = Packs::open(self.repository)?;
            let mut zip = Writer::new(sink);
            let mut meter = Meter::new(progress, self.entries.len() as u64);
            for (chunk, worker) in self.entries.chunks(CHUNK).zip(results.iter().cycle()) {
                let mut missing = chunk.len();
                while missing > 0 {
                    let result = worker.recv().map_err(|_| {
                        Error::Workspace(std::io::Error::other("a compressing thread has died"))
                    })??;
                    match result {
                        Compressed::Records(records) => {
                            let bytes = records.fields.iter().map(|fields| fields.size).sum();
                            self.check_total(&meter, bytes)?;
                            zip.add(&records).map_err(Error::Zip)?;
                            meter.add(records.fields.len() as u64, bytes);
                            missing -= records.fields.len();
                        }
                        Compressed::Large(entry, size) => {
                            self.check_total(&meter, size)?;
                            let mut files = LargeFiles {
                                zip: &mut zip,
                                workers: self.workers,
                                meter: &meter,
                            };
                            let bytes = builder.large(entry, size, &packs, &mut files)?;
                            meter.add(1, bytes);
                            missing -= 1;
                        }
                    }
                }
            }
            zip.finish().and_then(Sink::finish).map_err(Error::Zip)
        })
    }

    fn check_total(self, meter: &Meter<'_>, more: u64) -> Result<(), Error> {
        if meter.bytes() + more <= self.limits.total_bytes {
            return Ok(());
        }
        Err(tree::Error::Limit {
            limit: "total_bytes",
            reason: format!("its files have more than {} bytes", self.limits.total_bytes),
        }
        .into())
    }

    /// Runs one worker, which ends early if the receiver of its results is gone.
    fn make(self, worker: usize, results: &SyncSender<Result<Compressed<'a>, Error>>) {
        let result = tree::open(self.repository)
            .map_err(Error::from)
            .and_then(|repository| {
                let mut builder = self.builder(&repository)?;
                for chunk in self.entries.chunks(CHUNK).skip(worker).step_by(self.workers) {
                    if !builder.chunk(chunk, results)? {
                        break;
                    }
                }
                Ok(())
            });
        if let Err(error) = result {
            let _ = results.send(Err(error));
        }
    }

    fn builder(self, repository: &Repository) -> Result<EntryCompressor<'_, 'a>, Error> {
        Ok(EntryCompressor {
            odb: repository.odb().map_err(tree::Error::Pack)?,
            builder: RecordBuilder::new(self.time),
            converter: self.converter,
            earlier: self.earlier,
            limits: self.limits,
            large: self.large,
        })
    }
}

/// Reads entries and makes records of them.
struct EntryCompressor<'r, 'a> {
    odb: Odb<'r>,
    builder: RecordBuilder,
    converter: &'a Converter,
    earlier: Option<&'a Earlier>,
    limits: ArchiveLimits,
    large: u64,
}

impl<'a> EntryCompressor<'_, 'a> {
    /// Compresses the entries of a chunk. Returns `false` if the receiver of the results is gone.
    fn chunk(
        &mut self,
        chunk: &'a [ZipEntry],
        results: &SyncSender<Result<Compressed<'a>, Error>>,
    ) -> Result<bool, Error> {
        let new = || Records {
            bytes: Vec::with_capacity(HAND_OVER_BYTES),
            fields: Vec::with_capacity(CHUNK),
        };
        let mut records = new();
        for entry in chunk {
            let size = self.size(entry)?;
            let large = size > self.large;
            if !large {
                self.add(entry, &mut records)?;
            }
            if (large && !records.fields.is_empty()) || records.bytes.len() >= HAND_OVER_BYTES {
                let full = std::mem::replace(&mut records, new());
                if results.send(Ok(Compressed::Records(full))).is_err() {
                    return Ok(false);
                }
            }
            if large && results.send(Ok(Compressed::Large(entry, size))).is_err() {
                return Ok(false);
            }
        }
        Ok(records.fields.is_empty() || results.send(Ok(Compressed::Records(records))).is_ok())
    }

    /// Returns the size of an entry's content.
    ///
    /// # Errors
    /// Returns [`tree::Error::Limit`] if the content is larger than a file may be.
    fn size(&self, entry: &ZipEntry) -> Result<u64, Error> {
        if let Some((_, place, _)) = self.unchanged(entry) {
            return Ok(place.size);
        }
        let size = match &entry.content {
            Content::Blob { id, .. } | Content::Symlink { id } => {
                let header = self.odb.read_header(*id);
                let (size, kind) = header.map_err(tree::unreadable(*id, &entry.path))?;
                tree::check_blob(kind, *id, &entry.path)?;
                size as u64
            }
            Content::Disk { file, .. } => file.metadata().map_err(Error::Workspace)?.len(),
            Content::Folder | Content::Generated(_) => 0,
        };
        if size > self.limits.file_bytes {
            return Err(tree::Error::Limit {
                limit: "file_bytes",
                reason: format!(
                    "{} has {size} bytes, more than {}",
                    tree::lossy(&entry.path),
                    self.limits.file_bytes
                ),
            }
            .into());
        }
        Ok(size)
    }

    /// Returns the earlier zip, the place of an unchanged file in it, and whether the file is executable. A converted
    /// file may name the commit.
    fn unchanged(&self, entry: &ZipEntry) -> Option<(&'a Earlier, Place, bool)> {
        let Content::Blob {
            conversion: None,
            executable,
            ..
        } = entry.content
        else {
            return None;
        };
        let earlier = self.earlier?;
        Some((earlier, earlier.find(&entry.path)?, executable))
    }

    /// Writes a large file. Returns its size after conversion.
    fn large(
        &self,
        entry: &ZipEntry,
        size: u64,
        packs: &Packs,
        files: &mut LargeFiles<'_, Sink>,
    ) -> Result<u64, Error> {
        let path = entry.path.as_slice();
        let fields = |executable| self.builder.unread(path, size, executable);
        if let Some((earlier, place, executable)) = self.unchanged(entry) {
            let fields = self.builder.unchanged(path, &place, executable);
            files.taken(&fields, earlier, &place)?;
            earlier.count();
            return Ok(size);
        }
        match &entry.content {
            Content::Blob {
                id,
                executable,
                conversion,
            } => {
                if let Some(conversion) = conversion {
                    if size > conversion::MAX_CONVERTED_BYTES {
                        self.converter.too_large(path);
                    } else if size > self.limits.converted_file_bytes {
                        return Err(tree::Error::Limit {
                            limit: "converted_file_bytes",
                            reason: format!(
                                "{} has {size} bytes and is converted by attributes, more than {}",
                                tree::lossy(path),
                                self.limits.converted_file_bytes
                            ),
                        }
                        .into());
                    } else {
                        let data = self.odb.read(*id).map_err(tree::unreadable(*id, path))?;
                        if let Some(converted) = self.converter.convert(path, *id, data.data(), *conversion) {
                            drop(data);
                            let size = converted.len() as u64;
                            let fields = self.builder.unread(path, size, *executable);
                            files.made(fields, converted)?;
                            return Ok(size);
                        }
                    }
                }
                files.blob(fields(*executable), (&self.odb, packs, *id), self.limits)?;
            }
            Content::Disk { file, executable } => files.disk(fields(*executable), file)?,
            Content::Symlink { .. } | Content::Folder | Content::Generated(_) => {
                unreachable!("none of these is large")
            }
        }
        Ok(size)
    }

    fn add(&mut self, entry: &'a ZipEntry, records: &mut Records<'a>) -> Result<(), Error> {
        let path = entry.path.as_slice();
        let odb = &self.odb;
        let read = |blob: Oid| odb.read(blob).map_err(tree::unreadable(blob, path));
        if let Some((earlier, place, executable)) = self.unchanged(entry) {
            let taken = self.builder.taken(records, path, (earlier, &place), executable);
            earlier.count();
            return taken.map_err(Error::Workspace);
        }
        match &entry.content {
            Content::Blob {
                id,
                executable,
                conversion,
            } => {
                let data = read(*id)?;
                let converted = conversion
                    .and_then(|conversion| self.converter.convert(path, *id, data.data(), conversion));
                let data = converted.as_deref().unwrap_or(data.data());
                self.builder.file(records, path, data, *executable);
            }
            Content::Disk { file, executable } => {
                let data = std::fs::read(file).map_err(Error::Workspace)?;
                self.builder.file(records, path, &data, *executable);
            }
            Content::Symlink { id } => {
                let data = read(*id)?;
                self.builder.symlink(records, path, data.data());
            }
            Content::Folder => self.builder.folder(records, path),
            Content::Generated(data) => self.builder.file(records, path, data, false),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws::staging::Piece;
    use git2::ObjectType;
    use tokio::sync::mpsc;

    use super::*;

    /// A repository with 300 files of up to 6,000 bytes, and its entries.
    fn scene() -> (tempfile::TempDir, Vec<ZipEntry>) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let odb = repository.odb().unwrap();
        let entries = (0..300_usize).map(|number| {
            let content = format!("line {number}\n").repeat(number * 37 % 500);
            ZipEntry {
                path: format!("{number:03}").into_bytes(),
                content: Content::Blob {
                    id: odb.write(ObjectType::Blob, content.as_bytes()).unwrap(),
                    executable: false,
                    conversion: None,
                },
            }
        });
        let entries = entries.collect();
        (folder, entries)
    }

    fn zip(
        repository: &Path,
        entries: &[ZipEntry],
        workers: usize,
        large: u64,
        limits: ArchiveLimits,
    ) -> Result<Vec<u8>, Error> {
        let (sender, mut receiver) = mpsc::channel(8);
        let work = Work {
            repository,
            entries,
            converter: &Converter::default(),
            earlier: None,
            time: (0, 33),
            limits,
            workers,
            large,
        };
        work.write(&ProgressReporter::silent(), Sink::new(sender))?;
        let Some(Piece::Bytes(bytes)) = receiver.blocking_recv() else {
            panic!("it is one piece")
        };
        Ok(bytes)
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_number_of_workers() {
        let (folder, entries) = scene();
        let made =
            |workers, large| zip(folder.path(), &entries, workers, large, ArchiveLimits::default()).unwrap();
        for large in [0, 1_000, 5_000, u64::MAX] {
            let expected = made(1, large);
            for workers in [2, 3, 20] {
                assert!(
                    made(workers, large) == expected,
                    "{workers} workers, large from {large}"
                );
            }
        }
    }

    #[test]
    fn all_workers_end_if_one_of_them_fails() {
        let (folder, mut entries) = scene();
        entries[250].content = Content::Blob {
            id: Oid::from_bytes(&[7; 20]).unwrap(),
            executable: false,
            conversion: None,
        };
        let error = zip(folder.path(), &entries, 4, 2_000, ArchiveLimits::default()).unwrap_err();
        assert!(error.to_string().contains("(250)"), "{error}");
        let limits = ArchiveLimits {
            file_bytes: 3_000,
            ..ArchiveLimits::default()
        };
        let error = zip(folder.path(), &entries, 4, 2_000, limits).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Tree(tree::Error::Limit {
                    limit: "file_bytes",
                    ..
                })
            ),
            "{error}"
        );
    }
}
