//! Runs other programs, and finds those that run.

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reporter::ProgressReporter;
use rustix::process::{Pid, Signal};
use tokio::process::Command;

use crate::{IoError, private};

/// How many lines of a log an error shows.
const TAIL_LINES: usize = 15;

/// How much of the end of a log is read.
const END_BYTES: u64 = 16 << 10;

/// Returns a command that ends with this process, and reads nothing from the terminal.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    // If a git hook runs this program, git has set them for the hook's repository, which is not the one meant here.
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs `command` with all its output in `log`, which is emptied first and which only its owner may read.
///
/// # Errors
/// Returns an error if it cannot be run, or the log cannot be written.
pub async fn run_logged(command: &mut Command, log: &Path) -> Result<ExitStatus, IoError> {
    let file = private::create_file(log)?;
    let twin = file.try_clone().map_err(IoError::of("write", log))?;
    command
        .stdout(file)
        .stderr(twin)
        .status()
        .await
        .map_err(IoError::of("run", Path::new(command.as_std().get_program())))
}

/// Waits for `work`, which writes to `log`, and reports what `news` finds there from time to time.
pub async fn watch<T>(
    work: impl Future<Output = T>,
    log: &Path,
    reporter: &ProgressReporter<String>,
    news: impl Fn(&str) -> Option<String>,
) -> T {
    tokio::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(reporter.interval(), &mut work).await {
            return done;
        }
        if let Some(news) = news(&std::fs::read_to_string(log).unwrap_or_default()) {
            reporter.report(|| news);
        }
    }
}

/// Returns the last lines of a log, or an empty text if it cannot be read.
#[must_use]
pub fn tail(log: &Path) -> String {
    last_lines(&end_of(log, 0).unwrap_or_default())
}

/// Returns what a log has after its first `since` bytes, and at most its last 16 KiB. If it is shorter, it has begun
/// anew, and all of it is new.
///
/// # Errors
/// Returns an error if the log cannot be read.
pub fn end_of(log: &Path, since: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(log)?;
    let end = file.metadata()?.len();
    let since = if end < since { 0 } else { since };
    file.seek(SeekFrom::Start(since.max(end.saturating_sub(END_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(END_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..]
        .iter()
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the command line of the process `pid`, or `None` if it does not exist or has ended.
#[must_use]
pub fn command_line(pid: i32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Ends the process group that `pid` leads, with SIGTERM, and after some seconds with SIGKILL.
pub fn stop_group(pid: i32, mut gone: impl FnMut() -> bool) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let _ = rustix::process::kill_process_group(pid, Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !gone() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    // The processes that the leader has started may outlive it.
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_that_are_not_empty() {
        let text = (1..=20).map(|n| format!("line {n}\n\n")).collect::<String>();
        let tail = last_lines(&text);
        assert!(tail.starts_with("  | line 6\n"), "{tail}");
        assert!(tail.ends_with("  | line 20"), "{tail}");
    }

    #[tokio::test]
    async fn a_log_is_watched_while_the_work_goes_on() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let (sender, reported) = std::sync::mpsc::channel();
        let reporter =
            ProgressReporter::every(Duration::from_millis(5), move |news| sender.send(news).unwrap());
        let work = async {
            for text in ["", "one", "two"] {
                std::fs::write(log.path(), text).unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            "done"
        };
        let news = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        assert_eq!(watch(work, log.path(), &reporter, news).await, "done");
        drop(reporter);
        let mut reported: Vec<_> = reported.iter().collect();
        reported.dedup();
        assert_eq!(reported, ["one", "two"]);
    }
}
