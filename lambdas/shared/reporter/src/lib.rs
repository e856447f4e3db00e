//! Reports the progress of long work to people who wait for it, at most once in an interval, and not at all for short
//! work.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often progress is reported.
const INTERVAL: Duration = Duration::from_secs(2);

/// Reports a `T` from time to time. Clones share the callback and the interval.
pub struct ProgressReporter<T> {
    report: Arc<dyn Fn(T) + Send + Sync>,
    interval: Duration,
    last: Arc<Mutex<Instant>>,
}

impl<T: 'static> ProgressReporter<T> {
    /// Creates a reporter that calls `report` at most every two seconds.
    pub fn new(report: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self::every(INTERVAL, report)
    }

    /// Creates a reporter that calls `report` at most once in an `interval`.
    pub fn every(interval: Duration, report: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self {
            report: Arc::new(report),
            interval,
            last: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Creates a reporter that discards all reports.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(drop)
    }

    /// Returns the shortest time between two reports.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Begins a piece of work. Nothing is reported in its first interval.
    pub fn begin(&self) {
        if let Ok(mut last) = self.last.lock() {
            *last = Instant::now();
        }
    }

    /// Reports what `news` returns. `news` is called only if the interval is over.
    pub fn report(&self, news: impl FnOnce() -> T) {
        // If the lock is taken, another thread is reporting.
        let Ok(mut last) = self.last.try_lock() else {
            return;
        };
        if last.elapsed() >= self.interval {
            *last = Instant::now();
            (self.report)(news());
        }
    }
}

impl<T> Clone for ProgressReporter<T> {
    fn clone(&self) -> Self {
        Self {
            report: Arc::clone(&self.report),
            interval: self.interval,
            last: Arc::clone(&self.last),
        }
    }
}

impl<T> std::fmt::Debug for ProgressReporter<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ProgressReporter")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Formats a number of bytes for people.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn reporter(interval: Duration) -> (ProgressReporter<u32>, mpsc::Receiver<u32>) {
        let (sender, receiver) = mpsc::channel();
        (
            ProgressReporter::every(interval, move |news| sender.send(news).unwrap()),
            receiver,
        )
    }

    #[test]
    fn short_work_reports_nothing() {
        let (reporter, reported) = reporter(Duration::from_secs(3_600));
        reporter.begin();
        for news in 0..100 {
            reporter.report(|| news);
        }
        assert_eq!(reported.try_iter().count(), 0);
    }

    #[test]
    fn clones_share_the_interval() {
        let interval = Duration::from_millis(200);
        let (reporter, reported) = reporter(interval);
        std::thread::sleep(interval);
        reporter.report(|| 1);
        reporter.clone().report(|| 2);
        assert_eq!(reported.try_iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn bytes_are_shown_in_mebibytes() {
        assert_eq!(mebibytes(1_600_000), "1.5 MiB");
    }
}
