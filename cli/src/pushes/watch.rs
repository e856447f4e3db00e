//! `push-code pushes watch`: the events of pushes as they happen.

use std::io::Write;

use deployed_stack::Stack;
use deployed_stack::watch::{self, Watch, WatchedEvent};
use domain::push::PushId;
use serde_json::{Value, json};
use shell::progress::Progress;

use super::filter::SubjectArgs;
use super::no_push;
use crate::Error;
use crate::results::Results;

/// Writes the events of pushes until the command is interrupted.
pub async fn all(
    stack: &Stack,
    subject: &SubjectArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let mut watch = Watch::begin(stack, progress).await?;
    progress.line(&format!(
        "Watching the pushes of the stack {}. Ctrl-C ends this.",
        stack.name()
    ));
    loop {
        let events = tokio::select! {
            events = watch.next() => events?,
            // The command is ended if it cannot be told when.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        for event in events.iter().filter(|event| subject.contain(event)) {
            write(event, results)?;
        }
    }
}

/// Writes the events of a push until it is closed. Returns `false` if it has failed. If the command is interrupted
/// before, it ends as a command does that cannot say which of the two it is.
pub async fn one(
    stack: &Stack,
    id: PushId,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let closed = watch::follow(stack, id, progress, |event| write(event, results)).await?;
    let push = closed.ok_or_else(|| no_push(stack, id))?;
    Ok(push.failure.is_none())
}

fn write(event: &WatchedEvent, results: &mut Results<impl Write>) -> Result<(), Error> {
    results.line(event.line(), &document(event))
}

/// Returns an event for programs, as `audit export` writes it, with what the push is about.
fn document(event: &WatchedEvent) -> Value {
    let mut document = json!(event.recorded);
    document["push_id"] = json!(event.push_id);
    document["source"] = json!(event.source);
    document["repository"] = json!(event.repository);
    document["ref"] = json!(event.ref_name);
    if let Some(remedy) = event.remedy() {
        document["remedy"] = json!(remedy);
    }
    document
}
