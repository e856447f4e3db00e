//! Asks a person to approve: keeps the token with which their decision is told to Step Functions.

use audit::DeploymentTrail;
use delivery::contract::{ApproveInput, Envelope};
use delivery::event::DeploymentEvent;
use delivery::slot::ApprovalToken;
use delivery::state::DeploymentStatus;

use crate::Error;
use crate::write::Written;

/// Keeps the token, and writes that a person has to approve. The state has a new token each time that it is entered.
pub async fn ask(trail: &impl DeploymentTrail, envelope: &Envelope<ApproveInput>) -> Result<Written, Error> {
    let id = envelope.deployment.id();
    let token = ApprovalToken {
        deployment_id: id,
        execution_id: envelope.execution.id.clone(),
        task_token: envelope.input.task_token.clone(),
    };
    // Whoever sees the event finds the token.
    trail.put_approval(&token).await?;
    trail
        .append(id, |state| {
            let is_asked = state.is_some_and(|state| state.status == DeploymentStatus::AwaitingApproval);
            (!is_asked).then_some(DeploymentEvent::ApprovalRequested)
        })
        .await?;
    Ok(Written {})
}
