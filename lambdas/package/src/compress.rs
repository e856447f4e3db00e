//! Compresses entries on all processors and writes them in their order.
//!
//! Worker `w` of `n` makes the entries `w`, `w + n`, `w + 2n`... each apart; the writer takes them in turn and copies
//! them into the archive as they are. So the bytes do not depend on how many workers there are.

use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::source::Limits;
use git2::{Odb, Oid};

use crate::error::Error;
use crate::format::{Writer, dos_time};
use crate::record::{Maker, Record};
use crate::sink::{Sink, Sum};
use crate::tree::{self, Content, Entry};

/// How many finished entries of one worker may wait for their turn.
const WAITING: usize = 64;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

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
    let time = dos_time(time);
    thread::scope(|scope| {
        let results: Vec<Receiver<_>> = (0..workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(WAITING);
                let mine = entries.iter().skip(worker).step_by(workers);
                scope.spawn(move || make(repository, mine, time, limits, &sender));
                receiver
            })
            .collect();
        let mut zip = Writer::new(sink);
        let mut told = Instant::now();
        for (number, worker) in (1..=entries.len() as u64).zip(results.iter().cycle()) {
            let record = worker
                .recv()
                .map_err(|_| Error::Workspace(std::io::Error::other("a compressing thread has died")))??;
            zip.add(&record).map_err(Error::Zip)?;
            if told.elapsed() > PROGRESS_INTERVAL {
                told = Instant::now();
                progress(number, entries.len() as u64);
            }
        }
        zip.finish().and_then(Sink::finish).map_err(Error::Zip)
    })
}

/// One worker. It ends early where nobody takes its results.
fn make<'a>(
    repository: &Path,
    entries: impl Iterator<Item = &'a Entry>,
    (time, date): (u16, u16),
    limits: &Limits,
    results: &SyncSender<Result<Record, Error>>,
) {
    let made = tree::open(repository).and_then(|repository| {
        let odb = repository.odb().map_err(Error::Pack)?;
        let mut maker = Maker::new(time, date);
        for entry in entries {
            let record = record(&odb, entry, &mut maker, limits)?;
            if results.send(Ok(record)).is_err() {
                break;
            }
        }
        Ok(())
    });
    if let Err(error) = made {
        let _ = results.send(Err(error));
    }
}

fn record(odb: &Odb<'_>, entry: &Entry, maker: &mut Maker, limits: &Limits) -> Result<Record, Error> {
    let path = entry.path.as_slice();
    Ok(match &entry.content {
        Content::File { blob, executable } => {
            let data = read(odb, *blob, path, limits)?;
            maker.file(path, data.data(), *executable)
        }
        Content::Symlink { blob } => maker.symlink(path, read(odb, *blob, path, limits)?.data()),
        Content::Submodule => maker.folder(path),
        Content::Made(data) => maker.file(path, data, false),
    })
}

fn read<'a>(odb: &'a Odb<'_>, blob: Oid, path: &[u8], limits: &Limits) -> Result<git2::OdbObject<'a>, Error> {
    let (size, _) = odb.read_header(blob).map_err(tree::unreadable(blob, path))?;
    if size as u64 > limits.file_bytes {
        return Err(Error::Limit {
            limit: "file_bytes",
            met: format!(
                "{} has {size} bytes, more than {}",
                String::from_utf8_lossy(path),
                limits.file_bytes
            ),
        });
    }
    odb.read(blob).map_err(tree::unreadable(blob, path))
}
