//! `Admit` opens a deployment, `Queue` waits for the environment, and `Release` passes it on. An execution that was
//! stopped is closed here too, and passes the environment on. What it has left there is taken back, and so is a release
//! after which an alarm was raised.

mod alarm;
mod error;
mod open;
mod queue;
mod stopped;
mod take_back;

use std::time::Duration;

use audit::{Deliveries, DeploymentTrail};
use aws::failure::Failed;
use delivery::contract::{AdmitInput, Envelope, QueueInput, Stage};
use delivery::deployment::{ApplicationName, Cause, Deployment, EnvironmentName};
use delivery::slot::SlotKey;
use domain::error::Code;
use serde_json::{Value, json};
use tasks::{Executions, Tasks};
use workflow::{Call, StoppedExecution, to_json};

pub use error::Error;

/// What [`handle`] needs besides its payload.
#[derive(Debug)]
pub struct Deps<'a, P, D, T> {
    /// What pushes have delivered.
    pub pushes: &'a P,
    /// The trail of deployments.
    pub deployments: &'a D,
    /// The tasks that wait for the environment, and the executions of deployments.
    pub tasks: &'a T,
    /// The ARN of the state machine of deployments.
    pub state_machine_arn: String,
    /// For how many minutes after a release an alarm takes it back.
    pub alarm_rollback_minutes: u32,
    /// The environment.
    pub environment: EnvironmentName,
    /// The application.
    pub application: ApplicationName,
}

impl<P, D, T> Deps<'_, P, D, T> {
    /// Returns the deployment of the application with this cause.
    fn deployment(&self, cause: Cause) -> Deployment {
        Deployment {
            environment: self.environment.clone(),
            application: self.application.clone(),
            cause,
        }
    }
}

/// Handles the payload of a state, or the event of an execution that was stopped or of an alarm.
///
/// # Errors
/// Returns [`Failed`] with the error code. A failure of `Queue` is answered by the task's token, and is no error here.
pub async fn handle<P, D, T>(
    deps: &Deps<'_, P, D, T>,
    payload: Value,
    time_limit: Duration,
) -> Result<Value, Failed>
where
    P: Deliveries,
    D: DeploymentTrail,
    T: Tasks + Executions,
{
    if let Some(ended) = StoppedExecution::parse(&payload).map_err(Error::Event)? {
        let work = stopped::handle(deps, ended);
        return within(time_limit, "the event of an execution", Box::pin(work))
            .await
            .map(|()| json!({}));
    }
    if let Some(raised) = alarm::parse(&payload).map_err(Error::Event)? {
        let work = alarm::handle(deps, raised);
        return within(time_limit, "the event of an alarm", Box::pin(work))
            .await
            .map(|()| json!({}));
    }
    let call = Call::new(payload, time_limit);
    match call.stage()? {
        stage @ Stage::Admit => {
            let envelope: Envelope<AdmitInput> = call.read(stage)?;
            to_json(stage, &open::run(deps, &envelope, time_limit).await?)
        }
        stage @ Stage::Queue => {
            let token = call.task_token(stage)?;
            let work = async {
                let envelope: Envelope<QueueInput> = call.read(stage)?;
                queue::claim(deps, &envelope).await
            };
            let ended = within(time_limit, stage, Box::pin(work)).await;
            tasks::answer(deps.tasks, &token, ended).await?;
            Ok(json!({}))
        }
        stage @ Stage::Release => {
            let envelope: Envelope<Value> = call.read(stage)?;
            let key = SlotKey::of(&envelope.deployment);
            let work = async {
                let id = envelope.deployment.id();
                queue::leave(deps, &key, id, &envelope.execution.id).await
            };
            within(time_limit, stage, Box::pin(work)).await?;
            Ok(json!({}))
        }
        other => Err(Call::not_here(other)),
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

#[cfg(test)]
mod tests;
