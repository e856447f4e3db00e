//! The progress of a packaging.

use std::io::{self, Read};

use reporter::{ProgressReporter, mebibytes};

/// How far a packaging is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The history of a full clone is being listed.
    Listing {
        /// The number of objects listed so far.
        objects: u64,
    },
    /// The history of a full clone is being packed.
    Packing {
        /// The number of objects packed so far.
        objects: u64,
        /// The number of all objects.
        total: u64,
    },
    /// The zip is being written.
    Entries {
        /// The number of entries written so far.
        entries: u64,
        /// The number of all entries.
        total: u64,
        /// The bytes of the files written so far, before compression.
        bytes: u64,
    },
}

impl Progress {
    /// The bytes of the files that are written, if they are counted now.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Entries { bytes, .. } => Some(*bytes),
            Self::Listing { .. } | Self::Packing { .. } => None,
        }
    }
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

/// Counts what is written, and reports it.
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

    /// Counts `entries` more entries, with `bytes` bytes in all.
    pub fn add(&mut self, entries: u64, bytes: u64) {
        self.entries += entries;
        self.bytes += bytes;
        self.report(0);
    }

    /// Wraps `source`, so that the bytes of a file are reported while it is read.
    pub fn read<R: Read>(&self, source: R) -> impl Read {
        MeteredReader {
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

struct MeteredReader<'a, R> {
    meter: &'a Meter<'a>,
    source: R,
    bytes: u64,
}

impl<R: Read> Read for MeteredReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes += count as u64;
        self.meter.report(self.bytes);
        Ok(count)
    }
}
