//! Closes a deployment: writes how it ended, and for a release what a later rollback finds.

use audit::DeploymentTrail;
use delivery::closed::ClosedDeployment;
use delivery::contract::{Envelope, RecordInput};
use delivery::deployment::{Cause, Deployment};
use delivery::event::{DeploymentEvent, DeploymentFailed};
use delivery::slot::{Release, SlotKey};
use delivery::state::{DeploymentState, DeploymentStatus};
use domain::error;
use workflow::ExecutionOver;

use crate::Error;

/// Closes one deployment. Returns how it ended.
pub async fn record(
    trail: &impl DeploymentTrail,
    envelope: &Envelope<RecordInput>,
) -> Result<ClosedDeployment, Error> {
    let (id, execution_id) = (envelope.deployment.id(), &envelope.execution.id);
    let unfinished = |status: String| Error::Unfinished {
        deployment_id: id.to_string(),
        status,
    };
    let (state, _) = trail
        .append(id, |state| closing_event(state?, execution_id, &envelope.input))
        .await?;
    let state = state.ok_or_else(|| unfinished("unknown".to_owned()))?;
    if envelope.input.failure.is_none() {
        if !state.is_in_charge(execution_id) {
            return Err(ExecutionOver::new::<Deployment>(execution_id, &state).into());
        }
        if !state.status.is_complete() {
            return Err(unfinished(state.status.to_string()));
        }
        put_release(trail, &state).await?;
    }
    Ok(close(&state, &envelope.input))
}

/// Returns the event that closes the deployment, or `None` if it is closed, or if this execution cannot close it.
fn closing_event(
    state: &DeploymentState,
    execution_id: &str,
    input: &RecordInput,
) -> Option<DeploymentEvent> {
    if !state.is_in_charge(execution_id) || state.failure.is_some() {
        return None;
    }
    if let Some(failure) = &input.failure {
        return Some(DeploymentEvent::DeploymentFailed(DeploymentFailed {
            execution_id: execution_id.to_owned(),
            failure: failure.clone(),
        }));
    }
    match (&input.released, state.status) {
        (Some(released), DeploymentStatus::Promoted) => {
            Some(DeploymentEvent::DeploymentReleased(released.clone()))
        }
        (None, DeploymentStatus::Planned) => Some(DeploymentEvent::DeploymentUnchanged),
        _ => None,
    }
}

/// Writes the release of a deployment that was released. Its time is that of the event, so it is the same item each
/// time.
async fn put_release(trail: &impl DeploymentTrail, state: &DeploymentState) -> Result<(), Error> {
    let Some(request) = state.request.as_ref().filter(|_| state.released.is_some()) else {
        return Ok(());
    };
    let events = trail.events(state.deployment_id).await?;
    let released = events
        .iter()
        .find(|recorded| matches!(recorded.event, DeploymentEvent::DeploymentReleased(_)));
    let Some(released) = released else {
        return Ok(());
    };
    let release = Release {
        deployment_id: state.deployment_id,
        released_at: released.recorded_at,
        push_id: request.push.push_id,
        commit: request.push.commit.clone(),
        subject: request.push.subject.clone(),
        rollback_to: request.rollback.as_ref().map(|rollback| rollback.to),
    };
    trail
        .put_release(&SlotKey::of(&state.deployment), &release)
        .await?;
    Ok(())
}

/// Returns how the deployment ended, or with a failure, how its execution failed.
fn close(state: &DeploymentState, input: &RecordInput) -> ClosedDeployment {
    let deployment = &state.deployment;
    let push = state.request.as_ref().map(|request| &request.push);
    let (caused_by, rollback_to) = match &deployment.cause {
        Cause::Push { push_id } => (Some(*push_id), None),
        Cause::Rollback { rollback_to, .. } => (None, Some(*rollback_to)),
    };
    let ignored = state.ignored.as_ref().map(|ignored| &ignored.detail);
    let superseded = state.superseded.as_ref().map(|superseded| &superseded.because);
    let seconds = (state.updated_at - state.requested_at).num_seconds();
    ClosedDeployment {
        deployment_id: state.deployment_id,
        environment: deployment.environment.to_string(),
        application: deployment.application.to_string(),
        status: state.status,
        push_id: push.map(|push| push.push_id).or(caused_by),
        commit: push.map(|push| push.commit.clone()),
        rollback_to,
        reason: ignored.or(superseded).cloned(),
        remedy: input
            .failure
            .as_ref()
            .map(|failure| error::remedy(&failure.error).to_owned()),
        failure: input.failure.clone(),
        seconds: u64::try_from(seconds).unwrap_or_default(),
        closed_at: state.updated_at,
    }
}
