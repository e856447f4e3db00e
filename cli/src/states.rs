//! Draws the states of a push as it goes through the state machine, each on a line of its own.

use local_aws::follow::Moment;
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
                let text = format!("{}, tried again after {after}", current.errors.join(", "));
                let line = format!("  ! {state} is tried again, after {after}");
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

    fn state(name: &str) -> String {
        name.to_owned()
    }

    #[test]
    fn a_push_with_a_failed_attempt_is_drawn_state_by_state() {
        let (terminal, progress) = terminal();
        let mut states = States::new(progress);
        states.show(Moment::Entered {
            state: state("Validate"),
        });
        states.show(Moment::Exited {
            state: state("Validate"),
            took: Duration::from_millis(310),
            failed: false,
        });
        states.show(Moment::Entered {
            state: state("Fetch"),
        });
        states.show(Moment::AttemptFailed {
            state: state("Fetch"),
            error: "GitHostUnreachable".to_owned(),
        });
        states.show(Moment::TriedAgain {
            state: state("Fetch"),
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
            running
                .ends_with("  120 of 480 objects, 1.5 MiB  ! GitHostUnreachable, tried again after 12.0 s")
                && running.contains(" Fetch  "),
            "{drawn}"
        );
        states.show(Moment::Exited {
            state: state("Fetch"),
            took: Duration::from_millis(14_250),
            failed: false,
        });
        states.show(Moment::Entered {
            state: state("Package"),
        });
        states.show(Moment::AttemptFailed {
            state: state("Package"),
            error: "PathUnsafe".to_owned(),
        });
        states.show(Moment::Exited {
            state: state("Package"),
            took: Duration::from_millis(900),
            failed: true,
        });
        assert_eq!(
            terminal.contents(),
            "  ✓ Validate         0.3 s\n\
             \x20 ✓ Fetch           14.2 s  ! GitHostUnreachable, tried again after 12.0 s\n\
             \x20 ✗ Package          0.9 s  ! PathUnsafe"
        );
    }
}
