//! Draws the states of a push as it goes through the state machine, each on a line of its own.

use deployed_stack::follow::Moment;
use local_aws::function_log::News;
use reporter::ProgressReporter;
use shell::progress::{Progress, Step, seconds};

/// Draws the states of one execution.
#[derive(Debug)]
pub struct States {
    progress: Progress,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    step: Step,
    reporter: ProgressReporter<News>,
    /// The errors of the attempts that failed.
    errors: Vec<String>,
}

impl States {
    /// Creates a drawing without states.
    #[must_use]
    pub fn new(progress: Progress) -> Self {
        Self {
            progress,
            current: None,
        }
    }

    /// Draws `moment`.
    pub fn show(&mut self, moment: Moment) {
        match (moment, &mut self.current) {
            (Moment::Entered { state }, _) => {
                let step = self.progress.state(&state);
                self.current = Some(Current {
                    reporter: step.meter(|news: &News| news.bytes),
                    step,
                    errors: Vec::new(),
                });
            }
            (Moment::AttemptFailed { state, error }, Some(current)) => {
                let line = format!("  ! {state}: {error}");
                current.errors.push(error);
                current.step.trouble(&current.errors.join(", "), &line);
            }
            (Moment::TriedAgain { state, after }, Some(current)) => {
                let after = seconds(after);
                let text = format!("{}, retried after {after}", current.errors.join(", "));
                let line = format!("  ! {state} is retried after {after}");
                current.step.trouble(&text, &line);
            }
            (Moment::Exited { took, failed, .. }, _) => {
                if let Some(current) = self.current.take() {
                    current.step.left(took, failed);
                }
            }
            // The state was entered before this began to follow the execution.
            (_, None) => {}
        }
    }

    /// Shows the progress of the current state's function, unless `news` returns `None`.
    pub fn report(&self, news: impl FnOnce() -> Option<News>) {
        if let Some(current) = &self.current
            && let Some(news) = news()
        {
            current.reporter.report(|| news);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use indicatif::{InMemoryTerm, MultiProgress, ProgressDrawTarget};

    use super::*;

    fn terminal() -> (InMemoryTerm, Progress) {
        let terminal = InMemoryTerm::new(12, 120);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bars = Box::leak(Box::new(MultiProgress::with_draw_target(target)));
        (terminal, Progress::Terminal(bars))
    }

    fn entered(state: &str) -> Moment {
        Moment::Entered {
            state: state.to_owned(),
        }
    }

    fn attempt_failed(state: &str, error: &str) -> Moment {
        Moment::AttemptFailed {
            state: state.to_owned(),
            error: error.to_owned(),
        }
    }

    fn exited(state: &str, millis: u64, failed: bool) -> Moment {
        Moment::Exited {
            state: state.to_owned(),
            took: Duration::from_millis(millis),
            failed,
        }
    }

    #[test]
    fn a_push_with_a_failed_attempt_is_drawn_state_by_state() {
        let (terminal, progress) = terminal();
        let mut states = States::new(progress);
        states.show(entered("Validate"));
        states.show(exited("Validate", 310, false));
        states.show(entered("Fetch"));
        states.show(attempt_failed("Fetch", "GitHostUnreachable"));
        states.show(Moment::TriedAgain {
            state: "Fetch".to_owned(),
            after: Duration::from_secs(12),
        });
        std::thread::sleep(Duration::from_millis(400));
        states.report(|| {
            Some(News {
                text: "120 of 480 objects, 1.5 MiB".to_owned(),
                bytes: None,
            })
        });
        std::thread::sleep(Duration::from_millis(300));
        let drawn = terminal.contents();
        let (done, running) = drawn.split_once('\n').unwrap();
        assert_eq!(done, "  ✓ Validate         0.3 s");
        assert!(
            running.ends_with("  120 of 480 objects, 1.5 MiB  ! GitHostUnreachable, retried after 12.0 s")
                && running.contains(" Fetch  "),
            "{drawn}"
        );
        states.show(exited("Fetch", 14_250, false));
        states.show(entered("Package"));
        states.show(attempt_failed("Package", "PathUnsafe"));
        states.show(exited("Package", 900, true));
        assert_eq!(
            terminal.contents(),
            "  ✓ Validate         0.3 s\n\
             \x20 ✓ Fetch           14.2 s  ! GitHostUnreachable, retried after 12.0 s\n\
             \x20 ✗ Package          0.9 s  ! PathUnsafe"
        );
    }
}
