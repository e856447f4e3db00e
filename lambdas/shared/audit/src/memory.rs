//! A trail in memory, for `push-code push` and for tests of the stages.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::destination::Destination;
use domain::event::RecordedEvent;
use domain::push::PushId;
use domain::state::PushState;

use super::{AuditError, AuditTrail, DestinationRecord, LastPush, RefKey};

/// A trail that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryTrail {
    items: Mutex<Items>,
}

#[derive(Debug, Default)]
struct Items {
    events: HashMap<PushId, Vec<RecordedEvent>>,
    last_pushes: HashMap<RefKey, LastPush>,
    destinations: HashMap<String, DestinationRecord>,
}

impl MemoryTrail {
    /// Returns the events of a push, oldest first.
    #[must_use]
    pub fn events_of(&self, push_id: PushId) -> Vec<RecordedEvent> {
        self.items().events.get(&push_id).cloned().unwrap_or_default()
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(destination: &Destination) -> String {
    format!("{}/{}", destination.bucket, destination.key)
}

impl AuditTrail for MemoryTrail {
    async fn events(&self, push_id: PushId) -> Result<Vec<RecordedEvent>, AuditError> {
        Ok(self.events_of(push_id))
    }

    async fn put_event(&self, event: &RecordedEvent, next: &PushState) -> Result<bool, AuditError> {
        let mut items = self.items();
        let trail = items.events.entry(next.push_id()).or_default();
        let is_next = trail.len() as u64 + 1 == event.version;
        if is_next {
            trail.push(event.clone());
        }
        Ok(is_next)
    }

    async fn last_push(&self, key: &RefKey) -> Result<Option<LastPush>, AuditError> {
        Ok(self.items().last_pushes.get(key).cloned())
    }

    async fn replace_last_push(
        &self,
        key: &RefKey,
        before: Option<&LastPush>,
        next: &LastPush,
    ) -> Result<bool, AuditError> {
        let mut items = self.items();
        let is_there = items.last_pushes.get(key) == before;
        if is_there {
            items.last_pushes.insert(key.clone(), next.clone());
        }
        Ok(is_there)
    }

    async fn destination(&self, destination: &Destination) -> Result<Option<DestinationRecord>, AuditError> {
        Ok(self.items().destinations.get(&name_of(destination)).cloned())
    }

    async fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> Result<bool, AuditError> {
        let mut items = self.items();
        let name = name_of(destination);
        let version = items.destinations.get(&name).map_or(0, |record| record.version);
        let is_next = version + 1 == next.version;
        if is_next {
            items.destinations.insert(name, next.clone());
        }
        Ok(is_next)
    }
}
