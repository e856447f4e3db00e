//! The table of the audit trail: the trail in memory, whose reads and conditional writes take time and fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit::{AuditError, DestinationRecord, EventStore, LastPush, Lease, MemoryTrail, PushTrail, RefKey};
use chrono::{DateTime, TimeDelta, Utc};
use domain::aggregate::RecordedEvent;
use domain::destination::Destination;
use domain::event::PushEvent;
use domain::push::{Push, PushId};
use domain::state::PushState;

use crate::core::{Core, OF_CONDITIONAL_WRITES, OF_IDEMPOTENT_WRITES, OF_READS, Trouble};
use crate::scheduler::{TaskId, lock};
use crate::weather::Port;

/// The table of the audit trail.
#[derive(Debug)]
pub struct Trail {
    core: Arc<Core>,
    items: MemoryTrail,
    models: Mutex<BTreeMap<PushId, PushState>>,
    leases: Mutex<BTreeMap<String, Taken>>,
}

/// A lease by the simulated clock. The lease in the item is by the real clock, by which a history takes no time.
#[derive(Debug)]
struct Taken {
    holder: TaskId,
    until: Duration,
}

impl Trail {
    /// Creates an empty table.
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            items: MemoryTrail::default(),
            models: Mutex::default(),
            leases: Mutex::default(),
        }
    }

    /// Returns the events of a push, oldest first.
    pub fn events_of(&self, push_id: PushId) -> Vec<RecordedEvent<PushEvent>> {
        self.items.events_of(push_id)
    }

    /// Returns the read model of a push, or `None` if it has none.
    pub fn model_of(&self, push_id: PushId) -> Option<PushState> {
        lock(&self.models).get(&push_id).cloned()
    }

    /// Returns whether the current task holds the lease of a destination.
    pub fn is_leased_to_caller(&self, destination: &Destination) -> bool {
        lock(&self.leases)
            .get(&destination.to_string())
            .is_some_and(|taken| taken.holder == self.core.turn.id() && taken.until > self.core.now())
    }

    /// Returns when the lease of a destination expires, by the real clock of its readers, or `None` if nobody has it.
    fn leased_until(&self, destination: &Destination) -> Option<DateTime<Utc>> {
        let leases = lock(&self.leases);
        let taken = leases.get(&destination.to_string())?;
        let left = taken.until.saturating_sub(self.core.now()).as_secs();
        Some(match left {
            0 => Utc::now() - TimeDelta::seconds(1),
            left => Utc::now() + TimeDelta::seconds(left.try_into().unwrap_or(i64::MAX)),
        })
    }

    /// Remembers who has the lease of a destination, and until when by the simulated clock.
    fn set_lease(&self, destination: &Destination, lease: Option<&Lease>) {
        let mut leases = lock(&self.leases);
        let name = destination.to_string();
        match lease {
            Some(lease) => {
                let seconds = (lease.until - Utc::now()).as_seconds_f64();
                let taken = Taken {
                    holder: self.core.turn.id(),
                    until: self.core.now() + Duration::from_secs_f64(seconds.max(0.0).round()),
                };
                leases.insert(name, taken);
            }
            None => drop(leases.remove(&name)),
        }
    }

    fn failed(trouble: Trouble) -> AuditError {
        let (table, source) = ("simulated".to_owned(), trouble.failure("dynamodb:Simulated"));
        if source.transient {
            AuditError::Unavailable { table, source }
        } else {
            AuditError::Refused { table, source }
        }
    }

    async fn put(&self, event: &RecordedEvent<PushEvent>, next: &PushState) -> Result<bool, AuditError> {
        let is_next = self.items.put_event(event, next).await?;
        if is_next {
            let mut models = lock(&self.models);
            let push_id = next.push_id();
            self.check_writer(models.get(&push_id), &event.event);
            models.insert(push_id, next.clone());
        }
        Ok(is_next)
    }

    /// Checks that no stage records its output for an execution that is over.
    fn check_writer(&self, before: Option<&PushState>, event: &PushEvent) {
        let label = self.core.turn.label();
        let (Some(execution), Some(before)) = (&label.execution, before) else {
            return;
        };
        if is_output(before, event) && before.is_over_for(execution) {
            let name = event.name();
            self.core
                .is_wrong(format!("{execution} is over, and has written {name}"));
        }
    }
}

/// Returns whether an event is the output of a stage. The others are written by the runner of stages, and by `Record`
/// and `Report`, which decide by themselves what they do for an execution that is over.
fn is_output(before: &PushState, event: &PushEvent) -> bool {
    match event {
        PushEvent::PushValidated(_)
        | PushEvent::DeletionValidated(_)
        | PushEvent::CommitFetched(_)
        | PushEvent::ArchivePackaged(_)
        | PushEvent::VersionFound(_)
        | PushEvent::ArchiveUploaded(_) => true,
        // `Record` writes these once more if the execution has failed since a stage wrote them.
        PushEvent::PushIgnored(_) => before.ignored.is_none(),
        PushEvent::PushSuperseded(_) => before.superseded.is_none(),
        PushEvent::PushExpired(_) => before.expired.is_none(),
        PushEvent::PushReceived(_)
        | PushEvent::PushRetried(_)
        | PushEvent::PushDelivered(_)
        | PushEvent::AttemptFailed(_)
        | PushEvent::PushFailed(_)
        | PushEvent::CommitStatusSet(_) => false,
    }
}

impl EventStore<Push> for Trail {
    async fn events(&self, push_id: PushId) -> Result<Vec<RecordedEvent<PushEvent>>, AuditError> {
        let what = || "reads the trail".to_owned();
        let fate = self
            .core
            .call(Port::Trail, OF_READS, what)
            .await
            .map_err(Self::failed)?;
        let events = self.events_of(push_id);
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(events)
    }

    async fn put_event(
        &self,
        event: &RecordedEvent<PushEvent>,
        next: &PushState,
    ) -> Result<bool, AuditError> {
        let what = || format!("writes {} as event {}", event.event.name(), event.version);
        let fate = self.core.call(Port::Trail, OF_IDEMPOTENT_WRITES, what).await;
        let fate = fate.map_err(Self::failed)?;
        let is_next = !fate.is_refused() && self.put(event, next).await?;
        if !is_next {
            self.core.say(|| "somebody else was first".to_owned());
        }
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(is_next)
    }
}

impl PushTrail for Trail {
    async fn last_push(&self, key: &RefKey) -> Result<Option<LastPush>, AuditError> {
        let what = || "reads the last number".to_owned();
        let fate = self
            .core
            .call(Port::Trail, OF_READS, what)
            .await
            .map_err(Self::failed)?;
        let last = self.items.last_push(key).await?;
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(last)
    }

    async fn replace_last_push(
        &self,
        key: &RefKey,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> Result<bool, AuditError> {
        let what = || "takes the next number".to_owned();
        let fate = self.core.call(Port::Trail, OF_CONDITIONAL_WRITES, what).await;
        let fate = fate.map_err(Self::failed)?;
        let is_there = !fate.is_refused() && self.items.replace_last_push(key, before, next).await?;
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(is_there && !fate.meets_itself())
    }

    async fn destination(&self, destination: &Destination) -> Result<Option<DestinationRecord>, AuditError> {
        let what = || "reads the destination's record".to_owned();
        let fate = self
            .core
            .call(Port::Trail, OF_READS, what)
            .await
            .map_err(Self::failed)?;
        let mut record = self.items.destination(destination).await?;
        if let Some(lease) = record.as_mut().and_then(|record| record.lease.as_mut())
            && let Some(until) = self.leased_until(destination)
        {
            lease.until = until;
        }
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(record)
    }

    async fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> Result<bool, AuditError> {
        let what = || match &next.lease {
            Some(_) => "takes the lease".to_owned(),
            None => "gives the lease back".to_owned(),
        };
        let fate = self.core.call(Port::Trail, OF_CONDITIONAL_WRITES, what).await;
        let fate = fate.map_err(Self::failed)?;
        let is_next = !fate.is_refused() && self.items.put_destination(destination, next).await?;
        if is_next {
            self.set_lease(destination, next.lease.as_ref());
        } else {
            self.core.say(|| "somebody else was first".to_owned());
        }
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(is_next && !fate.meets_itself())
    }
}
