//! What is logged in a test.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Subscriber};

/// A subscriber that logs nothing. As long as there is just one subscriber, tracing asks whichever thread comes to a
/// line first whether it is logged, for good, and that may be the thread of another test.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// The lines that a subscriber has written, each of which is a JSON object.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Vec<u8>>);

/// Awaits a future, and returns its output and what it has logged. `subscriber` creates what writes the lines.
pub async fn captured<F: Future, S>(
    future: F,
    subscriber: impl FnOnce(Arc<Lines>) -> S,
) -> (F::Output, Arc<Lines>)
where
    S: Subscriber + Send + Sync + 'static,
{
    LazyLock::force(&SECOND);
    let lines = Arc::new(Lines::default());
    let output = future.with_subscriber(subscriber(Arc::clone(&lines))).await;
    (output, lines)
}

impl Lines {
    /// Returns the fields of all lines with this message.
    pub fn fields(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let fields = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["fields"].take()
        });
        fields.filter(|fields| fields["message"] == message).collect()
    }
}

impl io::Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
