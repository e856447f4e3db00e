//! The audit trail: an append-only list of events for each push, and the read model that they fold to. Beside them stand
//! the number of each ref's last push, and what is known of each destination.
//!
//! [`AuditTrail`] has a thin port, of reads and of writes that happen on a condition, and all that follows from these:
//! so the trail in memory, which tests use, decides as the one in DynamoDB does.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod dynamo;
mod error;
#[cfg(any(test, feature = "conformance"))]
pub mod faulty;
mod lease;
mod memory;
#[cfg(any(test, feature = "conformance"))]
pub mod samples;

use std::time::Duration;

use chrono::Utc;
use domain::destination::Destination;
use domain::event::{PushEvent, RecordedEvent, SCHEMA};
use domain::git::{ObjectId, RefName, RepositoryPath};
use domain::order;
use domain::push::{Push, PushId, SourceName};
use domain::state::{self, PushState};
use serde::{Deserialize, Serialize};

pub use dynamo::DynamoTrail;
pub use error::AuditError;
pub use lease::{DestinationRecord, Lease};
pub use memory::MemoryTrail;

/// How often a conditional write is tried where others write too.
pub const MAX_ATTEMPTS: u32 = 8;

/// Where events are written down.
pub trait AuditTrail: Send + Sync {
    /// The events of a push, the first one first, read consistently.
    fn events(&self, push_id: PushId) -> impl Future<Output = Result<Vec<RecordedEvent>, AuditError>> + Send;

    /// Writes the event and the read model, or neither. `false` if there is an event of this version.
    fn put_event(
        &self,
        event: &RecordedEvent,
        next: &PushState,
    ) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// The last numbered push of a ref. `None` if it has none.
    fn last_push(&self, key: &RefKey) -> impl Future<Output = Result<Option<LastPush>, AuditError>> + Send;

    /// Replaces `before` by `next`. `false` if something else is there.
    fn replace_last_push(
        &self,
        key: &RefKey,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// What is known of a destination. `None` if nothing was ever delivered to it.
    fn destination(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<Option<DestinationRecord>, AuditError>> + Send;

    /// Writes what is known of a destination, if its version is one more than what is there. `false` if it is not.
    fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> impl Future<Output = Result<bool, AuditError>> + Send;

    /// The state that a push's events fold to. `None` if it has none.
    fn load(&self, push_id: PushId) -> impl Future<Output = Result<Option<PushState>, AuditError>> + Send {
        async move { Ok(state::fold(&self.events(push_id).await?)?) }
    }

    /// Writes down that `event` has happened to the push whose `state` this was, and gives the state after it.
    /// `None` if somebody else has written in between: load the state, and see whether there is still something to say.
    fn try_append(
        &self,
        state: Option<PushState>,
        event: PushEvent,
    ) -> impl Future<Output = Result<Option<PushState>, AuditError>> + Send {
        async move {
            let recorded = RecordedEvent {
                version: state.as_ref().map_or(0, |state| state.version) + 1,
                schema: SCHEMA,
                recorded_at: Utc::now(),
                event,
            };
            let next = state::apply(state, &recorded)?;
            Ok(self.put_event(&recorded, &next).await?.then_some(next))
        }
    }

    /// Writes down what `choose` has to say of a push's state, however many others write at the same time. `choose` is asked
    /// again each time that somebody else was first; `None` means that there is nothing to say. Gives the state after it,
    /// and whether anything was written.
    fn append<F>(
        &self,
        push_id: PushId,
        choose: F,
    ) -> impl Future<Output = Result<(Option<PushState>, bool), AuditError>> + Send
    where
        F: Fn(Option<&PushState>) -> Option<PushEvent> + Send + Sync,
    {
        async move {
            for attempt in 0..MAX_ATTEMPTS {
                let state = self.load(push_id).await?;
                let Some(event) = choose(state.as_ref()) else {
                    return Ok((state, false));
                };
                if let Some(next) = self.try_append(state, event).await? {
                    return Ok((Some(next), true));
                }
                tokio::time::sleep(backoff(attempt)).await;
            }
            Err(AuditError::Contended {
                item: format!("PUSH#{push_id}"),
            })
        }
    }

    /// Gives the push its number among the pushes of its ref. The same push gets the same number again for as long as no
    /// other push of the ref has come.
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

    /// Takes the lease of a destination: until it is released or expires, nobody else has it. Waits for others some
    /// seconds.
    fn acquire(
        &self,
        destination: &Destination,
    ) -> impl Future<Output = Result<DestinationRecord, AuditError>> + Send {
        lease::acquire(self, destination)
    }

    /// Gives the lease back. What is known of the destination is written with it.
    fn release(
        &self,
        destination: &Destination,
        record: DestinationRecord,
    ) -> impl Future<Output = Result<(), AuditError>> + Send {
        lease::release(self, destination, record)
    }
}

/// A ref of a repository of a source, whose pushes are numbered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RefKey {
    source: SourceName,
    repository: RepositoryPath,
    ref_name: RefName,
}

impl RefKey {
    /// The ref that `push` is of.
    #[must_use]
    pub fn of(push: &Push) -> Self {
        Self {
            source: push.source.clone(),
            repository: push.repository.clone(),
            ref_name: push.ref_name.clone(),
        }
    }
}

impl std::fmt::Display for RefKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "REF#{}#{}#{}",
            self.source, self.repository, self.ref_name
        )
    }
}

/// The last numbered push of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPush {
    /// Its number.
    pub sequence: u64,
    /// The push.
    pub push_id: PushId,
    /// What the ref pointed to before it.
    pub before: Option<ObjectId>,
    /// What it pointed to after it.
    pub after: Option<ObjectId>,
    /// The number of the last push that deleted the ref. `None` if none has.
    #[serde(default)]
    pub last_deletion: Option<u64>,
}

impl LastPush {
    /// `push` as the one after `last`.
    fn after(last: Option<&Self>, push: &Push) -> Self {
        let sequence = order::next_sequence(last.map(|last| last.sequence), Utc::now());
        let last_deletion = match push.after {
            None => Some(sequence),
            Some(_) => last.and_then(|last| last.last_deletion),
        };
        Self {
            sequence,
            push_id: push.push_id,
            before: push.before.clone(),
            after: push.after.clone(),
            last_deletion,
        }
    }
}

/// How long to wait after a conditional write that was lost to somebody else.
pub fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(20 << attempt)
}

#[cfg(test)]
mod tests;
