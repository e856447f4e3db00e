//! Progress on stderr: lines with spinners on a terminal, plain lines elsewhere.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::{StyledObject, style};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use reporter::{ProgressReporter, mebibytes};

use crate::output::{marked, one_line, write_line};

/// How often a terminal shows how far a step is.
const REDRAWN: Duration = Duration::from_millis(250);
/// How often a log has a line about it.
const LINES_EVERY: Duration = Duration::from_secs(10);
/// The mark before what is done.
const DONE: &str = "✓";
/// The mark before what has failed.
const FAILED: &str = "✗";

/// The lines that change, on stderr.
static TERMINAL: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Where progress is shown.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// On a terminal.
    Terminal(&'static MultiProgress),
    /// As plain lines, for logs.
    Lines,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// [`Progress::Terminal`] if stderr is one, [`Progress::Lines`] otherwise.
    #[must_use]
    pub fn on_stderr() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Terminal(&TERMINAL)
        } else {
            Self::Lines
        }
    }

    /// Begins a step that may take longer than a moment.
    #[must_use]
    pub fn step(self, text: impl Into<String>) -> Step {
        let text = text.into();
        if let Self::Lines = self {
            write_line(None, &format!("- {text}"));
        }
        self.begin(text, "{spinner:.cyan} {prefix} {took:.dim} {wide_msg}")
    }

    /// Begins a state of a push, below the step that all of them belong to.
    #[must_use]
    pub fn state(self, name: &str) -> Step {
        self.begin(
            name.to_owned(),
            "  {spinner:.cyan} {prefix:13} {took:>8.dim}  {wide_msg}",
        )
    }

    fn begin(self, text: String, template: &str) -> Step {
        let bar = match self {
            Self::Terminal(bars) => {
                let took = |state: &ProgressState, writer: &mut dyn std::fmt::Write| {
                    // Writing to a string does not fail.
                    let _ = writer.write_str(&seconds(state.elapsed()));
                };
                let style = ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_spinner())
                    .with_key("took", took);
                let bar = bars.add(ProgressBar::new_spinner()).with_style(style);
                bar.set_prefix(one_line(&text));
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Self::Lines | Self::Silent => None,
        };
        let shown = Shown {
            progress: self,
            bar,
            started: Instant::now(),
            told: Mutex::default(),
        };
        Step {
            text,
            shown: Arc::new(shown),
        }
    }

    /// Shows a line about something that is done already, or worth knowing.
    pub fn line(self, text: &str) {
        self.marked(None, text);
    }

    fn marked(self, mark: Option<StyledObject<&'static str>>, text: &str) {
        match self {
            Self::Terminal(bars) => {
                // As with lines, a closed stderr is no reason to stop working.
                let _ = bars.println(marked(mark, text));
            }
            Self::Lines => write_line(mark, text),
            Self::Silent => {}
        }
    }
}

/// A step that goes on. If it is dropped, it disappears, because the error that ends it is shown anyway.
#[derive(Debug)]
pub struct Step {
    text: String,
    shown: Arc<Shown>,
}

/// What is shown of a step.
#[derive(Debug)]
struct Shown {
    progress: Progress,
    bar: Option<ProgressBar>,
    started: Instant,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    news: String,
    /// When the first bytes were reported, and how many there were.
    first: Option<(Instant, u64)>,
    trouble: String,
}

impl Step {
    /// Ends the step, and shows its result and how long it took.
    pub fn done(self, text: &str) {
        self.end(style(DONE).green(), text);
    }

    /// Ends the step, and shows how it failed.
    pub fn failed(self, text: &str) {
        self.end(style(FAILED).red(), text);
    }

    fn end(self, mark: StyledObject<&'static str>, text: &str) {
        let took = seconds(self.shown.started.elapsed());
        self.shown.clear();
        let text = format!("{text} ({took})");
        self.shown.progress.marked(Some(mark.for_stderr()), &text);
    }

    /// Ends a state.
    pub fn left(self, took: Duration, failed: bool) {
        self.shown.clear();
        let mark = if failed {
            style("  ✗").red()
        } else {
            style("  ✓").green()
        };
        let took = seconds(took);
        let text = match self.shown.progress {
            Progress::Terminal(_) => {
                let trouble = self.shown.told().trouble.clone();
                let text = format!("{:13} {took:>8}  {trouble}", self.text);
                text.trim_end().to_owned()
            }
            _ => format!("{} ({took})", self.text),
        };
        self.shown.progress.marked(Some(mark.for_stderr()), &text);
    }

    /// Shows what has gone wrong in the step, which goes on. A log shows the line `or` instead.
    pub fn trouble(&self, text: &str, or: &str) {
        self.shown.told().trouble = format!("! {}", one_line(text));
        self.shown.redraw();
        if let Progress::Lines = self.shown.progress {
            self.shown.progress.marked(None, or);
        }
    }

    /// Returns a reporter of how far the step is. A terminal shows that beside the step, and a log has a line about it
    /// from time to time.
    #[must_use]
    pub fn reporter<T: Display + 'static>(&self) -> ProgressReporter<T> {
        self.meter(|_| None)
    }

    /// Like [`Step::reporter`], and also shows the bytes per second, which it computes from the totals that `bytes`
    /// returns.
    #[must_use]
    pub fn meter<T: Display + 'static>(
        &self,
        bytes: impl Fn(&T) -> Option<u64> + Send + Sync + 'static,
    ) -> ProgressReporter<T> {
        let shown = Arc::clone(&self.shown);
        let interval = if shown.bar.is_some() { REDRAWN } else { LINES_EVERY };
        ProgressReporter::every(interval, move |news: T| {
            shown.news(&one_line(&news.to_string()), bytes(&news));
        })
    }
}

impl Shown {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self, text: &str, bytes: Option<u64>) {
        let now = Instant::now();
        let mut told = self.told();
        let rate = bytes.and_then(|bytes| {
            let (since, first) = *told.first.get_or_insert((now, bytes));
            let passed = now.duration_since(since).as_secs_f64();
            (passed > 0.0).then(|| bytes.saturating_sub(first) as f64 / passed)
        });
        told.news = match rate {
            Some(rate) => format!("{text}, {}/s", mebibytes(rate as u64)),
            None => text.to_owned(),
        };
        if let Progress::Lines = self.progress {
            let line = format!("  {} ({})", told.news, seconds(self.started.elapsed()));
            self.progress.line(&line);
        }
        drop(told);
        self.redraw();
    }

    fn redraw(&self) {
        if let Some(bar) = &self.bar {
            let told = self.told();
            let parts = [told.news.as_str(), told.trouble.as_str()];
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            bar.set_message(parts.join("  "));
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            if let Progress::Terminal(bars) = self.progress {
                bars.remove(bar);
            }
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.shown.clear();
    }
}

/// Formats a duration for people.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    use super::*;

    /// A terminal in memory, and the progress on it.
    fn terminal() -> (InMemoryTerm, Progress) {
        let terminal = InMemoryTerm::new(12, 100);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bars = Box::leak(Box::new(MultiProgress::with_draw_target(target)));
        (terminal, Progress::Terminal(bars))
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn steps_side_by_side_each_have_their_line() {
        let (terminal, progress) = terminal();
        let install = progress.step("Installing");
        let build = progress.step("Building");
        let crates = build.reporter();
        std::thread::sleep(2 * REDRAWN);
        crates.report(|| "12 of 345 crates");
        std::thread::sleep(2 * REDRAWN);
        let drawn = terminal.contents();
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 2, "{drawn}");
        assert!(lines[0].contains("Installing"), "{drawn}");
        assert!(
            lines[1].contains("Building") && lines[1].contains("12 of 345"),
            "{drawn}"
        );
        install.done("Installed");
        drop(build);
        let drawn = terminal.contents();
        assert!(
            drawn.starts_with("✓ Installed (") && drawn.lines().count() == 1,
            "{drawn}"
        );
    }

    #[test]
    fn bytes_are_told_with_their_rate() {
        let (_, progress) = terminal();
        let step = progress.state("Fetch");
        step.shown.news("1 of 9 objects", Some(1 << 20));
        assert_eq!(step.shown.told().news, "1 of 9 objects");
        step.shown.told().first = Some((Instant::now().checked_sub(Duration::from_secs(2)).unwrap(), 0));
        step.shown.news("2 of 9 objects", Some(10 << 20));
        assert_eq!(step.shown.told().news, "2 of 9 objects, 5.0 MiB/s");
    }

    #[test]
    fn hostile_texts_steer_no_terminal() {
        // The terminal does not show an escape sequence that it obeys. The terminal in memory leaves U+FFFD out.
        let (terminal, progress) = terminal();
        let step = progress.step("refs/heads/\u{1b}[2J\u{1b}]0;x\u{7}");
        step.shown.news(&one_line("\u{1b}[1;1Hobjects\r"), None);
        step.trouble("\u{1b}[2Jgone\nerror: forged", "");
        std::thread::sleep(REDRAWN);
        let drawn = terminal.contents();
        for text in ["refs/heads/[2J]0;x", "[1;1Hobjects", "! [2Jgone error: forged"] {
            assert!(drawn.contains(text), "{text}: {drawn:?}");
        }
        assert_eq!(drawn.lines().count(), 1, "{drawn:?}");

        let (terminal, progress) = self::terminal();
        progress.step("x").done("\u{1b}[2Jdone");
        assert!(terminal.contents().starts_with("✓ [2Jdone ("));

        let (terminal, progress) = self::terminal();
        progress.line("subject \u{9b}2J\u{202e}");
        assert_eq!(terminal.contents(), "subject 2J");
    }
}
