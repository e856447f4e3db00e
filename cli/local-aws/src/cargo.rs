//! `cargo build`, and how far it is.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use reporter::ProgressReporter;
use serde::Deserialize;
use shell::private;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;

/// Runs a `cargo build` with messages in JSON and returns the binaries that it names. The rest of its output goes to
/// `log`.
///
/// Reports how many crates of all are built, by reading cargo's progress bar. Cargo draws the bar without a terminal
/// too if its width is configured.
pub(crate) async fn run(
    command: &mut Command,
    log: &Path,
    reporter: &ProgressReporter<String>,
) -> std::io::Result<(ExitStatus, BTreeMap<String, PathBuf>)> {
    let mut log = private::create_file(log).map_err(std::io::Error::other)?;
    let mut cargo = command
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100")
        .env("CARGO_TERM_COLOR", "never")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (Some(stdout), Some(stderr)) = (cargo.stdout.take(), cargo.stderr.take()) else {
        unreachable!("both are piped")
    };
    let (binaries, ()) = tokio::try_join!(binaries(stdout), watch(stderr, &mut log, reporter))?;
    Ok((cargo.wait().await?, binaries))
}

/// Returns the binaries that cargo's messages name.
async fn binaries(output: impl AsyncRead + Unpin) -> std::io::Result<BTreeMap<String, PathBuf>> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        executable: PathBuf,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let mut binaries = BTreeMap::new();
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        if let Ok(message) = serde_json::from_str::<Message>(&line) {
            binaries.insert(message.target.name, message.executable);
        }
    }
    Ok(binaries)
}

/// Reports each progress bar, and writes every other line to `log`.
async fn watch(
    mut output: impl AsyncRead + Unpin,
    log: &mut impl Write,
    reporter: &ProgressReporter<String>,
) -> std::io::Result<()> {
    let mut text = Vec::new();
    loop {
        let count = output.read_buf(&mut text).await?;
        while let Some(end) = text.iter().position(|byte| b"\r\n".contains(byte)) {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            match built(&line) {
                Some(built) => reporter.report(|| built),
                None if line.trim().is_empty() => {}
                None => writeln!(log, "{}", line.trim_end())?,
            }
        }
        if count == 0 {
            return log.write_all(&text);
        }
    }
}

/// Parses a progress bar: `    Building [==>   ] 12/345: serde, tokio` means that 12 of 345 crates are built. Returns
/// `None` if the line is not a progress bar.
fn built(line: &str) -> Option<String> {
    let (_, rest) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (counts, names) = rest.trim_end().split_once(':').unwrap_or((rest.trim_end(), ""));
    let (done, total) = counts.split_once('/')?;
    let (done, total): (u64, u64) = (done.parse().ok()?, total.parse().ok()?);
    let now = names.trim();
    let separator = if now.is_empty() { "" } else { ": " };
    Some(format!("{done} of {total} crates{separator}{now}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_progress_bar_says_how_many_crates_are_built() {
        let said = |line| built(line);
        assert_eq!(
            said("    Building [=====>      ] 12/345: serde, tokio(build)   \r").as_deref(),
            Some("12 of 345 crates: serde, tokio(build)")
        );
        assert_eq!(
            said("    Building [            ] 0/345\r").as_deref(),
            Some("0 of 345 crates")
        );
        for other in ["   Compiling serde v1.0.0\n", "Building [ ] all of it", ""] {
            assert_eq!(said(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn bars_are_reported_and_the_rest_is_logged() {
        let output = "   Compiling a v1.0.0\n    Building [=>  ] 1/3: b\r   Compiling b v1.0.0\nerror: no";
        let (sender, reported) = mpsc::channel();
        let reporter = ProgressReporter::every(Duration::ZERO, move |news| sender.send(news).unwrap());
        let mut log = Vec::new();
        watch(output.as_bytes(), &mut log, &reporter).await.unwrap();
        drop(reporter);
        assert_eq!(reported.iter().collect::<Vec<_>>(), ["1 of 3 crates: b"]);
        assert_eq!(
            String::from_utf8(log).unwrap(),
            "   Compiling a v1.0.0\n   Compiling b v1.0.0\nerror: no"
        );
    }
}
