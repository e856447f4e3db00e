//! A trail in memory, for `push-code push` and for tests of the stages.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use delivery::deployment::{Deployment, DeploymentId};
use delivery::slot::{ApprovalToken, Release, Slot, SlotKey};
use domain::aggregate::{Aggregate, RecordedEvent};
use domain::delivered::Delivery;
use domain::destination::Destination;
use domain::git::RepositoryPath;
use domain::index::Index;
use domain::push::{Push, PushId, SourceName};

use super::checkpoints::{Checkpoints, StoredCheckpoint};
use super::{
    AuditError, Deliveries, DeploymentTrail, DestinationRecord, EventStore, LastPush, PushTrail, RefKey,
    SortKeys, SourceRef, SourceRefs, StateIndex,
};

/// A trail that lives as long as the process, of pushes or of another kind of aggregate.
#[derive(Debug)]
pub struct MemoryTrail<A: Aggregate = Push> {
    items: Mutex<Items<A>>,
}

#[derive(Debug)]
struct Items<A: Aggregate> {
    events: HashMap<A::Id, Vec<RecordedEvent<A::Event>>>,
    checkpoints: BTreeMap<(NaiveDate, usize), StoredCheckpoint>,
    delivered: HashMap<A::Id, A::Delivery>,
    last_pushes: HashMap<RefKey, LastPush>,
    destinations: HashMap<String, DestinationRecord>,
    sweeps_begin_with: HashMap<SourceName, RepositoryPath>,
    slots: HashMap<SlotKey, Slot>,
    releases: HashMap<SlotKey, BTreeMap<DateTime<Utc>, Release>>,
    approvals: HashMap<DeploymentId, ApprovalToken>,
}

impl<A: Aggregate> Default for MemoryTrail<A> {
    fn default() -> Self {
        Self {
            items: Mutex::new(Items {
                events: HashMap::new(),
                checkpoints: BTreeMap::new(),
                delivered: HashMap::new(),
                last_pushes: HashMap::new(),
                destinations: HashMap::new(),
                sweeps_begin_with: HashMap::new(),
                slots: HashMap::new(),
                releases: HashMap::new(),
                approvals: HashMap::new(),
            }),
        }
    }
}

impl<A: Aggregate> MemoryTrail<A> {
    /// Returns the events of an aggregate, oldest first.
    #[must_use]
    pub fn events_of(&self, id: A::Id) -> Vec<RecordedEvent<A::Event>> {
        self.items().events.get(&id).cloned().unwrap_or_default()
    }

    fn items(&self) -> MutexGuard<'_, Items<A>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Aggregate> EventStore<A> for MemoryTrail<A> {
    async fn events(&self, id: A::Id) -> Result<Vec<RecordedEvent<A::Event>>, AuditError> {
        Ok(self.events_of(id))
    }

    async fn put_event(&self, event: &RecordedEvent<A::Event>, next: &A::State) -> Result<bool, AuditError> {
        let mut items = self.items();
        let items = &mut *items;
        let trail = items.events.entry(A::id(next)).or_default();
        let is_next = trail.len() as u64 + 1 == event.version;
        if is_next {
            trail.push(event.clone());
            if let Some(delivered) = A::delivered(&event.event, next) {
                items.delivered.insert(A::id(next), delivered);
            }
        }
        Ok(is_next)
    }
}

impl<A: Aggregate> StateIndex<A> for MemoryTrail<A> {
    async fn find(
        &self,
        index: Index,
        partition: &str,
        sort: SortKeys<'_>,
        limit: usize,
    ) -> Result<Vec<A::State>, AuditError> {
        let mut found = BTreeMap::new();
        for (number, trail) in self.items().events.values().enumerate() {
            let Some(state) = A::fold(trail)? else {
                continue;
            };
            let mut keys = A::index_keys(&state).into_iter();
            if let Some(key) = keys.find(|key| key.index == index && key.partition == partition)
                && sort.contain(&key.sort)
            {
                // Several states may have one sort key.
                found.insert((key.sort, number), state);
            }
        }
        Ok(found.into_values().rev().take(limit).collect())
    }
}

impl Deliveries for MemoryTrail<Push> {
    async fn delivered(&self, push_id: PushId) -> Result<Option<Delivery>, AuditError> {
        Ok(self.items().delivered.get(&push_id).cloned())
    }
}

impl Checkpoints for MemoryTrail<Push> {
    async fn put_checkpoint(&self, checkpoint: &StoredCheckpoint) -> Result<(), AuditError> {
        let key = (checkpoint.day, checkpoint.part);
        self.items().checkpoints.insert(key, checkpoint.clone());
        Ok(())
    }

    async fn checkpoints(&self, since: NaiveDate) -> Result<Vec<StoredCheckpoint>, AuditError> {
        let items = self.items();
        Ok(items
            .checkpoints
            .range((since, 0)..)
            .map(|(_, stored)| stored.clone())
            .collect())
    }
}

impl PushTrail for MemoryTrail<Push> {
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
        let sequence_of = |last: &LastPush| last.sequence;
        let is_there = items.last_pushes.get(key).map(sequence_of) == before.map(sequence_of);
        if is_there {
            items.last_pushes.insert(key.clone(), next.clone());
        }
        Ok(is_there)
    }

    async fn destination(&self, destination: &Destination) -> Result<Option<DestinationRecord>, AuditError> {
        Ok(self.items().destinations.get(&destination.to_string()).cloned())
    }

    async fn put_destination(
        &self,
        destination: &Destination,
        next: &DestinationRecord,
    ) -> Result<bool, AuditError> {
        let mut items = self.items();
        let name = destination.to_string();
        let version = items.destinations.get(&name).map_or(0, |record| record.version);
        let is_next = version + 1 == next.version;
        if is_next {
            items.destinations.insert(name, next.clone());
        }
        Ok(is_next)
    }
}

impl SourceRefs for MemoryTrail<Push> {
    async fn refs(&self, source: &SourceName) -> Result<Vec<SourceRef>, AuditError> {
        let items = self.items();
        let of_source = items.last_pushes.iter().filter(|(key, _)| key.source == *source);
        Ok(of_source.map(|(key, last)| SourceRef::of(key, last)).collect())
    }

    async fn sweep_begins_with(&self, source: &SourceName) -> Result<Option<RepositoryPath>, AuditError> {
        Ok(self.items().sweeps_begin_with.get(source).cloned())
    }

    async fn put_sweep_begins_with(
        &self,
        source: &SourceName,
        repository: Option<&RepositoryPath>,
    ) -> Result<(), AuditError> {
        let sweeps = &mut self.items().sweeps_begin_with;
        match repository {
            Some(repository) => sweeps.insert(source.clone(), repository.clone()),
            None => sweeps.remove(source),
        };
        Ok(())
    }
}

impl DeploymentTrail for MemoryTrail<Deployment> {
    async fn slot(&self, key: &SlotKey) -> Result<Slot, AuditError> {
        Ok(self.items().slots.get(key).cloned().unwrap_or_default())
    }

    async fn put_slot(&self, key: &SlotKey, next: &Slot) -> Result<bool, AuditError> {
        let mut items = self.items();
        let slot = items.slots.entry(key.clone()).or_default();
        let is_next = slot.version + 1 == next.version;
        if is_next {
            *slot = next.clone();
        }
        Ok(is_next)
    }

    async fn put_release(&self, key: &SlotKey, release: &Release) -> Result<(), AuditError> {
        let mut items = self.items();
        let releases = items.releases.entry(key.clone()).or_default();
        releases.insert(release.released_at, release.clone());
        Ok(())
    }

    async fn releases(&self, key: &SlotKey, limit: i32) -> Result<Vec<Release>, AuditError> {
        let items = self.items();
        let releases = items.releases.get(key).into_iter().flat_map(BTreeMap::values);
        let limit = usize::try_from(limit).unwrap_or_default();
        Ok(releases.rev().take(limit).cloned().collect())
    }

    async fn put_approval(&self, token: &ApprovalToken) -> Result<(), AuditError> {
        self.items().approvals.insert(token.deployment_id, token.clone());
        Ok(())
    }

    async fn approval(&self, deployment_id: DeploymentId) -> Result<Option<ApprovalToken>, AuditError> {
        Ok(self.items().approvals.get(&deployment_id).cloned())
    }
}
