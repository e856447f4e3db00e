//! The audit trail: an append-only list of events for each push and each deployment, and the read model that they fold
//! to ([`EventStore`]). That of pushes also keeps the last number of each ref, and a record of each destination
//! ([`PushTrail`]), and that of deployments the slots of environments ([`DeploymentTrail`]). The read models are found
//! by indexes ([`StateIndex`]), which answer what people ask about pushes ([`PushQueries`]).
//!
//! The required methods of all are a thin port of reads and conditional writes. Everything else is provided on top of
//! them, so the trail in memory, which tests use, runs the same algorithms as the one in DynamoDB.

pub mod checkpoints;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod deployments;
mod dynamo;
mod error;
#[cfg(any(test, feature = "conformance"))]
pub mod faulty;
mod lease;
mod memory;
mod queries;
#[cfg(any(test, feature = "conformance"))]
pub mod samples;
mod sources;

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::aggregate::{Aggregate, Circumstances, RecordedEvent};
use domain::cost::Attempt;
use domain::delivered::Delivery;
use domain::destination::Destination;
use domain::git::{ObjectId, RefName, RepositoryPath};
use domain::index::Index;
use domain::order;
use domain::push::{DestinationName, Push, PushId, SourceName, Trigger};
use serde::{Deserialize, Serialize};

pub use deployments::DeploymentTrail;
#[cfg(any(test, feature = "conformance"))]
pub use dynamo::items_of;
pub use dynamo::{Continuation, Difference, DynamoTrail, event_of_image};
pub use error::AuditError;
pub use lease::{DestinationRecord, Lease};
pub use memory::MemoryTrail;
pub use queries::{Filter, Page, PushQueries};
pub use sources::{SourceRef, SourceRefs};

/// The most attempts of a conditional write, if others write at the same time.
pub const MAX_ATTEMPTS: u32 = 8;

/// A store of the events of pushes, or of another kind of aggregate.
pub trait EventStore<A: Aggregate>: Send + Sync {
    /// Returns the events of an aggregate, oldest first. The read is consistent.
    fn events(
        &self,
        id: A::Id,
    ) -> impl Future<Output = Result<Vec<RecordedEvent<A::Event>>, AuditError>> + Send;

    /// Writes the event, the read model, and what the event says was delivered, or none of them. Returns `false` if an
    /// event of this version exists already.
    fn put_event(
        &self,
        event: &RecordedEvent<A::Event>,
        next: &A::State,
    ) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// Returns how long a trail that begins now is kept, or `None` if it is kept for ever.
    fn retention(&self) -> Option<TimeDelta> {
        None
    }

    /// Returns the state that an aggregate's events fold to, or `None` if it has no events.
    fn load(&self, id: A::Id) -> impl Future<Output = Result<Option<A::State>, AuditError>> + Send {
        async move { Ok(A::fold(&self.events(id).await?)?) }
    }

    /// Appends `event` to the events of the aggregate, whose state was `state` before. Returns the state after the
    /// event, or `None` if another writer was first: load the state then, and decide again whether to append anything.
    fn try_append(
        &self,
        state: Option<A::State>,
        event: A::Event,
    ) -> impl Future<Output = Result<Option<A::State>, AuditError>> + Send {
        self.try_append_measured(state, event, None)
    }

    /// Appends `event` as [`EventStore::try_append`] does, with what the attempt has used that records it.
    fn try_append_measured(
        &self,
        state: Option<A::State>,
        event: A::Event,
        attempt: Option<Attempt>,
    ) -> impl Future<Output = Result<Option<A::State>, AuditError>> + Send {
        async move {
            let version = state.as_ref().map_or(0, A::version) + 1;
            let previous = state.as_ref().and_then(A::head).cloned();
            let now = Utc::now();
            let circumstances = Circumstances {
                expires_at: match &state {
                    Some(state) => A::expires_at(state),
                    None => self.retention().map(|retention| (now + retention).timestamp()),
                },
                attempt,
                total: A::total(state.as_ref(), &event, attempt, now),
            };
            let recorded = RecordedEvent::new(version, previous, now, event)?.with(circumstances)?;
            let next = A::follow(state, &recorded)?;
            Ok(self.put_event(&recorded, &next).await?.then_some(next))
        }
    }

    /// Appends the event that `choose` returns for the state of an aggregate, or nothing if it returns `None`. `choose`
    /// is called again with the new state each time that another writer was first. Returns the state in the end, and
    /// whether an event was appended.
    fn append<F>(
        &self,
        id: A::Id,
        choose: F,
    ) -> impl Future<Output = Result<(Option<A::State>, bool), AuditError>> + Send
    where
        F: Fn(Option<&A::State>) -> Option<A::Event> + Send + Sync,
    {
        async move {
            for attempt in 0..MAX_ATTEMPTS {
                let state = self.load(id).await?;
                let Some(event) = choose(state.as_ref()) else {
                    return Ok((state, false));
                };
                if let Some(next) = self.try_append(state, event).await? {
                    return Ok((Some(next), true));
                }
                tokio::time::sleep(backoff(attempt)).await;
            }
            Err(AuditError::contended::<A>(id))
        }
    }
}

/// Which sort keys of a partition of an index are asked for.
#[derive(Debug, Clone, Copy)]
pub enum SortKeys<'a> {
    /// All of them.
    All,
    /// Those before this one.
    Before(&'a str),
    /// Those that begin with this.
    StartingWith(&'a str),
}

impl SortKeys<'_> {
    /// Returns whether a sort key is asked for.
    #[must_use]
    pub fn contain(&self, sort: &str) -> bool {
        match self {
            Self::All => true,
            Self::Before(before) => sort < *before,
            Self::StartingWith(start) => sort.starts_with(start),
        }
    }
}

/// The indexes of the read models.
pub trait StateIndex<A: Aggregate>: Send + Sync {
    /// Returns the states that an index has in a partition, the last sort key first, and at most `limit` of them. What
    /// was written a moment ago may be missing, or be as it was before.
    fn find(
        &self,
        index: Index,
        partition: &str,
        sort: SortKeys<'_>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<A::State>, AuditError>> + Send;
}

/// What pushes have delivered.
pub trait Deliveries: Send + Sync {
    /// Returns what a push has delivered, or `None` if it is not closed as delivered. The read is consistent.
    fn delivered(&self, push_id: PushId)
    -> impl Future<Output = Result<Option<Delivery>, AuditError>> + Send;
}

/// The audit trail of pushes: their events, the numbers of each ref, and the records of destinations.
pub trait PushTrail: EventStore<Push> {
    /// Returns the last numbered push of a ref, or `None` if there is none.
    fn last_push(&self, key: &RefKey) -> impl Future<Output = Result<Option<LastPush>, AuditError>> + Send;

    /// Replaces `before` by `next`, also among the refs of its source ([`SourceRefs`]). Returns `false` if the last
    /// push in the trail has another number than `before`.
    fn replace_last_push(
        &self,
        key: &RefKey,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// Returns the record of a destination, or `None` if nothing was ever delivered to it.
    fn destination(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<Option<DestinationRecord>, AuditError>> + Send;

    /// Writes the record of a destination, if its version is one more than that in the trail. Returns `false`
    /// otherwise.
    fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// Gives the push a number among the pushes of its ref. The same push gets the same number again, unless another
    /// push of the ref has been numbered since.
    fn number(&self, push: &Push) -> impl Future<Output = Result<u64, AuditError>> + Send {
        async move {
            let key = RefKey::of(push);
            for attempt in 0..MAX_ATTEMPTS {
                let last = self.last_push(&key).await?;
                if let Some(last) = &last
                    && last.push_id == push.push_id
                {
                    return Ok(last.sequence);
                }
                let next = LastPush::after(last.as_ref(), push);
                if self.replace_last_push(&key, last.as_ref(), &next).await? {
                    return Ok(next.sequence);
                }
                tokio::time::sleep(backoff(attempt)).await;
            }
            Err(AuditError::Contended {
                item: key.to_string(),
            })
        }
    }

    /// Acquires the lease of a destination, which nobody else can have until it is released or expires. Waits some
    /// seconds for another holder.
    fn acquire(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<DestinationRecord, AuditError>> + Send {
        lease::acquire(self, destination)
    }

    /// Releases the lease, and writes the destination's record.
    fn release(
        &self,
        destination: &Destination,
        record: DestinationRecord,
    ) -> impl Future<Output = Result<(), AuditError>> + Send {
        lease::release(self, destination, record)
    }
}

/// A ref of a source's repository, as one destination of the source has it. Its pushes share one sequence of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RefKey {
    source: SourceName,
    repository: RepositoryPath,
    ref_name: RefName,
    destination: Option<DestinationName>,
}

impl RefKey {
    /// Creates the key of a ref.
    #[must_use]
    pub fn new(
        source: &SourceName,
        repository: &RepositoryPath,
        ref_name: &RefName,
        destination: Option<&DestinationName>,
    ) -> Self {
        Self {
            source: source.clone(),
            repository: repository.clone(),
            ref_name: ref_name.clone(),
            destination: destination.cloned(),
        }
    }

    /// Returns the ref of `push`.
    #[must_use]
    pub fn of(push: &Push) -> Self {
        Self::new(
            &push.source,
            &push.repository,
            &push.ref_name,
            push.destination.as_ref(),
        )
    }
}

impl std::fmt::Display for RefKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "REF#{}#{}#{}",
            self.source, self.repository, self.ref_name
        )?;
        // No name of a ref has a colon.
        match &self.destination {
            Some(destination) => write!(formatter, ":{destination}"),
            None => Ok(()),
        }
    }
}

/// The last numbered push of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPush {
    /// Its number.
    pub sequence: u64,
    /// The push.
    pub push_id: PushId,
    /// What the ref pointed to before the push.
    pub before: Option<ObjectId>,
    /// What the ref pointed to after the push.
    pub after: Option<ObjectId>,
    /// The number of the last push that deleted the ref, if any.
    #[serde(default)]
    pub last_deletion: Option<u64>,
    /// The URLs to clone the repository that the push came with.
    #[serde(default)]
    pub clone_urls: Vec<String>,
}

impl LastPush {
    /// Numbers `push` as the one after `last`. A rollback has a number too, but does not move the ref.
    fn after(last: Option<&Self>, push: &Push) -> Self {
        let sequence = order::next_sequence(last.map(|last| last.sequence), Utc::now());
        let last_deletion = match push.after {
            None => Some(sequence),
            Some(_) => last.and_then(|last| last.last_deletion),
        };
        let (before, after) = match last {
            Some(last) if push.trigger == Trigger::Rollback => (&last.before, &last.after),
            _ => (&push.before, &push.after),
        };
        Self {
            sequence,
            push_id: push.push_id,
            before: before.clone(),
            after: after.clone(),
            last_deletion,
            clone_urls: push.clone_urls.clone(),
        }
    }
}

/// Returns how long to wait after a conditional write that another writer has won.
pub fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(20 << attempt)
}

#[cfg(test)]
mod tests;
