//! The audit trail of pushes, for people.

use std::fmt::Write;

use audit::{AuditError, DynamoTrail, EventStore as _, Filter, Page, PushQueries as _};
use aws::failure::chain;
use chrono::SecondsFormat;
use domain::aggregate::{Aggregate, RecordedEvent};
use domain::contract::BaseUse;
use domain::event::PushEvent;
use domain::push::{Push, PushId, Trigger};
use domain::push_index::{Category, CommitPrefix};
use domain::state::PushState;
use shell::output::one_line;

use crate::{Error, Stack};

/// The events of a push, and the state that follows from them.
#[derive(Debug, Clone)]
pub struct Trail {
    /// The events, the first one first.
    pub events: Vec<RecordedEvent<PushEvent>>,
    /// The state that follows from the events, or `None` if there is no event.
    pub state: Option<PushState>,
}

/// Reads the trail of a push.
///
/// # Errors
/// Returns [`Error::Trail`] if it cannot be read.
pub async fn read(trail: &DynamoTrail, push_id: PushId) -> Result<Trail, Error> {
    let error = |message| Error::Trail {
        push_id: push_id.to_string(),
        message,
    };
    let events = trail
        .events(push_id)
        .await
        .map_err(|failure| error(chain(&failure)))?;
    let state = Push::fold(&events).map_err(|illegal| error(illegal.to_string()))?;
    Ok(Trail { events, state })
}

/// Returns a page of the pushes that a filter lets pass.
///
/// # Errors
/// Returns [`Error::IndexMissing`] if the stack was deployed by an earlier version, or an error if the table cannot be
/// read.
pub async fn list(stack: &Stack, filter: &Filter, limit: usize) -> Result<Page, Error> {
    let page = stack.trail()?.list(filter, limit).await;
    page.map_err(|error| cannot_find(stack, "list the pushes", error))
}

/// Returns the pushes of the commits whose ids begin with `commit`.
///
/// # Errors
/// As of [`list`].
pub async fn of_commit(stack: &Stack, commit: &CommitPrefix) -> Result<Vec<PushState>, Error> {
    let pushes = stack.trail()?.of_commit(commit).await;
    pushes.map_err(|error| cannot_find(stack, "find the commit", error))
}

fn cannot_find(stack: &Stack, action: &str, error: AuditError) -> Error {
    // DynamoDB has no code of its own for it.
    if chain(&error).contains("does not have the specified index") {
        return Error::IndexMissing {
            stack: stack.name().to_owned(),
        };
    }
    Error::audit(format!("{action} of the stack {}", stack.name()))(error)
}

impl Trail {
    /// Returns one line for each event, with its version, time, name and summary.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for recorded in &self.events {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "  {:>3}  {}  {:<16}  {}{}",
                recorded.version,
                recorded.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true),
                recorded.event.name(),
                // An event is one line, even if its texts have several.
                one_line(&summary(&recorded.event)),
                measured(recorded)
            );
        }
        text
    }
}

/// Returns what an event says of times and costs.
pub(crate) fn measured(recorded: &RecordedEvent<PushEvent>) -> String {
    let mut text = String::new();
    if let Some(attempt) = &recorded.attempt {
        let _ = write!(text, ", in {}", seconds(attempt.milliseconds));
    }
    if let Some(total) = &recorded.total {
        let (dollars, rest) = (total.microdollars / 1_000_000, total.microdollars % 1_000_000);
        let time = seconds(total.milliseconds);
        let _ = write!(text, "; altogether {time}, about ${dollars}.{rest:06}");
    }
    text
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
}

/// Returns an event in a few words.
#[must_use]
pub fn summary(event: &PushEvent) -> String {
    match event {
        PushEvent::PushReceived(received) => {
            let push = &received.push;
            let after = push
                .after
                .as_ref()
                .map_or("nothing", |after| short(after.as_str()));
            let change = if push.trigger == Trigger::Rollback {
                "goes back to"
            } else {
                "is now"
            };
            let destination = push.destination.as_ref().map(|name| format!(", for {name}"));
            let started_by = push.started_by().map(|started_by| format!(", {started_by}"));
            format!(
                "{} of {} {change} {after}{}{}",
                push.ref_name,
                push.repository,
                destination.unwrap_or_default(),
                started_by.unwrap_or_default()
            )
        }
        PushEvent::PushRetried(retried) => format!("by {}", retried.execution.id),
        PushEvent::PushValidated(deliver) => format!(
            "push {} of this ref, to s3://{}/{}",
            deliver.sequence, deliver.destination.bucket, deliver.destination.key
        ),
        PushEvent::DeletionValidated(expire) => format!(
            "push {} of this ref, whose zip is s3://{}/{}",
            expire.sequence, expire.destination.bucket, expire.destination.key
        ),
        PushEvent::PushExpired(expired) => format!(
            "s3://{}/{} of push {}, version {}",
            expired.bucket,
            expired.key,
            expired.push_id,
            expired.version_id.as_deref().unwrap_or("none")
        ),
        PushEvent::PushIgnored(ignored) => ignored.detail.clone(),
        PushEvent::CommitFetched(fetched) => format!(
            "commit {} \"{}\", a pack of {} bytes{}",
            fetched.commit.short(),
            fetched.subject,
            fetched.pack.size,
            fetched.base.as_ref().map(of_base).unwrap_or_default()
        ),
        PushEvent::ArchivePackaged(archive) => {
            let taken = archive
                .taken_entries
                .map(|taken| format!(", of which {taken} have not changed"));
            format!(
                "{} entries{}, {} bytes, SHA-256 {}",
                archive.entries,
                taken.unwrap_or_default(),
                archive.object.size,
                short(&archive.sha256)
            )
        }
        PushEvent::VersionFound(found) => format!(
            "the zip of commit {} \"{}\", {} bytes, SHA-256 {}",
            found.fetched.commit.short(),
            found.fetched.subject,
            found.archive.object.size,
            short(&found.archive.sha256)
        ),
        PushEvent::ArchiveUploaded(delivered) | PushEvent::PushDelivered(delivered) => format!(
            "s3://{}/{}, version {}",
            delivered.bucket,
            delivered.key,
            delivered.version_id.as_deref().unwrap_or("none")
        ),
        PushEvent::PushSuperseded(superseded) => superseded.because.clone(),
        PushEvent::AttemptFailed(failed) => {
            format!(
                "{}, attempt {}: {}",
                failed.stage,
                failed.attempt + 1,
                failed.error
            )
        }
        PushEvent::PushFailed(failed) => format!("{}: {}", failed.failure.stage, failed.failure.error),
        PushEvent::CommitStatusSet(set) => format!(
            "{} at {}, by {}",
            set.status,
            set.commit.short(),
            set.url.as_str()
        ),
    }
}

/// Returns the status of a push, which is that of its failure if an execution has failed after the push was closed.
#[must_use]
pub fn status(push: &PushState) -> String {
    match Category::of(push) {
        Category::Failed => "Failed".to_owned(),
        _ => push.status.to_string(),
    }
}

/// Returns what the push is about, or why it was not delivered, in a few words.
#[must_use]
pub fn outcome(push: &PushState) -> String {
    if let Some(failed) = &push.failure {
        let also = if push.status.is_complete() {
            format!(" ({} before)", push.status)
        } else {
            String::new()
        };
        return format!(
            "{} failed with {}{also}",
            failed.failure.stage, failed.failure.error
        );
    }
    if let Some(reason) = push.reason() {
        return reason;
    }
    match (&push.fetched, &push.push.after) {
        (Some(fetched), _) => fetched.subject.clone(),
        (None, None) => "deleted".to_owned(),
        (None, Some(_)) => String::new(),
    }
}

/// Returns what a commit was fetched from besides the host.
fn of_base(base: &BaseUse) -> String {
    match base {
        BaseUse::Used(base) => format!(", besides what push {} has left", base.push_id),
        BaseUse::WhyNot(reason) => format!(", the whole commit: {reason}"),
    }
}

/// Returns the first eight characters of an id.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_one_line() {
        let event = |version: u64, event| {
            let mut json = serde_json::json!({
                "version": version, "schema": 1, "recorded_at": "2026-01-02T03:04:05.678Z",
            });
            json.as_object_mut()
                .unwrap()
                .append(&mut serde_json::Value::as_object_mut(&mut { event }).unwrap().clone());
            serde_json::from_value::<RecordedEvent<PushEvent>>(json).unwrap()
        };
        let trail = Trail {
            events: vec![
                event(
                    1,
                    serde_json::json!({"type": "PushDelivered", "data": {
                        "bucket": "zips", "key": "a/b.zip", "version_id": "v1", "etag": "e"}}),
                ),
                event(
                    2,
                    serde_json::json!({"type": "PushFailed", "data": {
                        "execution_id": "x", "stage": "Fetch", "error": "CommitNotFound", "cause": "gone"}}),
                ),
                event(
                    3,
                    serde_json::json!({"type": "PushSuperseded", "data": {
                        "by": "0190a1b2-0000-5000-8000-000000000000", "because": "no\n    9  forged\u{1b}[2J"}}),
                ),
            ],
            state: None,
        };
        assert_eq!(
            trail.lines(),
            "    1  2026-01-02T03:04:05.678Z  PushDelivered     s3://zips/a/b.zip, version v1\n\
             \x20   2  2026-01-02T03:04:05.678Z  PushFailed        Fetch: CommitNotFound\n\
             \x20   3  2026-01-02T03:04:05.678Z  PushSuperseded    no     9  forged\u{fffd}[2J\n"
        );
    }
}
