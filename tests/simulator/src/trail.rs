//! The table of the audit trail in memory. Everything above its reads and conditional writes is the trait's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit::{AuditError, DestinationRecord, EventStore, LastPush, PushTrail, RefKey};
use chrono::{TimeDelta, Utc};
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
    items: Mutex<Items>,
}

#[derive(Debug, Default)]
struct Items {
    pushes: BTreeMap<PushId, Vec<RecordedEvent<PushEvent>>>,
    models: BTreeMap<PushId, PushState>,
    last_pushes: BTreeMap<String, LastPush>,
    destinations: BTreeMap<String, DestinationRecord>,
    leases: BTreeMap<String, Taken>,
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
            items: Mutex::default(),
        }
    }

    /// Returns the events of a push, oldest first.
    pub fn events_of(&self, push_id: PushId) -> Vec<RecordedEvent<PushEvent>> {
        lock(&self.items)
            .pushes
            .get(&push_id)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the read model of a push, or `None` if it has none.
    pub fn model_of(&self, push_id: PushId) -> Option<PushState> {
        lock(&self.items).models.get(&push_id).cloned()
    }

    /// Returns whether the current task holds the lease of a destination.
    pub fn is_leased_to_caller(&self, destination: &Destination) -> bool {
        let items = lock(&self.items);
        items
            .leases
            .get(&name_of(destination))
            .is_some_and(|taken| taken.holder == self.core.turn.id() && taken.until > self.core.now())
    }

    fn failed(trouble: Trouble) -> AuditError {
        let (table, source) = ("simulated".to_owned(), trouble.failure("dynamodb:Simulated"));
        if source.transient {
            AuditError::Unavailable { table, source }
        } else {
            AuditError::Refused { table, source }
        }
    }

    fn put(&self, event: &RecordedEvent<PushEvent>, next: &PushState) -> bool {
        let mut items = lock(&self.items);
        let items = &mut *items;
        let push_id = next.push_id();
        let events = items.pushes.entry(push_id).or_default();
        if events.len() as u64 + 1 != event.version {
            return false;
        }
        self.check_writer(items.models.get(&push_id), &event.event);
        events.push(event.clone());
        items.models.insert(push_id, next.clone());
        true
    }

    /// Checks that no stage records its output for an execution that is over.
    fn check_writer(&self, before: Option<&PushState>, event: &PushEvent) {
        let is_work = matches!(
            event,
            PushEvent::PushValidated(_)
                | PushEvent::CommitFetched(_)
                | PushEvent::ArchivePackaged(_)
                | PushEvent::ArchiveUploaded(_)
        );
        let label = self.core.turn.label();
        let Some(execution) = label.execution.as_ref().filter(|_| is_work) else {
            return;
        };
        if before.is_some_and(|state| state.is_over_for(execution)) {
            let name = event.name();
            self.core
                .is_wrong(format!("{execution} is over, and has written {name}"));
        }
    }
}

fn name_of(destination: &Destination) -> String {
    format!("{}/{}", destination.bucket, destination.key)
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
        let is_next = !fate.is_refused() && self.put(event, next);
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
        let last = lock(&self.items).last_pushes.get(&key.to_string()).cloned();
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
        let is_there = {
            let mut items = lock(&self.items);
            let number = |last: &LastPush| last.sequence;
            let there = items.last_pushes.get(&key.to_string()).map(number);
            let is_there = !fate.is_refused() && there == before.map(number);
            if is_there {
                items.last_pushes.insert(key.to_string(), next.clone());
            }
            is_there
        };
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
        let record = {
            let items = lock(&self.items);
            let name = name_of(destination);
            let mut record = items.destinations.get(&name).cloned();
            if let Some(lease) = record.as_mut().and_then(|record| record.lease.as_mut())
                && let Some(taken) = items.leases.get(&name)
            {
                // The remaining simulated time, converted to the real clock of the reader.
                let now = self.core.now();
                let left = taken.until.saturating_sub(now).as_secs();
                lease.until = match left {
                    0 => Utc::now() - TimeDelta::seconds(1),
                    left => Utc::now() + TimeDelta::seconds(left.try_into().unwrap_or(i64::MAX)),
                };
            }
            record
        };
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
        let is_next = {
            let mut items = lock(&self.items);
            let name = name_of(destination);
            let version = items.destinations.get(&name).map_or(0, |record| record.version);
            let is_next = !fate.is_refused() && version + 1 == next.version;
            if is_next {
                let seconds = next
                    .lease
                    .as_ref()
                    .map(|lease| (lease.until - Utc::now()).as_seconds_f64());
                match seconds {
                    Some(seconds) => {
                        let taken = Taken {
                            holder: self.core.turn.id(),
                            until: self.core.now() + Duration::from_secs_f64(seconds.max(0.0).round()),
                        };
                        items.leases.insert(name.clone(), taken);
                    }
                    None => drop(items.leases.remove(&name)),
                }
                items.destinations.insert(name, next.clone());
            }
            is_next
        };
        if !is_next {
            self.core.say(|| "somebody else was first".to_owned());
        }
        self.core.answer(fate).await.map_err(Self::failed)?;
        Ok(is_next && !fate.meets_itself())
    }
}
