//! An execution that could not record its own end, because it was stopped or reached its time limit: its deployment is
//! closed, and the environment is passed on.

use audit::DeploymentTrail;
use delivery::contract::DeploymentFailure;
use delivery::deployment::{Cause, Deployment};
use delivery::event::{DeploymentEvent, DeploymentFailed, DeploymentRequested};
use delivery::slot::SlotKey;
use delivery::state::DeploymentStatus;
use tasks::Tasks;
use workflow::StoppedExecution;

use crate::{Deps, Error, queue};

/// What is left of a deployment that was stopped while it changed the environment.
const LEFT: &str = "The stack or the traffic may be between two releases: deploy again, or roll back.";

/// Closes the deployment of the execution, then gives up its claim to the environment.
pub async fn handle<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    ended: StoppedExecution<Cause>,
) -> Result<(), Error> {
    let deployment = Deployment {
        environment: deps.environment.clone(),
        application: deps.application.clone(),
        cause: ended.input,
    };
    let (id, execution) = (deployment.id(), &ended.execution);
    let begin = || {
        DeploymentEvent::DeploymentRequested(DeploymentRequested {
            deployment: deployment.clone(),
            execution: execution.clone(),
        })
    };
    deps.deployments
        .append(id, |state| state.is_none().then(begin))
        .await?;
    deps.deployments
        .append(id, |state| {
            let state = state?;
            let is_open = state.is_in_charge(&execution.id) && state.failure.is_none();
            is_open.then(|| {
                let clean = !may_have_changed(state.status);
                let left = if clean { String::new() } else { format!(" {LEFT}") };
                DeploymentEvent::DeploymentFailed(DeploymentFailed {
                    execution_id: execution.id.clone(),
                    failure: DeploymentFailure {
                        stage: "Execution".to_owned(),
                        error: ended.error.clone(),
                        cause: format!("{}{left}", ended.cause),
                        clean,
                    },
                })
            })
        })
        .await?;
    queue::leave(deps, &SlotKey::of(&deployment), id, &execution.id).await
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
