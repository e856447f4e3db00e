//! `Track` writes what states without a function have done, `Approve` waits for a person's decision, and `Record` closes a
//! deployment.

mod approve;
mod close;
mod write;

use std::time::Duration;

use audit::{AuditError, DeploymentTrail};
use aws::failure::Failed;
use delivery::contract::{ApproveInput, Envelope, RecordInput, Stage, Tracked};
use domain::error::{Code, Coded};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tasks::Tasks;
use workflow::{ExecutionOver, execute, malformed};

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
    Over(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unfinished { .. } => Code::InputInvalid,
            Self::Audit(error) => error.code(),
            Self::Over(error) => error.code(),
        }
    }
}

/// Handles the payload of a state.
///
/// # Errors
/// Returns [`Failed`] with the error code. A failure of `Approve` is answered by the task's token, and is no error here.
pub async fn handle<D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, D, T>,
    payload: Value,
    time_limit: Duration,
) -> Result<Value, Failed> {
    let trail = deps.deployments;
    match payload["stage"].as_str() {
        Some("Track") => {
            let envelope: Envelope<Tracked> = read(Stage::Track, payload)?;
            let work = async |envelope: &_| write::track(trail, envelope).await;
            to_json(&execute(Stage::Track, trail, &envelope, time_limit, work).await?)
        }
        Some("Record") => {
            let envelope: Envelope<RecordInput> = read(Stage::Record, payload)?;
            let work = async |envelope: &_| close::record(trail, envelope).await;
            to_json(&execute(Stage::Record, trail, &envelope, time_limit, work).await?)
        }
        Some("Approve") => {
            let Some(token) = payload["input"]["task_token"].as_str().map(str::to_owned) else {
                return Err(Failed::with_cause(
                    Code::InputInvalid,
                    "the input of Approve has no task token",
                ));
            };
            let work = async {
                let envelope: Envelope<ApproveInput> = read(Stage::Approve, payload)?;
                let work = async |envelope: &_| approve::ask(trail, envelope).await;
                execute(Stage::Approve, trail, &envelope, time_limit, work).await
            };
            // It is a person who answers, unless the person cannot be asked.
            let ended = Box::pin(work).await.map(|_| None::<Value>);
            tasks::answer(deps.tasks, &token, ended).await?;
            Ok(json!({}))
        }
        _ => Err(Failed::with_cause(
            Code::InputInvalid,
            "the payload has no stage that this function knows",
        )),
    }
}

fn read<I: DeserializeOwned>(stage: Stage, payload: Value) -> Result<Envelope<I>, Failed> {
    serde_json::from_value(payload).map_err(|error| malformed(stage, &error))
}

fn to_json(output: &impl Serialize) -> Result<Value, Failed> {
    serde_json::to_value(output).map_err(|error| malformed("the output", &error))
}

#[cfg(test)]
mod tests;
