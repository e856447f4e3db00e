//! Progress on stderr: a spinner with the elapsed time on a terminal, plain lines elsewhere.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reporter::ProgressReporter;

use crate::output::{PlainWriter, one_line};

/// How often a terminal shows how far a step is.
const REDRAWN: Duration = Duration::from_millis(250);
/// How often a log has a line of it.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// On a terminal.
    Terminal,
    /// As plain lines, for logs.
    Lines,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// [`Progress::Terminal`] where stderr is one, [`Progress::Lines`] otherwise.
    #[must_use]
    pub fn on_stderr() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Lines
        }
    }

    /// Begins a step that may take longer than a moment.
    #[must_use]
    pub fn step(self, text: impl Into<String>) -> Step {
        let text = one_line(&text.into());
        let bar = match self {
            Self::Terminal => {
                let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                let bar = ProgressBar::new_spinner()
                    .with_style(style)
                    .with_message(text.clone());
                bar.enable_steady_tick(Duration::from_millis(100));
                Some(bar)
            }
            Self::Lines => {
                write_line(&format!("- {text}"));
                None
            }
            Self::Silent => None,
        };
        Step {
            progress: self,
            text,
            bar,
            started: Instant::now(),
        }
    }

    /// Says something that is done already, or worth knowing.
    pub fn line(self, text: &str) {
        if self != Self::Silent {
            write_line(text);
        }
    }
}

/// A step under way. Dropped, it vanishes: the error that ends it speaks for itself.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    text: String,
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Step {
    /// Ends the step with what came of it and how long it took.
    pub fn done(self, text: &str) {
        let elapsed = seconds(self.started.elapsed());
        self.clear();
        self.progress.line(&format!("✓ {text} ({elapsed})"));
    }

    /// Shows a line above the step, which goes on.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| write_line(text)),
            None => self.progress.line(text),
        }
    }

    /// Changes what a terminal shows of the step.
    pub fn now(&self, text: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(one_line(&text.into()));
            // What is shown is the time of this, and not that since the step began.
            bar.reset_elapsed();
        }
    }

    /// Tells how far the step is: a terminal's spinner shows it, elsewhere each is a line.
    #[must_use]
    pub fn reporter<T: Display + 'static>(&self) -> ProgressReporter<T> {
        let (progress, text, bar, started) =
            (self.progress, self.text.clone(), self.bar.clone(), self.started);
        let interval = if bar.is_some() { REDRAWN } else { LINES_EVERY };
        ProgressReporter::every(interval, move |news| match &bar {
            Some(bar) => bar.set_message(one_line(&format!("{text}: {news}"))),
            None => progress.line(&format!("  {news} ({})", seconds(started.elapsed()))),
        })
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A duration as people read it.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

fn write_line(text: &str) {
    // A closed stderr is no reason to stop working.
    let _ = writeln!(PlainWriter::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
