//! A trail that lives as long as the process: for `push-code push`, and for tests of the stages.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::Utc;
use domain::event::{PushEvent, RecordedEvent, SCHEMA};
use domain::push::{Push, PushId};
use domain::state::{self, PushState};

use super::{AuditError, AuditTrail, LastPush, Number, stands};

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryTrail {
    events: Mutex<HashMap<PushId, Vec<RecordedEvent>>>,
    last_pushes: Mutex<HashMap<String, LastPush>>,
}

impl MemoryTrail {
    /// The events of a push, the first one first.
    #[must_use]
    pub fn events(&self, push_id: PushId) -> Vec<RecordedEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.get(&push_id).cloned().unwrap_or_default()
    }
}

impl AuditTrail for MemoryTrail {
    async fn load(&self, push_id: PushId) -> Result<Option<PushState>, AuditError> {
        Ok(state::fold(&self.events(push_id))?)
    }

    async fn append(&self, state: Option<PushState>, event: PushEvent) -> Result<PushState, AuditError> {
        let recorded = |version, event| RecordedEvent {
            version,
            schema: SCHEMA,
            recorded_at: Utc::now(),
            event,
        };
        let push_id = match &state {
            Some(state) => state.push_id(),
            None => state::apply(None, &recorded(1, event.clone()))?.push_id(),
        };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let trail = events.entry(push_id).or_default();
        let current = state::fold(trail)?;
        let known = state.map_or(0, |state| state.version);
        let there = usize::try_from(known).ok().and_then(|index| trail.get(index));
        if let (Some(there), Some(current)) = (there, &current)
            && there.event == event
        {
            return Ok(current.clone());
        }
        let recorded = recorded(trail.len() as u64 + 1, event);
        let next = state::apply(current, &recorded)?;
        trail.push(recorded);
        Ok(next)
    }

    async fn number(&self, push: &Push) -> Result<Number, AuditError> {
        let name = format!("{}#{}#{}", push.source, push.repository, push.ref_name);
        let last = {
            let pushes = self.last_pushes.lock().unwrap_or_else(PoisonError::into_inner);
            pushes.get(&name).cloned()
        };
        if let Some(last) = &last {
            if last.push_id == push.push_id {
                return Ok(Number::Sequence(last.sequence));
            }
            if last.is_repeated_by(push) && stands(self.load(last.push_id).await?.as_ref()) {
                return Ok(Number::DuplicateOf(last.push_id));
            }
        }
        let sequence = last.map_or(1, |last| last.sequence + 1);
        let mut pushes = self.last_pushes.lock().unwrap_or_else(PoisonError::into_inner);
        pushes.insert(name, LastPush::new(push, sequence));
        Ok(Number::Sequence(sequence))
    }
}
