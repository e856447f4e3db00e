//! Compresses entries on all processors and writes them in their order.
//!
//! Worker `w` of `n` makes the entries `w`, `w + n`, `w + 2n`... each apart; the writer takes them in turn and copies
//! them into the archive as they are. So the bytes do not depend on how many workers there are.

use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, Timelike, Utc};
use domain::source::Limits;
use git2::{Odb, Oid};
use zip::write::{PreparedZipFile, SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, System, ZipWriter};

use crate::error::Error;
use crate::sink::{Sink, Sum};
use crate::tree::{self, Content, Entry};

/// How many finished entries of one worker may wait for their turn.
const WAITING: usize = 64;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// zlib's own default, and git archive's.
const LEVEL: i64 = 6;

/// Writes the zip of `entries`, which are in order.
pub fn write(
    repository: &Path,
    entries: &[Entry],
    time: DateTime<Utc>,
    limits: &Limits,
    progress: fn(u64, u64),
    sink: Sink,
) -> Result<Sum, Error> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let options = SimpleFileOptions::default()
        .system(System::Unix)
        .last_modified_time(dos_time(time))
        .compression_level(Some(LEVEL));
    thread::scope(|scope| {
        let results: Vec<Receiver<_>> = (0..workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(WAITING);
                let mine = entries.iter().skip(worker).step_by(workers);
                scope.spawn(move || make(repository, mine, options, limits, &sender));
                receiver
            })
            .collect();
        // `new` and not `new_stream`: sizes and checksums are known beforehand, so there is nothing to seek back for,
        // and no data descriptors, which readers such as Java's ZipInputStream refuse for stored entries.
        let mut zip = ZipWriter::new(StreamWriter::new(sink));
        let mut told = Instant::now();
        for (number, worker) in (1..=entries.len() as u64).zip(results.iter().cycle()) {
            let prepared = worker
                .recv()
                .map_err(|_| Error::Workspace(std::io::Error::other("a compressing thread has died")))??;
            zip.add_prepared_file(prepared)?;
            if told.elapsed() > PROGRESS_INTERVAL {
                told = Instant::now();
                progress(number, entries.len() as u64);
            }
        }
        let sink = zip.finish()?.into_inner();
        sink.finish().map_err(|error| Error::Zip(error.into()))
    })
}

/// One worker. It ends early where nobody takes its results.
fn make<'a>(
    repository: &Path,
    entries: impl Iterator<Item = &'a Entry>,
    options: SimpleFileOptions,
    limits: &Limits,
    results: &SyncSender<Result<PreparedZipFile, Error>>,
) {
    let made = tree::open(repository).and_then(|repository| {
        let odb = repository.odb().map_err(Error::Pack)?;
        for entry in entries {
            let prepared = prepare(&odb, entry, options, limits)?;
            if results.send(Ok(prepared)).is_err() {
                break;
            }
        }
        Ok(())
    });
    if let Err(error) = made {
        let _ = results.send(Err(error));
    }
}

fn prepare(
    odb: &Odb<'_>,
    entry: &Entry,
    options: SimpleFileOptions,
    limits: &Limits,
) -> Result<PreparedZipFile, Error> {
    let path = entry.path.as_str();
    let stored = options.compression_method(CompressionMethod::Stored);
    let deflated = options.compression_method(CompressionMethod::Deflated);
    let prepared = match &entry.content {
        Content::File { blob, executable } => {
            let mode = if *executable { 0o100_755 } else { 0o100_644 };
            let data = read(odb, *blob, path, limits)?;
            let data = data.data();
            let options = if data.is_empty() { stored } else { deflated };
            PreparedZipFile::from_data(path, options.unix_permissions(mode), data)
        }
        Content::Symlink { blob } => {
            let target = read(odb, *blob, path, limits)?;
            PreparedZipFile::from_data(path, stored.unix_permissions(0o120_777), target.data())
        }
        Content::Submodule => PreparedZipFile::from_data(path, stored.unix_permissions(0o040_755), &[]),
        Content::Made(data) => PreparedZipFile::from_data(path, deflated.unix_permissions(0o100_644), data),
    };
    Ok(prepared?)
}

fn read<'a>(odb: &'a Odb<'_>, blob: Oid, path: &str, limits: &Limits) -> Result<git2::OdbObject<'a>, Error> {
    let (size, _) = odb.read_header(blob).map_err(tree::unreadable(blob, path))?;
    if size as u64 > limits.file_bytes {
        return Err(Error::Limit {
            limit: "file_bytes",
            met: format!("{path} has {size} bytes, more than {}", limits.file_bytes),
        });
    }
    odb.read(blob).map_err(tree::unreadable(blob, path))
}

/// The time in MS-DOS form, which zips have: from 1980 to 2107, two seconds exact. It is UTC, so that it is the same
/// everywhere.
fn dos_time(time: DateTime<Utc>) -> zip::DateTime {
    let part = |value: u32| u8::try_from(value).unwrap_or(0);
    let year = u16::try_from(time.year()).unwrap_or(1980);
    zip::DateTime::from_date_and_time(
        year,
        part(time.month()),
        part(time.day()),
        part(time.hour()),
        part(time.minute()),
        part(time.second()),
    )
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_a_zip_cannot_say_are_1980() {
        let time = |seconds| dos_time(DateTime::from_timestamp(seconds, 0).unwrap());
        assert_eq!(time(0), zip::DateTime::default());
        assert_eq!(time(1_700_000_000).year(), 2023);
        assert_eq!(time(253_402_300_799), zip::DateTime::default());
    }
}
