//! Checks how time grows with input.

use std::time::{Duration, Instant};

/// Asserts that eight times the input takes closer to eight times than to 64 times the time. `prepare` makes the work
/// for an input of a size.
///
/// Other work on the machine makes runs longer and never shorter, so the shortest of several runs is compared.
pub fn assert_linear<W: FnMut()>(size: usize, mut prepare: impl FnMut(usize) -> W) {
    let (small, large) = (shortest(prepare(size)), shortest(prepare(8 * size)));
    // Shorter times depend on the clock and the cache.
    let small = small.max(Duration::from_micros(100));
    assert!(
        large < 24 * small,
        "{large:?} for {} where {size} take {small:?}",
        8 * size
    );
}

fn shortest(mut work: impl FnMut()) -> Duration {
    (0..5)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .min()
        .unwrap_or_default()
}
