//! `push-code retry`: another execution of pushes that have failed.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};
use deployed_stack::filter::since;
use deployed_stack::{Stack, replay};
use domain::push::PushId;
use domain::push_index::Category;
use domain::state::PushState;
use serde_json::{Value, json};
use shell::output::one_line;
use shell::progress::Progress;

use crate::Error;
use crate::pushes::filter::SubjectArgs;
use crate::pushes::{StackArgs, state_of, text};
use crate::results::Results;

/// Which pushes to retry.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "failed"]))]
pub struct RetryArgs {
    /// Their ids.
    #[arg(value_name = "PUSH", conflicts_with_all = ["repository", "ref_name", "source", "since"])]
    ids: Vec<PushId>,
    /// All that have failed in the last seven days, or since --since, as `pushes failed` lists them.
    #[arg(long)]
    failed: bool,
    /// Which of them.
    #[command(flatten)]
    subject: SubjectArgs,
    /// Those that were received since then: so long ago, such as 90min, 12h or 7d, or a date or time of UTC, such as
    /// 2026-01-31 or 2026-01-31T10:00:00Z.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = since)]
    since: DateTime<Utc>,
    /// Only say which these are.
    #[arg(long)]
    dry_run: bool,
    /// Their stack.
    #[command(flatten)]
    stack: StackArgs,
}

/// Starts another execution of each, the oldest first. Returns `false` if one of them could not be started.
///
/// # Errors
/// Returns an error if there is no such push, if there is nothing to do for it, or if the stack cannot be read.
pub async fn run(
    args: RetryArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let stack = args.stack.open(progress).await?;
    let pushes = if args.failed {
        replay::failed(&stack, args.subject.filter(args.since)).await?
    } else {
        named(&stack, &args.ids).await?
    };
    if args.dry_run {
        results.text(text::table(&pushes))?;
        results.put(json!({ "pushes": pushes }));
        return Ok(true);
    }
    start(&stack, &pushes, results, progress).await
}

/// Starts another execution of each push, in this order. Returns `false` if one of them could not be started.
async fn start(
    stack: &Stack,
    pushes: &[PushState],
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let mut retried = Vec::new();
    let step = progress.step(format!("Starting {} executions", pushes.len()));
    for push in pushes {
        let (push_id, started) = (push.push_id(), replay::replay(stack, push).await);
        let (text, document) = match &started {
            Ok(execution) => (
                format!("{push_id} is taken over by {execution}"),
                json!({ "push_id": push_id, "execution": execution }),
            ),
            Err(error) => {
                let error = error.to_string();
                (
                    format!("{push_id} was not started: {}", one_line(&error)),
                    json!({ "push_id": push_id, "error": error }),
                )
            }
        };
        results.text(text)?;
        retried.push((started.is_ok(), document));
    }
    let (started, all) = (
        retried.iter().filter(|(started, _)| *started).count(),
        retried.len(),
    );
    step.done(&format!("Started {started} of {all} executions"));
    if all == 0 {
        results.text(text::table(pushes))?;
    }
    let documents: Vec<Value> = retried.into_iter().map(|(_, document)| document).collect();
    results.put(json!({ "retried": documents }));
    Ok(started == all)
}

/// Returns the pushes of these ids, each once, the oldest first.
async fn named(stack: &Stack, ids: &[PushId]) -> Result<Vec<PushState>, Error> {
    let mut pushes = Vec::new();
    for id in ids {
        let (push, _) = state_of(stack, *id).await?;
        if !may_be_retried(&push) {
            return Err(Error::Usage(format!(
                "there is nothing to retry of the push {id}, which is {}: `push-code pushes replay {id}` sends its event once more",
                push.status
            )));
        }
        pushes.push(push);
    }
    Ok(oldest_first(pushes))
}

/// Orders pushes by their times, each once.
fn oldest_first(mut pushes: Vec<PushState>) -> Vec<PushState> {
    pushes.sort_by_key(|push| (push.received_at, push.push_id()));
    pushes.dedup_by_key(|push| push.push_id());
    pushes
}

/// Returns whether another execution may have something to do. An ignored push may be delivered by other settings, and
/// an open one is left if its execution was stopped.
fn may_be_retried(push: &PushState) -> bool {
    matches!(
        Category::of(push),
        Category::Failed | Category::Open | Category::Ignored
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use domain::push::Push;
    use domain::samples;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn a_push_that_is_named_twice_is_retried_once_and_the_oldest_first() {
        let push = |id: &str, minutes| {
            let push = samples::push(id, "refs/heads/main");
            let mut state = samples::folded([samples::received(&push, "e1")]);
            state.received_at -= chrono::TimeDelta::minutes(minutes);
            state
        };
        let (older, newer, other) = (push("1", 5), push("2", 0), push("3", 0));
        let named = [&newer, &older, &other, &newer, &older].map(Clone::clone);
        let ordered = oldest_first(named.into());
        assert_eq!(ordered.len(), 3);
        assert_eq!(ordered[0].push_id(), older.push_id());
    }

    #[test]
    fn a_push_that_has_failed_after_its_delivery_may_be_retried() {
        let push: Push = samples::push("1", "refs/heads/main");
        let delivered = samples::delivered_trail(&push);
        assert!(!may_be_retried(&samples::folded(delivered.clone())));
        let failed = samples::folded(delivered.into_iter().chain([samples::push_failed("e1")]));
        assert!(failed.delivered.is_some() && may_be_retried(&failed));
        assert!(may_be_retried(&samples::folded([samples::received(&push, "e1")])));
    }

    #[test]
    fn either_pushes_are_named_or_those_that_have_failed() {
        let parse = |line: &str| {
            Cli::try_parse_from(line.split(' '))
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        let id = "0190b3a8-7c1e-7c3a-9b7e-2f6c0d9b1a55";
        assert_eq!(parse(&format!("push-code retry {id} {id} --dry-run")), Ok(()));
        assert_eq!(
            parse("push-code retry --failed --since 2h --repository group/project"),
            Ok(())
        );
        for (line, part) in [
            ("push-code retry".to_owned(), "PUSH|--failed"),
            (format!("push-code retry {id} --failed"), "cannot be used with"),
            (format!("push-code retry {id} --since 2h"), "cannot be used with"),
            (
                format!("push-code retry {id} --repository group/project"),
                "cannot be used with",
            ),
        ] {
            let error = parse(&line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
