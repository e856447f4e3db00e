//! Chance, all of it from one seed.

use std::sync::{Mutex, PoisonError};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Chance. The generator is one whose numbers do not change with the version of its crate: a seed stays what it is.
#[derive(Debug)]
pub struct Dice(Mutex<Xoshiro256PlusPlus>);

impl Dice {
    /// The dice of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)))
    }

    /// A number that is at least `low` and at most `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random_range(low..=high)
    }

    /// `true` in `of_thousand` cases of 1,000.
    pub fn happens(&self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.between(1, 1_000) <= of_thousand
    }

    /// An index into a list of `length`, which is not 0.
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.between(0, length as u64 - 1)).unwrap_or_default()
    }

    /// One of `items`, which are not empty.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// `items` in any order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
