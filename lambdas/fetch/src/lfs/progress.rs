//! How far the downloads are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::transfer::{PROGRESS_INTERVAL, Part, Progress};

/// Counts what has come, and tells it now and then.
pub struct Counter {
    tell: fn(Progress),
    total_objects: usize,
    bytes: AtomicUsize,
    objects: AtomicUsize,
    told: Mutex<Instant>,
}

impl Counter {
    pub fn new(tell: fn(Progress), total_objects: usize) -> Self {
        Self {
            tell,
            total_objects,
            bytes: AtomicUsize::new(0),
            objects: AtomicUsize::new(0),
            told: Mutex::new(Instant::now()),
        }
    }

    /// That many bytes have come.
    pub fn bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() > PROGRESS_INTERVAL {
            *told = Instant::now();
            (self.tell)(Progress {
                part: Part::Lfs,
                bytes: self.bytes.load(Ordering::Relaxed),
                objects: self.objects.load(Ordering::Relaxed),
                total_objects: self.total_objects,
            });
        }
    }

    /// An object is there.
    pub fn object(&self) {
        self.objects.fetch_add(1, Ordering::Relaxed);
    }
}
