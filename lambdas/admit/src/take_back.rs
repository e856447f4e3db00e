//! Rollbacks that nobody asks for.

use delivery::deployment::{Cause, Deployment, DeploymentId};
use tasks::Executions;

use crate::{Deps, Error};

/// Returns the rollback of what a deployment has left, to the release of another one.
///
/// `reason` is the id of what has happened, so that what happens once is taken back once.
pub fn rollback<P, D, T>(
    deps: &Deps<'_, P, D, T>,
    deployment_id: DeploymentId,
    to: DeploymentId,
    reason: &str,
    by: String,
) -> Deployment {
    deps.deployment(Cause::taking_back(deployment_id, to, reason, by))
}

/// Starts a rollback, unless it was started before.
pub async fn start<P, D, T: Executions>(
    deps: &Deps<'_, P, D, T>,
    rollback: &Deployment,
) -> Result<(), Error> {
    let (id, input) = (rollback.id(), serde_json::to_string(&rollback.cause));
    deps.tasks
        .start(
            &deps.state_machine_arn,
            &id.to_string(),
            &input.map_err(Error::Event)?,
        )
        .await?;
    tracing::warn!(deployment = %id, "started a rollback");
    Ok(())
}
