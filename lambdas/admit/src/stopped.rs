//! An execution that could not record its own end, because it was stopped or reached its time limit: its deployment is
//! closed, the environment is passed on, and what it has left there is taken back.

use audit::DeploymentTrail;
use delivery::contract::DeploymentFailure;
use delivery::deployment::{Cause, Deployment};
use delivery::event::{DeploymentEvent, DeploymentFailed, DeploymentRequested};
use delivery::slot::SlotKey;
use delivery::state::{DeploymentState, DeploymentStatus};
use tasks::{Executions, Tasks};
use workflow::StoppedExecution;

use crate::{Deps, Error, queue, take_back};

/// The state that a failure names which is one of the execution itself.
const EXECUTION: &str = "Execution";

/// Closes the deployment of the execution, gives up its claim to the environment, and starts the rollback of what it
/// has left there.
///
/// Each step does nothing if it was done before, because the event may come again.
pub async fn handle<P, D: DeploymentTrail, T: Tasks + Executions>(
    deps: &Deps<'_, P, D, T>,
    ended: StoppedExecution<Cause>,
) -> Result<(), Error> {
    let deployment = deps.deployment(ended.input);
    let (id, execution) = (deployment.id(), &ended.execution);
    let begin = || {
        DeploymentEvent::DeploymentRequested(DeploymentRequested {
            deployment: deployment.clone(),
            execution: execution.clone(),
        })
    };
    let (state, _) = deps
        .deployments
        .append(id, |state| state.is_none().then(begin))
        .await?;
    let rollback = rollback(deps, &deployment, state.as_ref(), &execution.id).await?;
    let (state, _) = deps
        .deployments
        .append(id, |state| {
            let state = state?;
            let is_open = state.is_in_charge(&execution.id) && state.failure.is_none();
            is_open.then(|| {
                let clean = !may_have_changed(state.status);
                let left = if clean {
                    String::new()
                } else {
                    left(rollback.as_ref())
                };
                DeploymentEvent::DeploymentFailed(DeploymentFailed {
                    execution_id: execution.id.clone(),
                    failure: DeploymentFailure {
                        stage: EXECUTION.to_owned(),
                        error: ended.error.clone(),
                        cause: format!("{}{left}", ended.cause),
                        clean,
                    },
                })
            })
        })
        .await?;
    queue::leave(deps, &SlotKey::of(&deployment), id, &execution.id).await?;
    match rollback {
        Some(rollback) if state.is_some_and(|state| has_left_something(&state, &execution.id)) => {
            take_back::start(deps, &rollback).await
        }
        _ => Ok(()),
    }
}

/// Returns the rollback to the last release, if there is one. A rollback that nobody has asked for is not taken back:
/// whoever has stopped it does not want it.
async fn rollback<P, D: DeploymentTrail, T>(
    deps: &Deps<'_, P, D, T>,
    deployment: &Deployment,
    state: Option<&DeploymentState>,
    execution_id: &str,
) -> Result<Option<Deployment>, Error> {
    if let Cause::Rollback {
        takes_back: Some(_), ..
    } = deployment.cause
    {
        return Ok(None);
    }
    // If something was released after the deployment's last event, be it by the rollback itself, nothing is left of it.
    let last_event = state.map(|state| state.updated_at);
    let last = deps
        .deployments
        .releases(&SlotKey::of(deployment), 1)
        .await?
        .pop();
    let last = last.filter(|last| last_event.is_none_or(|at| last.released_at <= at));
    Ok(last.map(|last| {
        let by = format!("the end of the execution {execution_id}");
        let cause = Cause::taking_back(deployment.id(), last.deployment_id, execution_id, by);
        deps.deployment(cause)
    }))
}

/// Says what is left of a deployment that was stopped while it changed the environment.
fn left(rollback: Option<&Deployment>) -> String {
    let then = rollback.map_or_else(
        || "deploy again, or roll back".to_owned(),
        |rollback| {
            format!(
                "deployment {} takes it back, unless a newer one runs",
                rollback.id()
            )
        },
    );
    format!(" The stack or the traffic may be between two releases: {then}.")
}

/// Returns whether a deployment has ended with this execution, between two releases.
fn has_left_something(state: &DeploymentState, execution_id: &str) -> bool {
    state.failure.as_ref().is_some_and(|failed| {
        failed.execution_id == execution_id && failed.failure.stage == EXECUTION && !failed.failure.clean
    })
}

/// Returns whether a deployment may have changed the environment. After the plan, the change set may run.
fn may_have_changed(status: DeploymentStatus) -> bool {
    matches!(
        status,
        DeploymentStatus::Planned
            | DeploymentStatus::Applied
            | DeploymentStatus::Shifting
            | DeploymentStatus::Promoted
    )
}
