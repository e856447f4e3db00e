//! The timeline, as a table whose rows have bars. Each row says in words what its bar shows.

use chrono::TimeDelta;
use deployed_stack::console::Console;
use maud::{Markup, html};

use crate::text::{bytes, clock, duration};
use crate::timeline::{End, Outcome, Run, Span};

/// The narrowest bar, in thousandths of the timeline.
const NARROWEST: i64 = 6;

/// Returns the timeline of each execution, the last one first.
pub fn panel(runs: &[Run], console: Option<&Console>) -> Markup {
    let several = runs.len() > 1;
    html! {
        section class="panel" aria-labelledby="timeline-title" {
            h2 id="timeline-title" { "Timeline" }
            @for (index, run) in runs.iter().enumerate().rev() {
                @if several {
                    h3 { "Execution " (index + 1) " of " (runs.len()) ", " (word(run.end)) }
                }
                (table(index, run))
                p class="execution" {
                    "Execution "
                    @match console {
                        Some(console) => {
                            a id={ "execution-" (index) } href=(console.execution(&run.execution)) {
                                code { (name(&run.execution)) }
                            }
                        },
                        None => code { (name(&run.execution)) },
                    }
                }
            }
            @if several {
                p class="hint" { "An execution does not repeat stages whose output is in the trail." }
            }
        }
    }
}

fn table(index: usize, run: &Run) -> Markup {
    let whole = (run.to - run.from).max(TimeDelta::milliseconds(1));
    html! {
        table class="timeline" {
            caption class="unseen" { "The parts of execution " (index + 1) ", in order" }
            thead {
                tr {
                    th scope="col" { "Part" }
                    th scope="col" class="axis" {
                        span class="unseen" { "When" }
                        span aria-hidden="true" {
                            span { "0" }
                            span { (duration(whole / 2)) }
                            span { (duration(whole)) }
                        }
                    }
                    th scope="col" { "Began (UTC)" }
                    th scope="col" class="number" { "Took" }
                    th scope="col" class="number" { "Bytes" }
                    th scope="col" { "Result" }
                }
            }
            tbody {
                @for span in &run.spans { (row(run, span, whole)) }
            }
        }
    }
}

fn row(run: &Run, span: &Span, whole: TimeDelta) -> Markup {
    let (kind, result) = match &span.outcome {
        Outcome::Waited => ("queued", "Waited".to_owned()),
        Outcome::Done => ("done", "Done".to_owned()),
        Outcome::Failed(error) => ("failed", error.clone()),
        Outcome::Running => ("running", "Running".to_owned()),
    };
    let share = |time: TimeDelta| (time.num_milliseconds() * 1000 / whole.num_milliseconds()).clamp(0, 1000);
    let width = share(span.took()).max(NARROWEST);
    let from = share(span.from - run.from).min(1000 - width);
    let percent = |thousandths: i64| format!("{}.{}%", thousandths / 10, thousandths % 10);
    let began = duration(span.from - run.from);
    html! {
        tr class=(kind) {
            th scope="row" {
                (span.name)
                @if span.attempt > 1 { span class="attempt" { " attempt " (span.attempt) } }
            }
            td class="bar" {
                svg role="img" aria-label={ "after " (began) ", for " (duration(span.took())) } {
                    line x1="50%" x2="50%" y1="0" y2="100%" {}
                    rect class=(kind) x=(percent(from)) width=(percent(width)) y="15%" height="70%" rx="3" {}
                }
            }
            td data-label="Began" { (clock(span.from)) }
            td data-label="Took" class="number" { (duration(span.took())) }
            td data-label="Bytes" class="number" {
                @match span.bytes {
                    Some(size) => span title={ (size) " bytes" } { (bytes(size)) },
                    None => span class="none unseen" { "none" },
                }
            }
            td data-label="Result" class="result" { (result) }
        }
    }
}

fn word(end: End) -> &'static str {
    match end {
        End::Running => "running",
        End::Done => "done",
        End::Failed => "failed",
        End::Replaced => "replaced by the next",
    }
}

/// Returns the name of an execution, which its ARN ends with.
fn name(execution: &str) -> &str {
    execution.rsplit(':').next().unwrap_or(execution)
}
