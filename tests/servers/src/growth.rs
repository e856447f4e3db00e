//! For tests: how time grows with input.

use std::time::{Duration, Instant};

/// Asserts that eight times the input takes nearer to eight times the time than to its square. `prepare` makes the work on an
/// input of a size.
///
/// Other work on the machine makes runs longer and never shorter, so the shortest of several is compared.
pub fn assert_linear<W: FnMut()>(size: usize, mut prepare: impl FnMut(usize) -> W) {
    let (small, large) = (shortest(prepare(size)), shortest(prepare(8 * size)));
    // Below this the clock and the cache decide.
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
