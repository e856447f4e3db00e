//! `Track` writes what states without a function have done, `Approve` waits for a person's decision, and `Record`
//! closes a deployment.

mod approve;
mod close;
mod write;

use std::time::Duration;

use audit::{AuditError, DeploymentTrail};
use aws::failure::Failed;
use delivery::contract::{ApproveInput, Envelope, RecordInput, Stage, Tracked};
use domain::error::{Code, Coded};
use serde_json::{Value, json};
use tasks::Tasks;
use workflow::{Call, ExecutionOver};

/// What [`handle`] needs besides its payload.
#[derive(Debug)]
pub struct Deps<'a, D, T> {
    /// The trail of deployments.
    pub deployments: &'a D,
    /// The tasks that wait for a decision.
    pub tasks: &'a T,
}

/// Why what has happened to a deployment cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The deployment has not ended.
    #[error(
        "deployment {deployment_id} is {status}: it cannot be closed before it was released or has failed"
    )]
    Unfinished {
        /// The deployment.
        deployment_id: String,
        /// Its status.
        status: String,
    },
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// This execution may no longer write.
    #[error(transparent)]
    ExecutionOver(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unfinished { .. } => Code::InputInvalid,
            Self::Audit(error) => error.code(),
            Self::ExecutionOver(error) => error.code(),
        }
    }
}

/// Handles the payload of a state.
///
/// # Errors
/// Returns [`Failed`] with the error code. A failure of `Approve` is answered by the task's token, and is no error
/// here.
pub async fn handle<D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, D, T>,
    payload: Value,
    time_limit: Duration,
) -> Result<Value, Failed> {
    let trail = deps.deployments;
    let call = Call::new(payload, time_limit);
    match call.stage()? {
        stage @ Stage::Track => {
            let work = async |envelope: &Envelope<Tracked>| write::track(trail, envelope).await;
            call.run(stage, trail, work).await
        }
        stage @ Stage::Record => {
            let work = async |envelope: &Envelope<RecordInput>| close::record(trail, envelope).await;
            call.run(stage, trail, work).await
        }
        stage @ Stage::Approve => {
            let token = call.task_token(stage)?;
            let work = async |envelope: &Envelope<ApproveInput>| approve::ask(trail, envelope).await;
            // It is a person who answers, unless the person cannot be asked.
            let ended = Box::pin(call.run(stage, trail, work))
                .await
                .map(|_| None::<Value>);
            tasks::answer(deps.tasks, &token, ended).await?;
            Ok(json!({}))
        }
        other => Err(Call::not_here(other)),
    }
}

#[cfg(test)]
mod tests;
