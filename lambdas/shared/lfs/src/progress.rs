//! How far the downloads are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use reporter::mebibytes;

/// How far the downloads of one repository are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The bytes that have come.
    pub bytes: u64,
    /// The objects that have come.
    pub objects: usize,
    /// The objects that will come.
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

/// Counts what has come, and tells it.
pub struct Counter<'a> {
    tell: &'a (dyn Fn(Progress) + Send + Sync),
    total: usize,
    bytes: AtomicU64,
    objects: AtomicUsize,
}

impl<'a> Counter<'a> {
    pub fn new(tell: &'a (dyn Fn(Progress) + Send + Sync), total: usize) -> Self {
        Self {
            tell,
            total,
            bytes: AtomicU64::new(0),
            objects: AtomicUsize::new(0),
        }
    }

    /// That many bytes have come.
    pub fn bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        (self.tell)(Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            total: self.total,
        });
    }

    /// An object is there.
    pub fn object(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }
}
