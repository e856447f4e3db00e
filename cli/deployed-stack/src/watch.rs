//! Events of pushes as they happen, from the stream of the trail's table.
//!
//! The stream has what is written to the table, so nobody asks the table whether there is something new. Each event of
//! a trail has the number after that of the event before it. An event with another number, and the first event of a
//! push that had begun before, is a reason to read the trail of that push once.

mod shards;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use audit::{AuditError, DynamoTrail, EventStore as _, event_of_image};
use aws::AwsFailure;
use aws_sdk_dynamodbstreams::types::{OperationType, Record};
use chrono::SecondsFormat;
use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::event::{PushEvent, PushFailed};
use domain::git::{RefName, RepositoryPath};
use domain::push::{Push, PushId, SourceName};
use domain::push_index::Category;
use domain::state::PushState;
use shell::output::one_line;
use shell::progress::Progress;

use self::shards::Shards;
use self::stream::TableStream;
use crate::trail::{self, measured, short, summary};
use crate::{Error, Stack, login, remedy};

/// The wait after records were read. DynamoDB allows five readings of a shard a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);

/// The first and the longest wait while nothing comes.
const IDLE_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// The longest wait after an error.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The most errors in a row.
const MAX_FAILURES: u32 = 10;

/// How long a push may take to begin. The webhook's response, which has its id, comes before its first event.
const BEGINNING: Duration = Duration::from_secs(15);

/// The output that names the stream.
const STREAM: &str = "TableStreamArn";

/// An event of a push.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedEvent {
    /// The push.
    pub push_id: PushId,
    /// Its source.
    pub source: SourceName,
    /// Its repository.
    pub repository: RepositoryPath,
    /// Its ref.
    pub ref_name: RefName,
    /// What has happened.
    pub recorded: RecordedEvent<PushEvent>,
}

/// The events of pushes from now on.
#[derive(Debug)]
pub struct Watch {
    stack: String,
    shards: Shards<TableStream>,
    trail: DynamoTrail,
    progress: Progress,
    /// The push that alone is watched, or `None` if all are.
    only: Option<PushId>,
    /// All that were seen, which take some hundred bytes each.
    pushes: HashMap<PushId, Seen>,
    /// What was read, and not looked at yet.
    records: VecDeque<Record>,
    wait: Duration,
    failures: u32,
}

/// What is known of a push.
#[derive(Debug, Clone)]
struct Seen {
    source: SourceName,
    repository: RepositoryPath,
    ref_name: RefName,
    /// The number of its last event.
    version: u64,
}

impl Watch {
    /// Begins to watch the pushes of a stack.
    ///
    /// # Errors
    /// Returns [`Error::StreamMissing`] if the stack was deployed by an earlier version, or an error if the stream
    /// cannot be read.
    pub async fn begin(stack: &Stack, progress: Progress) -> Result<Self, Error> {
        let arn = stack.output(STREAM).map_err(|_| Error::StreamMissing {
            stack: stack.name().to_owned(),
        })?;
        let stream = TableStream::new(stack.config(), arn.to_owned());
        let failed = |failure| cannot_watch(stack.name(), &failure);
        let mut shards = Shards::open(stream).await.map_err(failed)?;
        // With this, what happens from now on is read in any case.
        let mut records = Vec::new();
        shards.read(&mut records).await.map_err(failed)?;
        Ok(Self {
            stack: stack.name().to_owned(),
            trail: stack.trail()?,
            shards,
            progress,
            only: None,
            pushes: HashMap::new(),
            records: records.into(),
            wait: IDLE_WAITS[0],
            failures: 0,
        })
    }

    /// Returns the next events. It waits for them, for ever if there are none.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read, or is turned off.
    pub async fn next(&mut self) -> Result<Vec<WatchedEvent>, Error> {
        loop {
            while let Some(record) = self.records.pop_front() {
                let events = self.events_of(record).await?;
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            tokio::time::sleep(self.wait).await;
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let mut records = Vec::new();
        let read = self.shards.read(&mut records).await;
        let is_idle = records.is_empty();
        self.records.extend(records);
        match read {
            Ok(()) if self.shards.are_over() && is_idle => {
                return Err(Error::StreamOver {
                    stack: self.stack.clone(),
                });
            }
            Ok(()) => {
                self.failures = 0;
                self.wait = if is_idle {
                    (self.wait * 3 / 2).clamp(IDLE_WAITS[0], IDLE_WAITS[1])
                } else {
                    SHORTEST_WAIT
                };
            }
            Err(failure) if failure.transient && self.failures < MAX_FAILURES => {
                if self.failures == 0 {
                    let text = format!("The stream does not respond, and is read again: {failure}");
                    self.progress.line(&text);
                }
                self.wait = (IDLE_WAITS[0] * 2_u32.pow(self.failures)).min(LONGEST_WAIT);
                self.failures += 1;
            }
            Err(failure) => return Err(cannot_watch(&self.stack, &failure)),
        }
        Ok(())
    }

    /// Returns what a record of the stream says of pushes, with what it shows to be missing.
    async fn events_of(&mut self, record: Record) -> Result<Vec<WatchedEvent>, Error> {
        // An event is never changed, and what is removed has happened.
        if record.event_name != Some(OperationType::Insert) {
            return Ok(Vec::new());
        }
        let Some(image) = record.dynamodb.and_then(|change| change.new_image) else {
            return Ok(Vec::new());
        };
        match event_of_image::<Push>(serde_dynamo::Item::from(image)) {
            Ok(Some((push_id, recorded))) if self.only.is_none_or(|only| only == push_id) => {
                self.place(push_id, recorded).await
            }
            Ok(_) => Ok(Vec::new()),
            Err(error) => {
                self.warn(&error);
                Ok(Vec::new())
            }
        }
    }

    /// Returns an event, after those before it that were not seen.
    async fn place(
        &mut self,
        push_id: PushId,
        recorded: RecordedEvent<PushEvent>,
    ) -> Result<Vec<WatchedEvent>, Error> {
        let seen = self.pushes.get(&push_id).map(|seen| seen.version);
        let events = match (seen, &recorded.event) {
            (Some(version), _) if recorded.version <= version => return Ok(Vec::new()),
            (Some(version), _) if recorded.version == version + 1 => vec![recorded],
            (None, PushEvent::PushReceived(received)) => {
                self.pushes.insert(push_id, Seen::of(&received.push));
                vec![recorded]
            }
            (seen, _) => {
                let from = seen.map_or(recorded.version, |version| version + 1);
                let events = match self.trail.events(push_id).await {
                    Ok(events) => events,
                    Err(error @ (AuditError::Unreadable { .. } | AuditError::Illegal(_))) => {
                        self.warn(&error);
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(Error::audit(format!("read the trail of {push_id}"))(error)),
                };
                self.know(push_id, &events);
                events.into_iter().filter(|event| event.version >= from).collect()
            }
        };
        Ok(self.watched(push_id, events))
    }

    /// Remembers what a push is about, by its first event.
    fn know(&mut self, push_id: PushId, events: &[RecordedEvent<PushEvent>]) {
        if let Some(PushEvent::PushReceived(received)) = events.first().map(|first| &first.event) {
            let seen = Seen::of(&received.push);
            self.pushes.entry(push_id).or_insert(seen);
        }
    }

    fn watched(&mut self, push_id: PushId, events: Vec<RecordedEvent<PushEvent>>) -> Vec<WatchedEvent> {
        let Some(seen) = self.pushes.get_mut(&push_id) else {
            return Vec::new();
        };
        let watched = events.into_iter().map(|recorded| {
            seen.version = recorded.version;
            WatchedEvent {
                push_id,
                source: seen.source.clone(),
                repository: seen.repository.clone(),
                ref_name: seen.ref_name.clone(),
                recorded,
            }
        });
        watched.collect()
    }

    fn warn(&self, error: &AuditError) {
        let text = format!("An event is left out: {}", aws::failure::chain(error));
        self.progress.line(&text);
    }
}

impl Seen {
    fn of(push: &Push) -> Self {
        Self {
            source: push.source.clone(),
            repository: push.repository.clone(),
            ref_name: push.ref_name.clone(),
            version: 0,
        }
    }
}

/// Follows a push until it is closed, and calls `on` with each of its events, also with those that it has already.
/// Returns the push in the end, or `None` if there is no push of this id.
///
/// # Errors
/// Returns what [`Watch::begin`] and [`Watch::next`] do, [`Error::Trail`] if an event cannot follow the others, and
/// what `on` returns.
pub async fn follow<E: From<Error>>(
    stack: &Stack,
    push_id: PushId,
    progress: Progress,
    mut on: impl FnMut(&WatchedEvent) -> Result<(), E>,
) -> Result<Option<PushState>, E> {
    // Before the trail is read, so that no event is between the trail and the stream.
    let mut watch = Watch::begin(stack, progress).await?;
    watch.only = Some(push_id);
    let begun = trail::read(&watch.trail, push_id).await?.events;
    if begun.is_empty() {
        progress.line(&format!("Waiting for the first event of the push {push_id}"));
    }
    watch.know(push_id, &begun);
    let mut events = watch.watched(push_id, begun);
    let mut push: Option<PushState> = None;
    loop {
        for event in &events {
            on(event)?;
            let next = Push::follow(push, &event.recorded).map_err(|illegal| Error::Trail {
                push_id: push_id.to_string(),
                message: illegal.to_string(),
            })?;
            push = Some(next);
        }
        if push.as_ref().is_some_and(is_closed) {
            return Ok(push);
        }
        events = if push.is_some() {
            watch.next().await?
        } else {
            match tokio::time::timeout(BEGINNING, watch.next()).await {
                Ok(events) => events?,
                Err(_) => return Ok(None),
            }
        };
    }
}

fn is_closed(push: &PushState) -> bool {
    Category::of(push) != Category::Open
}

fn cannot_watch(stack: &str, failure: &AwsFailure) -> Error {
    if let Some(error) = failure.code.as_deref().and_then(login::error_of) {
        return error;
    }
    let remedy = match failure.code.as_deref() {
        Some("AccessDeniedException") => {
            "; it takes dynamodb:DescribeStream, dynamodb:GetShardIterator and dynamodb:GetRecords on the table's stream"
        }
        Some("ResourceNotFoundException") => {
            "; deploy the stack again if its table's stream was turned off (`push-code deploy`)"
        }
        _ => "",
    };
    Error::Aws {
        action: format!("watch the pushes of the stack {stack}"),
        message: format!("{failure}{remedy}"),
    }
}

impl WatchedEvent {
    /// Returns the event as one line, with its time, the push, and what matters of it.
    #[must_use]
    pub fn line(&self) -> String {
        let Self {
            push_id, recorded, ..
        } = self;
        let (before, after) = self.context();
        format!(
            "{}  {}  {} {}  {:<16}  {before}{}{}{}",
            recorded.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            short(&push_id.to_string()),
            one_line(self.repository.as_str()),
            one_line(self.ref_name.short()),
            recorded.event.name(),
            one_line(&summary(&recorded.event)),
            measured(recorded),
            one_line(&after),
        )
    }

    /// Returns what is to be known besides the summary of the event, before and after it.
    fn context(&self) -> (String, String) {
        let none = String::new;
        let failed = |error: &str, cause: &str| format!(": {cause}{}", remedy(error, cause));
        match &self.recorded.event {
            // Other commands take whole ids.
            PushEvent::PushReceived(_) => (format!("{}: ", self.push_id), none()),
            PushEvent::PushSuperseded(superseded) => (format!("by {}: ", superseded.by), none()),
            PushEvent::AttemptFailed(attempt) => (none(), failed(&attempt.error, &attempt.cause)),
            PushEvent::PushFailed(PushFailed { failure, .. }) => {
                (none(), failed(&failure.error, &failure.cause))
            }
            _ => (none(), none()),
        }
    }

    /// Returns what to do about an event that something has failed, or `None` if nothing has.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match &self.recorded.event {
            PushEvent::AttemptFailed(failed) => Some(domain::error::remedy(&failed.error)),
            PushEvent::PushFailed(failed) => Some(domain::error::remedy(&failed.failure.error)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
