//! How far the downloads are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use platform::progress::Teller;

use crate::progress::Progress;

/// Counts what has come, and tells it.
pub struct Counter {
    teller: Teller<Progress>,
    total: usize,
    bytes: AtomicU64,
    objects: AtomicUsize,
}

impl Counter {
    pub fn new(teller: Teller<Progress>, total: usize) -> Self {
        Self {
            teller,
            total,
            bytes: AtomicU64::new(0),
            objects: AtomicUsize::new(0),
        }
    }

    /// That many bytes have come.
    pub fn bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.teller.tell(|| Progress::Lfs {
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
