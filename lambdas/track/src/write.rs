//! Writes an event once, however often it is reported.

use audit::{AuditError, DeploymentTrail, EventStore, MAX_ATTEMPTS, backoff};
use delivery::contract::{Envelope, Tracked};
use delivery::deployment::Deployment;
use delivery::event::DeploymentEvent;
use delivery::state::DeploymentState;
use domain::aggregate::{Aggregate, RecordedEvent};
use domain::flow::StageOutput;
use serde::Serialize;
use workflow::ExecutionOver;

use crate::Error;

/// The output of a stage that has written its event itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Written {}

impl StageOutput<Deployment> for Written {
    fn event(&self) -> Option<DeploymentEvent> {
        None
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}

/// Writes what a state without a function has done.
pub async fn track(trail: &impl DeploymentTrail, envelope: &Envelope<Tracked>) -> Result<Written, Error> {
    let event = DeploymentEvent::from(envelope.input.clone());
    write_once(trail, envelope, event).await?;
    Ok(Written {})
}

/// Writes an event of the execution, unless it is in the trail already.
///
/// The state machine reports again what it has reported if a response was lost. Steps of a canary may look alike, so
/// only the events of the same share of the traffic count.
pub async fn write_once<I>(
    trail: &impl EventStore<Deployment>,
    envelope: &Envelope<I>,
    event: DeploymentEvent,
) -> Result<(), Error> {
    let id = envelope.deployment.id();
    for attempt in 0..MAX_ATTEMPTS {
        let events = trail.events(id).await?;
        let state = Deployment::fold(&events).map_err(AuditError::from)?;
        if let Some(state) = &state
            && state.is_over_for(&envelope.execution.id)
        {
            return Err(ExecutionOver::new::<Deployment>(&envelope.execution.id, state).into());
        }
        if is_written(&events, &event) || trail.try_append(state, event.clone()).await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(backoff(attempt)).await;
    }
    Err(AuditError::contended::<Deployment>(id).into())
}

fn is_written(events: &[RecordedEvent<DeploymentEvent>], event: &DeploymentEvent) -> bool {
    for recorded in events.iter().rev() {
        if recorded.event == *event {
            return true;
        }
        let begins_anew = matches!(
            recorded.event,
            DeploymentEvent::TrafficShifted(_) | DeploymentEvent::DeploymentRetried(_)
        );
        if begins_anew {
            return false;
        }
    }
    false
}
