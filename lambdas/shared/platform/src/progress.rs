//! How far a long piece of work is, told to people who wait for it: not for short work, and not too often.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often progress is told.
const INTERVAL: Duration = Duration::from_secs(2);

/// Tells `T` now and then. Clones tell the same, at the same times.
pub struct Teller<T> {
    tell: Arc<dyn Fn(T) + Send + Sync>,
    interval: Duration,
    told: Arc<Mutex<Instant>>,
}

impl<T: 'static> Teller<T> {
    /// Calls `tell` every two seconds, where there is news.
    pub fn new(tell: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self::every(INTERVAL, tell)
    }

    /// Calls `tell` at most once in an `interval`.
    pub fn every(interval: Duration, tell: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self {
            tell: Arc::new(tell),
            interval,
            told: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Tells nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(drop)
    }

    /// The time between two of them.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// A piece of work begins: the first interval is silent.
    pub fn begin(&self) {
        if let Ok(mut told) = self.told.lock() {
            *told = Instant::now();
        }
    }

    /// There is news, which is made and told only where it is time for it.
    pub fn tell(&self, news: impl FnOnce() -> T) {
        // Where another thread is telling it is not time for it.
        let Ok(mut told) = self.told.try_lock() else {
            return;
        };
        if told.elapsed() >= self.interval {
            *told = Instant::now();
            (self.tell)(news());
        }
    }
}

impl<T> Clone for Teller<T> {
    fn clone(&self) -> Self {
        Self {
            tell: Arc::clone(&self.tell),
            interval: self.interval,
            told: Arc::clone(&self.told),
        }
    }
}

impl<T> std::fmt::Debug for Teller<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Teller")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Bytes as people read them.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn teller(interval: Duration) -> (Teller<u32>, mpsc::Receiver<u32>) {
        let (sender, receiver) = mpsc::channel();
        (
            Teller::every(interval, move |news| sender.send(news).unwrap()),
            receiver,
        )
    }

    #[test]
    fn short_work_tells_nothing() {
        let (teller, told) = teller(Duration::from_secs(3_600));
        teller.begin();
        for news in 0..100 {
            teller.tell(|| news);
        }
        assert_eq!(told.try_iter().count(), 0);
    }

    #[test]
    fn clones_share_the_time() {
        let interval = Duration::from_millis(200);
        let (teller, told) = teller(interval);
        std::thread::sleep(interval);
        teller.tell(|| 1);
        teller.clone().tell(|| 2);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn bytes_read_well() {
        assert_eq!(mebibytes(1_600_000), "1.5 MiB");
    }
}
