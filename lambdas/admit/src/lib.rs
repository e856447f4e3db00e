//! `Admit` opens a deployment, `Queue` waits for the environment, and `Release` passes it on. An execution that was stopped
//! is closed here too, and passes the environment on.

mod error;
mod open;
mod queue;
mod stopped;

use std::time::Duration;

use audit::{DeploymentTrail, EventStore};
use aws::failure::Failed;
use delivery::contract::{AdmitInput, Envelope, QueueInput, Stage};
use delivery::deployment::{ApplicationName, EnvironmentName};
use delivery::slot::SlotKey;
use domain::error::Code;
use domain::push::Push;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tasks::Tasks;
use workflow::malformed;

pub use error::Error;

/// What [`handle`] needs besides its payload.
#[derive(Debug)]
pub struct Deps<'a, P, D, T> {
    /// The trail of pushes.
    pub pushes: &'a P,
    /// The trail of deployments.
    pub deployments: &'a D,
    /// The tasks that wait for the environment.
    pub tasks: &'a T,
    /// The environment.
    pub environment: EnvironmentName,
    /// The application.
    pub application: ApplicationName,
}

/// Handles the payload of a state, or the event of an execution that was stopped.
///
/// # Errors
/// Returns [`Failed`] with the error code. A failure of `Queue` is answered by the task's token, and is no error here.
pub async fn handle<P, D, T>(
    deps: &Deps<'_, P, D, T>,
    payload: Value,
    time_limit: Duration,
) -> Result<Value, Failed>
where
    P: EventStore<Push>,
    D: DeploymentTrail,
    T: Tasks,
{
    if stopped::is_stopped(&payload) {
        let work = stopped::handle(deps, payload);
        return within(time_limit, "the event of an execution", Box::pin(work))
            .await
            .map(|()| json!({}));
    }
    match payload["stage"].as_str() {
        Some("Admit") => {
            let envelope: Envelope<AdmitInput> = read(Stage::Admit, payload)?;
            write(&open::run(deps, &envelope, time_limit).await?)
        }
        Some("Queue") => {
            let Some(token) = payload["input"]["task_token"].as_str().map(str::to_owned) else {
                return Err(Failed::with_cause(
                    Code::InputInvalid,
                    "the input of Queue has no task token",
                ));
            };
            let work = async {
                let envelope: Envelope<QueueInput> = read(Stage::Queue, payload)?;
                queue::claim(deps, &envelope).await
            };
            let ended = within(time_limit, Stage::Queue, Box::pin(work)).await;
            tasks::answer(deps.tasks, &token, ended).await?;
            Ok(json!({}))
        }
        Some("Release") => {
            let envelope: Envelope<Value> = read(Stage::Release, payload)?;
            let key = SlotKey::of(&envelope.deployment);
            let work = async {
                let id = envelope.deployment.id();
                queue::leave(deps, &key, id, &envelope.execution.id).await
            };
            within(time_limit, Stage::Release, Box::pin(work)).await?;
            Ok(json!({}))
        }
        _ => Err(Failed::with_cause(
            Code::InputInvalid,
            "the payload has no stage that this function knows",
        )),
    }
}

/// Runs `work` for at most `time_limit`.
async fn within<O, E: Into<Failed>>(
    time_limit: Duration,
    what: impl std::fmt::Display,
    work: impl Future<Output = Result<O, E>>,
) -> Result<O, Failed> {
    match tokio::time::timeout(time_limit, work).await {
        Ok(ended) => ended.map_err(Into::into),
        Err(_) => Err(Failed::with_cause(
            Code::StageTimedOut,
            &format!("{what} was stopped after {} s", time_limit.as_secs()),
        )),
    }
}

fn read<I: DeserializeOwned>(stage: Stage, payload: Value) -> Result<Envelope<I>, Failed> {
    serde_json::from_value(payload).map_err(|error| malformed(stage, &error))
}

fn write(output: &impl Serialize) -> Result<Value, Failed> {
    serde_json::to_value(output).map_err(|error| malformed(Stage::Admit, &error))
}

#[cfg(test)]
mod tests;
