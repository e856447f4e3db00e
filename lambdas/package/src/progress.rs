//! How far a packaging is.

use std::io::{self, Read};

use reporter::{ProgressReporter, mebibytes};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The history of a full clone is listed.
    Listing {
        /// The objects that are listed.
        objects: u64,
    },
    /// Deltas are looked for in the history of a full clone.
    Packing {
        /// The objects that are done.
        objects: u64,
        /// The objects that will be.
        total: u64,
    },
    /// The zip is written.
    Entries {
        /// The entries that are written.
        entries: u64,
        /// The entries that will be.
        total: u64,
        /// The bytes of the files that are written, before they are compressed.
        bytes: u64,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listing { objects } => write!(formatter, "{objects} objects of the history"),
            Self::Packing { objects, total } => {
                write!(formatter, "{objects} of {total} objects of the history packed")
            }
            Self::Entries {
                entries,
                total,
                bytes,
            } => write!(formatter, "{entries} of {total} entries, {}", mebibytes(*bytes)),
        }
    }
}

/// Counts what is written, and tells it.
pub struct Meter<'a> {
    reporter: &'a ProgressReporter<Progress>,
    entries: u64,
    total: u64,
    bytes: u64,
}

impl<'a> Meter<'a> {
    pub fn new(reporter: &'a ProgressReporter<Progress>, total: u64) -> Self {
        Self {
            reporter,
            entries: 0,
            total,
            bytes: 0,
        }
    }

    /// The bytes of the files so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many entries are written, with so many bytes in all.
    pub fn add(&mut self, entries: u64, bytes: u64) {
        self.entries += entries;
        self.bytes += bytes;
        self.report(0);
    }

    /// Reads a file that is under way.
    pub fn read<R: Read>(&self, source: R) -> impl Read {
        Watched {
            meter: self,
            source,
            bytes: 0,
        }
    }

    fn report(&self, more: u64) {
        self.reporter.report(|| Progress::Entries {
            entries: self.entries,
            total: self.total,
            bytes: self.bytes + more,
        });
    }
}

struct Watched<'a, R> {
    meter: &'a Meter<'a>,
    source: R,
    bytes: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes += count as u64;
        self.meter.report(self.bytes);
        Ok(count)
    }
}
