//! Starts the rollbacks that nobody asks for.

use delivery::deployment::Deployment;
use tasks::Executions;

use crate::{Deps, Error};

/// Starts a rollback, unless it was started before.
pub async fn start<P, D, T: Executions>(
    deps: &Deps<'_, P, D, T>,
    rollback: &Deployment,
) -> Result<(), Error> {
    let id = rollback.id();
    let input = serde_json::to_string(&rollback.cause).map_err(Error::Event)?;
    deps.tasks
        .start(&deps.state_machine_arn, &id.to_string(), &input)
        .await?;
    tracing::warn!(deployment = %id, "started a rollback");
    Ok(())
}
