//! Timeouts.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Why a wait has ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutError {
    /// Nothing came for too long.
    Silent,
    /// The deadline has passed.
    Late,
    /// The client was stopped.
    Stopped,
}

/// The timeouts of one client.
///
/// A wait that ends returns an error instead of being dropped, so that the caller can discard what is half stored.
pub struct Timeouts {
    silence: Duration,
    deadline: Instant,
    stopped: watch::Sender<bool>,
}

impl Timeouts {
    pub fn new(silence: Duration, deadline: Instant) -> Self {
        Self {
            silence,
            deadline,
            stopped: watch::Sender::new(false),
        }
    }

    /// Returns how long a server may be silent.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Waits for a server, as long as it may be silent and at most until the deadline.
    pub async fn for_server<T>(&self, future: impl Future<Output = T>) -> Result<T, TimeoutError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let (time, error) = if left < self.silence {
            (left, TimeoutError::Late)
        } else {
            (self.silence, TimeoutError::Silent)
        };
        self.wait(future, time, error).await
    }

    /// Waits until the deadline.
    pub async fn until_deadline<T>(&self, future: impl Future<Output = T>) -> Result<T, TimeoutError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.wait(future, left, TimeoutError::Late).await
    }

    async fn wait<T>(
        &self,
        future: impl Future<Output = T>,
        time: Duration,
        error: TimeoutError,
    ) -> Result<T, TimeoutError> {
        let mut stopped = self.stopped.subscribe();
        // A future that is always ready would otherwise never time out.
        if time.is_zero() && !*stopped.borrow() {
            return Err(error);
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err(TimeoutError::Stopped),
            waited = tokio::time::timeout(time, future) => waited.map_err(|_| error),
        }
    }

    /// Ends all current and future waits.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn the_first_of_all_reasons_ends_the_wait() {
        let now = Instant::now();
        let timeouts = Timeouts::new(SHORT, now + LONG);
        assert_eq!(timeouts.for_server(ready(1)).await, Ok(1));
        assert_eq!(
            timeouts.for_server(pending::<()>()).await,
            Err(TimeoutError::Silent)
        );
        let late = Timeouts::new(LONG, now + SHORT);
        assert_eq!(late.for_server(pending::<()>()).await, Err(TimeoutError::Late));
        assert_eq!(
            late.until_deadline(pending::<()>()).await,
            Err(TimeoutError::Late)
        );
        assert_eq!(late.for_server(ready(1)).await, Err(TimeoutError::Late));
        let stopped = Timeouts::new(LONG, now + LONG);
        let (waited, ()) = tokio::join!(stopped.for_server(pending::<()>()), async { stopped.stop() });
        assert_eq!(waited, Err(TimeoutError::Stopped));
        assert_eq!(stopped.for_server(ready(1)).await, Err(TimeoutError::Stopped));
    }
}
