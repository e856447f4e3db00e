//! Random choices, all from one seed.

use std::sync::{Mutex, PoisonError};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A random generator. Its numbers do not change with the version of its crate, so a seed always gives the same
/// history.
#[derive(Debug)]
pub struct Dice(Mutex<Xoshiro256PlusPlus>);

impl Dice {
    /// Creates the dice of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)))
    }

    /// Returns a number that is at least `low` and at most `high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random_range(low..=high)
    }

    /// Returns `true` in `of_thousand` of 1,000 cases.
    pub fn happens(&self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.between(1, 1_000) <= of_thousand
    }

    /// Returns an index into a list of `length`, which is not 0.
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.between(0, length as u64 - 1)).unwrap_or_default()
    }

    /// Returns one of `items`, which are not empty.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Puts `items` into any order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
