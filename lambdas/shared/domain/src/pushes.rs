//! A push as what flows through its state machine, and has a trail.

use chrono::{DateTime, Utc};

use crate::aggregate::{Aggregate, IllegalTransition, RecordedEvent};
use crate::contract::{Envelope, Stage};
use crate::cost::{Attempt, Total};
use crate::delivered::Delivery;
use crate::digest::Digest;
use crate::event::{PushEvent, PushReceived, PushRetried};
use crate::execution::Execution;
use crate::flow::{AttemptFailed, Flow, Payload};
use crate::index::IndexKey;
use crate::push::{Push, PushId};
use crate::push_index;
use crate::state::{self, PushState};

impl Aggregate for Push {
    type Id = PushId;
    type Event = PushEvent;
    type State = PushState;
    type Delivery = Delivery;

    const KIND: &'static str = "PUSH";

    fn name(event: &PushEvent) -> &'static str {
        event.name()
    }

    fn apply(
        state: Option<PushState>,
        recorded: &RecordedEvent<PushEvent>,
    ) -> Result<PushState, IllegalTransition> {
        state::apply(state, recorded)
    }

    fn id(state: &PushState) -> PushId {
        state.push.push_id
    }

    fn version(state: &PushState) -> u64 {
        state.version
    }

    fn head(state: &PushState) -> Option<&Digest> {
        state.head.as_ref()
    }

    fn expires_at(state: &PushState) -> Option<i64> {
        state.expires_at
    }

    fn index_keys(state: &PushState) -> Vec<IndexKey> {
        push_index::keys(state)
    }

    fn total(
        state: Option<&PushState>,
        event: &PushEvent,
        attempt: Option<Attempt>,
        now: DateTime<Utc>,
    ) -> Option<Total> {
        let state = state.filter(|_| event.is_closing())?;
        let (used, events) = (state.used.and(attempt), state.version + 1);
        Some(Total::new(
            state.received_at,
            now,
            used,
            state.executions.len(),
            events,
        ))
    }

    fn delivered(last: &PushEvent, state: &PushState) -> Option<Delivery> {
        Delivery::by(last, state)
    }
}

impl Flow for Push {
    type Stage = Stage;

    const LARGE_OUTPUT: &'static str = "the commit has too many submodules, or their paths are too long";

    fn attempt_failed(failed: AttemptFailed<Stage>) -> PushEvent {
        PushEvent::AttemptFailed(failed.named())
    }

    fn executions(state: &PushState) -> &[String] {
        &state.executions
    }

    fn is_over_for(state: &PushState, execution_id: &str) -> bool {
        state.is_over_for(execution_id)
    }

    /// `Record` records failures, and `Report` shows them.
    fn runs_when_over(stage: Stage) -> bool {
        matches!(stage, Stage::Record | Stage::Report)
    }
}

impl<T: Sync> Payload for Envelope<T> {
    type Flow = Push;

    fn id(&self) -> PushId {
        self.push.push_id
    }

    fn execution(&self) -> &Execution {
        &self.execution
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The first execution begins the trail, in whatever stage. Another one takes it over in its first stage.
    fn opening_event(&self, stage: Stage, state: Option<&PushState>) -> Option<PushEvent> {
        let execution = &self.execution;
        match state {
            None => Some(PushEvent::PushReceived(PushReceived {
                push: self.push.clone(),
                execution: execution.clone(),
            })),
            Some(state) if stage == Stage::Validate && state.may_be_retried_by(&execution.id) => {
                Some(PushEvent::PushRetried(PushRetried {
                    execution: execution.clone(),
                }))
            }
            Some(_) => None,
        }
    }
}
