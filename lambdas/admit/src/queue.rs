//! Gives the environment to one deployment after the other.
//!
//! Whatever changes the slot then notifies the executions that wait ([`Slot::pending`]). If a function ends before it
//! has notified all of them, the next one that comes to the slot does, such as its own retry.

use audit::{AuditError, DeploymentTrail, EventStore, MAX_ATTEMPTS, backoff};
use aws::failure::Failed;
use delivery::contract::{Envelope, QueueInput, Queued, SupersededDeployment};
use delivery::deployment::{Deployment, DeploymentId};
use delivery::event::DeploymentEvent;
use delivery::slot::{Claim, Holder, Pending, Slot, SlotKey};
use delivery::state::{DeploymentState, DeploymentStatus};
use tasks::Tasks;
use workflow::ExecutionOver;

use crate::{Deps, Error};

/// Claims the environment for an execution. Returns the answer if it is known without the slot; otherwise the execution
/// is told by its token, now or later.
pub async fn claim<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    envelope: &Envelope<QueueInput>,
) -> Result<Option<Queued>, Failed> {
    let (id, execution_id) = (envelope.deployment.id(), &envelope.execution.id);
    if let Some(superseded) = look(deps, id, execution_id).await? {
        return Ok(Some(Queued::Superseded(superseded)));
    }
    let key = SlotKey::of(&envelope.deployment);
    let claim = Claim {
        deployment_id: id,
        execution_id: execution_id.clone(),
        order: envelope.input.request.order,
        task_token: Some(envelope.input.task_token.clone()),
    };
    change(deps, &key, async |slot| {
        let holder = holder(deps, slot, execution_id).await?;
        Ok(Some(slot.claim(claim.clone(), holder)))
    })
    .await?;
    Ok(None)
}

/// Gives up the claim of an execution, if it has one.
pub async fn leave<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    key: &SlotKey,
    id: DeploymentId,
    execution_id: &str,
) -> Result<(), Error> {
    let was_released = was_released(deps, id).await?;
    change(deps, key, async |slot| Ok(slot.leave(execution_id, was_released))).await
}

/// Returns the newer deployment if the execution was superseded before.
async fn look<P, D: DeploymentTrail, T>(
    deps: &Deps<'_, P, D, T>,
    id: DeploymentId,
    execution_id: &str,
) -> Result<Option<SupersededDeployment>, Error> {
    let state = deps.deployments.load(id).await?;
    let state = state.ok_or_else(|| Error::Unknown(id.to_string()))?;
    if state.is_over_for(execution_id) {
        return Err(ExecutionOver::new::<Deployment>(execution_id, &state).into());
    }
    Ok(state.superseded)
}

async fn was_released<P, D: EventStore<Deployment>, T>(
    deps: &Deps<'_, P, D, T>,
    id: DeploymentId,
) -> Result<bool, Error> {
    let state = deps.deployments.load(id).await?;
    Ok(state.is_some_and(|state| {
        matches!(
            state.status,
            DeploymentStatus::Released | DeploymentStatus::Unchanged
        )
    }))
}

/// Finds out whether another execution that has the slot still runs.
async fn holder<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    slot: &Slot,
    execution_id: &str,
) -> Result<Holder, Error> {
    let Some(holder) = &slot.holder else {
        return Ok(Holder::Present);
    };
    if holder.execution_id == execution_id || deps.tasks.is_running(&holder.execution_id).await? {
        return Ok(Holder::Present);
    }
    tracing::warn!(
        execution = holder.execution_id,
        "has ended without giving the environment back"
    );
    Ok(Holder::Gone {
        was_released: was_released(deps, holder.deployment_id).await?,
    })
}

/// Writes the slot that `change` returns, if any, and notifies the executions that wait.
async fn change<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    key: &SlotKey,
    change: impl AsyncFn(&Slot) -> Result<Option<Slot>, Error>,
) -> Result<(), Error> {
    for attempt in 0..MAX_ATTEMPTS {
        let slot = deps.deployments.slot(key).await?;
        let Some(next) = change(&slot).await? else {
            return notify_all(deps, key, slot).await;
        };
        if deps.deployments.put_slot(key, &next).await? {
            return notify_all(deps, key, next).await;
        }
        tokio::time::sleep(backoff(attempt)).await;
    }
    Err(contended(key))
}

/// Notifies all executions that are to be notified.
async fn notify_all<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    key: &SlotKey,
    mut slot: Slot,
) -> Result<(), Error> {
    let mut conflicts = 0;
    while let Some(pending) = slot.pending() {
        let next = notify(deps, &slot, &pending).await?;
        if deps.deployments.put_slot(key, &next).await? {
            slot = next;
            continue;
        }
        if conflicts == MAX_ATTEMPTS {
            return Err(contended(key));
        }
        tokio::time::sleep(backoff(conflicts)).await;
        conflicts += 1;
        slot = deps.deployments.slot(key).await?;
    }
    Ok(())
}

/// Notifies one execution of its answer, which is in its trail before. Returns the slot after that.
async fn notify<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    slot: &Slot,
    pending: &Pending,
) -> Result<Slot, Error> {
    let execution_id = &pending.claim.execution_id;
    let (state, _) = deps
        .deployments
        .append(pending.claim.deployment_id, |state| {
            let state = state?;
            let waits = state.status == DeploymentStatus::Waiting && !state.is_over_for(execution_id);
            waits.then(|| match &pending.answer {
                Queued::Go => DeploymentEvent::DeploymentAdmitted,
                Queued::Superseded(superseded) => DeploymentEvent::DeploymentSuperseded(superseded.clone()),
            })
        })
        .await?;
    let without_it = || {
        slot.leave(execution_id, false)
            .unwrap_or_else(|| slot.told(pending))
    };
    let Some(answer) = answer_by(state.as_ref(), pending) else {
        return Ok(without_it());
    };
    let token = pending.claim.task_token.as_deref().unwrap_or_default();
    let output = serde_json::to_string(&answer).map_err(Error::Event)?;
    let is_told = deps.tasks.succeed(token, &output).await?;
    if pending.answer != Queued::Go {
        return Ok(slot.told(pending));
    }
    // Whoever does not wait for the answer any more has got it before, or will claim the slot again, or has ended.
    if answer != Queued::Go || (!is_told && !deps.tasks.is_running(execution_id).await?) {
        return Ok(without_it());
    }
    Ok(slot.told(pending))
}

/// Returns the answer by the trail, or `None` if the execution is over, and is to be told nothing.
fn answer_by(state: Option<&DeploymentState>, pending: &Pending) -> Option<Queued> {
    let state = state?;
    if state.is_over_for(&pending.claim.execution_id) {
        return None;
    }
    let superseded = state.superseded.clone().map(Queued::Superseded);
    Some(superseded.unwrap_or_else(|| pending.answer.clone()))
}

fn contended(key: &SlotKey) -> Error {
    let item = format!("SLOT#{key}");
    AuditError::Contended { item }.into()
}
