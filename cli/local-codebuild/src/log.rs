//! The log of a build: to CloudWatch Logs while it runs, and to whoever started the server.

use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::log_stream::{LogEvent, LogStream};

/// How often lines are sent.
const INTERVAL: Duration = Duration::from_millis(500);

/// The longest line that is not cut in two, in bytes. An event may have 256 KiB.
const MAX_LINE: usize = 64 << 10;

/// The most bytes and events of one request, with what CloudWatch Logs counts for each event:
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.
const MAX_BATCH_BYTES: usize = 1 << 20;
const MAX_BATCH_EVENTS: usize = 10_000;
const EVENT_BYTES: usize = 26;

/// How long the end of the log may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A line of a build's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The build's id.
    pub build: String,
    /// The line, without its end.
    pub text: String,
}

/// The log of a build. Commands write into the same pipe, so all lines are in order.
#[derive(Debug)]
pub(crate) struct Log {
    writer: PipeWriter,
    own: File,
    shipping: AbortOnDropHandle<()>,
}

impl Log {
    /// Creates the log of `build`, which is written into `stream`.
    ///
    /// # Errors
    /// Returns an error if there are too many open files.
    pub fn open(stream: LogStream, build: &str, lines: Option<UnboundedSender<LogLine>>) -> io::Result<Self> {
        let shipper = Shipper {
            stream,
            build: build.to_owned(),
            lines,
            batch: vec![],
            bytes: 0,
            broken: false,
        };
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let own = File::from_std(std::fs::File::from(OwnedFd::from(writer.try_clone()?)));
        let shipping: JoinHandle<()> = tokio::spawn(shipper.ship(reader));
        Ok(Self {
            writer,
            own,
            shipping: AbortOnDropHandle::new(shipping),
        })
    }

    /// Returns where commands write.
    ///
    /// # Errors
    /// Returns an error if there are too many open files.
    pub fn writer(&self) -> io::Result<PipeWriter> {
        self.writer.try_clone()
    }

    /// Writes a line of CodeBuild's own.
    pub async fn line(&mut self, text: impl AsRef<str>) {
        let line = format!("[Container] {}\n", text.as_ref());
        // Its reader is this process.
        let _ = self.own.write_all(line.as_bytes()).await;
        let _ = self.own.flush().await;
    }

    /// Waits until all lines are sent. Nothing else may hold the pipe.
    pub async fn close(self) {
        drop((self.writer, self.own));
        // A process that cannot be ended would hold the pipe.
        let _ = timeout(CLOSE_TIMEOUT, self.shipping).await;
    }
}

/// Reads the pipe, and sends its lines in batches.
struct Shipper {
    stream: LogStream,
    build: String,
    lines: Option<UnboundedSender<LogLine>>,
    batch: Vec<LogEvent>,
    bytes: usize,
    /// Whether a batch was refused, after which none is sent.
    broken: bool,
}

impl Shipper {
    async fn ship(mut self, mut reader: pipe::Receiver) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut text = Vec::new();
        loop {
            // While a batch is sent, nothing is read: a build that writes faster has to wait.
            tokio::select! {
                read = reader.read_buf(&mut text) => {
                    let ended = !matches!(read, Ok(1..));
                    while let Some(line) = next_line(&mut text, ended) {
                        self.add(&line).await;
                    }
                    if ended {
                        break;
                    }
                }
                _ = ticks.tick() => self.send().await,
            }
        }
        self.send().await;
    }

    async fn add(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        let size = text.len() + EVENT_BYTES;
        if self.bytes + size > MAX_BATCH_BYTES || self.batch.len() == MAX_BATCH_EVENTS {
            self.send().await;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let timestamp = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        // CloudWatch Logs refuses an empty message.
        let message = if text.is_empty() {
            " ".to_owned()
        } else {
            text.clone()
        };
        self.batch.push(LogEvent { timestamp, message });
        self.bytes += size;
        self.forward(text);
    }

    fn forward(&self, text: String) {
        if let Some(lines) = &self.lines {
            // The caller need not listen to the end.
            let _ = lines.send(LogLine {
                build: self.build.clone(),
                text,
            });
        }
    }

    async fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if batch.is_empty() || self.broken {
            return;
        }
        if let Err(message) = self.stream.put(&batch).await {
            self.broken = true;
            self.forward(format!(
                "The rest of this log is not in CloudWatch Logs: {message}"
            ));
        }
    }
}

/// Takes the next line from `text`, without its end. A long line is cut; a last line may lack its end.
fn next_line(text: &mut Vec<u8>, ended: bool) -> Option<Vec<u8>> {
    let end = text.iter().take(MAX_LINE).position(|byte| *byte == b'\n');
    let (length, rest) = match end {
        Some(end) => (end, end + 1),
        None if text.len() >= MAX_LINE => (MAX_LINE, MAX_LINE),
        None if ended && !text.is_empty() => (text.len(), text.len()),
        None => return None,
    };
    let mut line: Vec<u8> = text.drain(..rest).collect();
    line.truncate(length);
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_whole_and_long_ones_are_cut() {
        let mut text = b"one\n\ntwo\r\nthr".to_vec();
        assert_eq!(next_line(&mut text, false).unwrap(), b"one");
        assert_eq!(next_line(&mut text, false).unwrap(), b"");
        assert_eq!(next_line(&mut text, false).unwrap(), b"two");
        assert_eq!(next_line(&mut text, false), None);
        text.extend(b"ee");
        assert_eq!(next_line(&mut text, true).unwrap(), b"three");
        assert_eq!(next_line(&mut text, true), None);
        let mut text = vec![b'x'; MAX_LINE + 1];
        text.push(b'\n');
        assert_eq!(next_line(&mut text, false).unwrap().len(), MAX_LINE);
        assert_eq!(next_line(&mut text, false).unwrap(), b"x");
    }
}
