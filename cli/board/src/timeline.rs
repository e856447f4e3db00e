//! The timeline of a push, from its events: for each execution when it was queued, and when each attempt of each stage
//! ran.
//!
//! An event says when something ended. Each part of an execution begins where the one before it ended, so an attempt
//! that follows a failed one includes the wait between them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::aggregate::RecordedEvent;
use domain::contract::{FetchedCommit, Stage};
use domain::event::PushEvent;
use domain::execution::Execution;
use domain::push_index::Category;
use domain::state::PushState;

/// What one execution has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its ARN.
    pub execution: String,
    /// When it started.
    pub from: DateTime<Utc>,
    /// When it ended, or the time of the timeline if it has not.
    pub to: DateTime<Utc>,
    /// How it ended.
    pub end: End,
    /// Its parts, in order.
    pub spans: Vec<Span>,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It runs.
    Running,
    /// It has closed the push.
    Done,
    /// It has failed.
    Failed,
    /// Another execution has taken over the push.
    Replaced,
}

/// A part of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `Queued`, or the name of the state.
    pub name: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// When it began.
    pub from: DateTime<Utc>,
    /// When it ended, or the time of the timeline if it has not.
    pub to: DateTime<Utc>,
    /// What has come of it.
    pub outcome: Outcome,
    /// How many bytes it has staged or delivered.
    pub bytes: Option<u64>,
}

/// What has come of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The execution waited for its first function.
    Waited,
    /// It has ended well.
    Done,
    /// It has failed with an error of this name.
    Failed(String),
    /// It runs.
    Running,
}

impl Span {
    /// Returns how long it took.
    pub fn took(&self) -> TimeDelta {
        self.to - self.from
    }
}

impl Run {
    fn begin(execution: &Execution) -> Self {
        Self {
            execution: execution.id.clone(),
            from: execution.started_at,
            to: execution.started_at,
            end: End::Running,
            spans: Vec::new(),
        }
    }

    /// Adds a part that ended at `at`. A clock that is behind the one before makes the part empty, not negative.
    fn add(&mut self, name: impl Into<String>, at: DateTime<Utc>, outcome: Outcome, bytes: Option<u64>) {
        let name = name.into();
        let attempt = match self.spans.last() {
            Some(last) if last.name == name && matches!(last.outcome, Outcome::Failed(_)) => last.attempt + 1,
            _ => 1,
        };
        let from = self.to;
        self.to = at.max(from);
        self.spans.push(Span {
            name,
            attempt,
            from,
            to: self.to,
            outcome,
            bytes,
        });
    }

    fn has_failed_in(&self, stage: &str) -> bool {
        let last = self.spans.last();
        last.is_some_and(|last| last.name == stage && matches!(last.outcome, Outcome::Failed(_)))
    }
}

/// Returns the executions of a push, the first one first, as of the time `now`.
pub fn of(events: &[RecordedEvent<PushEvent>], push: &PushState, now: DateTime<Utc>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut progress = Progress::default();
    for (at, recorded) in in_order(events) {
        if let Some(execution) = execution_of(&recorded.event) {
            progress.begin_again();
            if let Some(before) = runs.last_mut().filter(|before| before.end == End::Running) {
                before.end = End::Replaced;
            }
            let mut run = Run::begin(execution);
            run.add("Queued", at, Outcome::Waited, None);
            runs.push(run);
            continue;
        }
        // An attempt may end after another execution has taken over the push.
        let of = |execution: &str, runs: &[Run]| runs.iter().rposition(|run| run.execution == execution);
        let index = match &recorded.event {
            PushEvent::AttemptFailed(failed) => of(&failed.execution_id, &runs),
            PushEvent::PushFailed(failed) => of(&failed.execution_id, &runs),
            PushEvent::CommitStatusSet(set) => of(&set.execution_id, &runs),
            _ => None,
        };
        let last = runs.len().saturating_sub(1);
        let Some(run) = runs.get_mut(index.unwrap_or(last)) else {
            continue;
        };
        match &recorded.event {
            PushEvent::AttemptFailed(failed) => {
                let error = Outcome::Failed(failed.error.clone());
                run.add(failed.stage.to_string(), at, error, None);
            }
            PushEvent::PushFailed(failed) => {
                if run.has_failed_in(&failed.failure.stage) {
                    run.add("RecordFailure", at, Outcome::Done, None);
                } else {
                    let error = Outcome::Failed(failed.failure.error.clone());
                    run.add(failed.failure.stage.clone(), at, error, None);
                }
                run.end = End::Failed;
            }
            event => {
                let (stage, bytes) = progress.follow(event);
                run.add(stage.to_string(), at, Outcome::Done, bytes);
            }
        }
    }
    if let Some(run) = runs.last_mut().filter(|run| run.end == End::Running) {
        if Category::of(push) == Category::Open {
            run.add(stage_after(push).to_string(), now, Outcome::Running, None);
        } else {
            run.end = End::Done;
        }
    }
    runs
}

/// Returns the events with the times at which they happened, in this order. An attempt that no function could record
/// then has its own time, but is not before its execution.
fn in_order(events: &[RecordedEvent<PushEvent>]) -> Vec<(DateTime<Utc>, &RecordedEvent<PushEvent>)> {
    let mut begun = HashMap::new();
    let mut timed: Vec<_> = events
        .iter()
        .map(|recorded| {
            let at = recorded.recorded_at;
            if let Some(execution) = execution_of(&recorded.event) {
                begun.insert(execution.id.as_str(), at);
            }
            let failed_at = match &recorded.event {
                PushEvent::AttemptFailed(failed) => {
                    let begun = begun.get(failed.execution_id.as_str()).copied();
                    failed
                        .failed_at
                        .map(|failed_at| begun.map_or(failed_at, |begun| failed_at.max(begun)))
                }
                _ => None,
            };
            (failed_at.unwrap_or(at), recorded)
        })
        .collect();
    timed.sort_by_key(|(at, _)| *at);
    timed
}

/// Returns the stage that an open push is in.
pub fn stage_after(push: &PushState) -> Stage {
    let is_decided = push.delivered.is_some()
        || push.superseded.is_some()
        || push.expired.is_some()
        || push.ignored.is_some();
    if is_decided {
        return Stage::Record;
    }
    if push.expire.is_some() {
        return Stage::Expire;
    }
    let Some(deliver) = &push.deliver else {
        return Stage::Validate;
    };
    if push.fetched.is_none() {
        if deliver.rollback.is_some() {
            Stage::FindVersion
        } else {
            Stage::Fetch
        }
    } else if push.archive.is_some() {
        Stage::Upload
    } else if push
        .fetched
        .as_ref()
        .is_some_and(|fetched| fetched.unchanged_since.is_some())
    {
        Stage::Keep
    } else {
        Stage::Package
    }
}

fn execution_of(event: &PushEvent) -> Option<&Execution> {
    match event {
        PushEvent::PushReceived(received) => Some(&received.execution),
        PushEvent::PushRetried(retried) => Some(&retried.execution),
        _ => None,
    }
}

/// What the events until now say, as far as it decides which stage has written the next one.
#[derive(Debug)]
struct Progress {
    archive: Option<u64>,
    /// The stage that decides next whether the push is ignored.
    decides: Stage,
    is_ended: bool,
    is_ended_for_good: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            archive: None,
            decides: Stage::Validate,
            is_ended: false,
            is_ended_for_good: false,
        }
    }
}

impl Progress {
    fn begin_again(&mut self) {
        self.is_ended = self.is_ended_for_good;
    }

    /// Returns the stage that has written an event, and the bytes that it has staged or delivered.
    fn follow(&mut self, event: &PushEvent) -> (Stage, Option<u64>) {
        match event {
            PushEvent::CommitFetched(fetched) => {
                self.decides = Stage::Keep;
                (Stage::Fetch, Some(staged(fetched)))
            }
            PushEvent::ArchivePackaged(archive) => {
                self.archive = Some(archive.object.size);
                self.decides = Stage::Upload;
                (Stage::Package, self.archive)
            }
            PushEvent::VersionFound(found) => {
                self.archive = Some(found.archive.object.size);
                self.decides = Stage::Upload;
                (Stage::FindVersion, None)
            }
            PushEvent::ArchiveUploaded(_) => {
                (self.is_ended, self.is_ended_for_good) = (true, true);
                (Stage::Upload, self.archive)
            }
            // How a push ended is recorded once more if it could not be published.
            PushEvent::PushIgnored(_) | PushEvent::PushSuperseded(_) | PushEvent::PushExpired(_)
                if self.is_ended =>
            {
                (Stage::Record, None)
            }
            PushEvent::PushSuperseded(_) => {
                (self.is_ended, self.is_ended_for_good) = (true, true);
                (self.decides, None)
            }
            PushEvent::PushExpired(_) => {
                (self.is_ended, self.is_ended_for_good) = (true, true);
                (Stage::Expire, None)
            }
            PushEvent::DeletionValidated(_) => {
                self.decides = Stage::Expire;
                (Stage::Validate, None)
            }
            PushEvent::PushIgnored(_) => {
                self.is_ended = true;
                self.archive = None;
                (std::mem::replace(&mut self.decides, Stage::Validate), None)
            }
            PushEvent::PushDelivered(_) => (Stage::Record, None),
            PushEvent::CommitStatusSet(_) => (Stage::Report, None),
            PushEvent::PushValidated(_)
            | PushEvent::PushReceived(_)
            | PushEvent::PushRetried(_)
            | PushEvent::AttemptFailed(_)
            | PushEvent::PushFailed(_) => (Stage::Validate, None),
        }
    }
}

/// Returns how many bytes `Fetch` has staged: the commit's pack, those of its submodules, and LFS objects.
fn staged(fetched: &FetchedCommit) -> u64 {
    let submodules: u64 = fetched
        .submodules
        .iter()
        .map(|submodule| submodule.pack.size)
        .sum();
    fetched.pack.size + submodules + fetched.lfs.map_or(0, |lfs| lfs.bytes)
}

#[cfg(test)]
mod tests;
