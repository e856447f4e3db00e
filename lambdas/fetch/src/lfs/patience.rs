//! How long a server is waited for.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Why waiting was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Nothing came for too long.
    Silent,
    /// The time of the whole fetch is over.
    Late,
    /// Another download has failed.
    Stopped,
}

/// How long a server is waited for.
///
/// What waits is told that it is over instead of being dropped, so that what is half stored can be thrown away.
pub struct Patience {
    silence: Duration,
    deadline: Instant,
    stopped: watch::Sender<bool>,
}

impl Patience {
    pub fn new(silence: Duration, deadline: Instant) -> Self {
        Self {
            silence,
            deadline,
            stopped: watch::Sender::new(false),
        }
    }

    /// Waits for what a server has to send: as long as it may be silent, and not beyond the deadline.
    pub async fn for_server<T>(&self, future: impl Future<Output = T>) -> Result<T, Over> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let (time, over) = if left < self.silence {
            (left, Over::Late)
        } else {
            (self.silence, Over::Silent)
        };
        self.wait(future, time, over).await
    }

    /// Waits for the staging area, until the deadline.
    pub async fn for_staging<T>(&self, future: impl Future<Output = T>) -> Result<T, Over> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.wait(future, left, Over::Late).await
    }

    async fn wait<T>(&self, future: impl Future<Output = T>, time: Duration, over: Over) -> Result<T, Over> {
        let mut stopped = self.stopped.subscribe();
        // What is always ready would otherwise never be too late.
        if time.is_zero() && !*stopped.borrow() {
            return Err(over);
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err(Over::Stopped),
            waited = tokio::time::timeout(time, future) => waited.map_err(|_| over),
        }
    }

    /// Lets all that wait, and all that will, give up.
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
        let patience = Patience::new(SHORT, now + LONG);
        assert_eq!(patience.for_server(ready(1)).await, Ok(1));
        assert_eq!(patience.for_server(pending::<()>()).await, Err(Over::Silent));
        let late = Patience::new(LONG, now + SHORT);
        assert_eq!(late.for_server(pending::<()>()).await, Err(Over::Late));
        assert_eq!(late.for_staging(pending::<()>()).await, Err(Over::Late));
        assert_eq!(late.for_server(ready(1)).await, Err(Over::Late));
        let stopped = Patience::new(LONG, now + LONG);
        let (waited, ()) = tokio::join!(stopped.for_server(pending::<()>()), async { stopped.stop() });
        assert_eq!(waited, Err(Over::Stopped));
        assert_eq!(stopped.for_server(ready(1)).await, Err(Over::Stopped));
    }
}
