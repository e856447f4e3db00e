//! Checks how time grows with input.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Asserts that eight times the input takes closer to eight times than to 64 times the time. `prepare` makes the work
/// for an input of a size.
///
/// The time is the processor time of this thread, so that other work on the machine is not part of it. That work still
/// takes the caches, which makes runs longer and never shorter, so the shortest of several runs is compared.
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
            let began = processor_time();
            work();
            processor_time().saturating_sub(began)
        })
        .min()
        .unwrap_or_default()
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
