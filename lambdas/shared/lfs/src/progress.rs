//! The progress of the downloads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use reporter::mebibytes;

/// How far the downloads of one repository are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of bytes received so far.
    pub bytes: u64,
    /// The number of objects received so far.
    pub objects: usize,
    /// The number of all objects.
    pub total: usize,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            bytes,
            objects,
            total,
        } = self;
        write!(
            formatter,
            "{objects} of {total} LFS objects, {}",
            mebibytes(*bytes)
        )
    }
}

/// Counts what was received, and reports it.
pub struct Counter<'a> {
    report: &'a (dyn Fn(Progress) + Send + Sync),
    total: usize,
    bytes: AtomicU64,
    objects: AtomicUsize,
}

impl<'a> Counter<'a> {
    pub fn new(report: &'a (dyn Fn(Progress) + Send + Sync), total: usize) -> Self {
        Self {
            report,
            total,
            bytes: AtomicU64::new(0),
            objects: AtomicUsize::new(0),
        }
    }

    /// Counts `bytes` more bytes.
    pub fn bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        (self.report)(Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            total: self.total,
        });
    }

    /// Counts one more object.
    pub fn object(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }
}
