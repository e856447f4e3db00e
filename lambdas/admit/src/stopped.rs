//! An execution that could not record its own end, because it was stopped or reached its time limit: its deployment is
//! closed, and the environment is passed on.
//!
//! EventBridge reports such executions
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>), and passes the event unchanged
//! to the function.

use audit::DeploymentTrail;
use chrono::DateTime;
use delivery::contract::DeploymentFailure;
use delivery::deployment::{Cause, Deployment};
use delivery::event::{DeploymentEvent, DeploymentFailed, DeploymentRequested};
use delivery::slot::SlotKey;
use delivery::state::DeploymentStatus;
use domain::contract::Execution;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;
use tasks::Tasks;

use crate::{Deps, Error, queue};

/// The type of the events, by which they differ from inputs of the state machine.
const DETAIL_TYPE: &str = "Step Functions Execution Status Change";

/// What is left of a deployment that was stopped while it changed the environment.
const LEFT: &str = "The stack or the traffic may be between two releases: deploy again, or roll back.";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
    /// When the execution started, in milliseconds since 1970.
    start_date: i64,
    /// The execution's input as JSON text, which is the cause of the deployment.
    input: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    cause: Option<String>,
}

/// An execution that has ended.
struct Ended {
    cause: Cause,
    execution: Execution,
    error: String,
    reason: String,
}

/// Returns whether a payload is the event of an execution that has ended.
pub fn is_stopped(payload: &Value) -> bool {
    payload["detail-type"] == DETAIL_TYPE
}

fn parse(payload: Value) -> Result<Ended, serde_json::Error> {
    let detail: Detail = serde_json::from_value(payload["detail"].clone())?;
    drop(payload);
    let input = detail.input.as_deref();
    let cause = serde_json::from_str(
        input.ok_or_else(|| serde_json::Error::custom("the event of an execution has no input"))?,
    )?;
    let started_at = DateTime::from_timestamp_millis(detail.start_date)
        .ok_or_else(|| serde_json::Error::custom("startDate is not a time"))?;
    let (error, what) = match detail.status.as_str() {
        "ABORTED" => ("ExecutionAborted".to_owned(), "The execution was stopped."),
        "TIMED_OUT" => (
            "ExecutionTimedOut".to_owned(),
            "The execution reached its time limit.",
        ),
        "FAILED" => (
            detail.error.unwrap_or_else(|| "ExecutionFailed".to_owned()),
            "The execution failed.",
        ),
        other => {
            return Err(serde_json::Error::custom(format!(
                "an execution that is {other} records its end itself"
            )));
        }
    };
    let said = detail.cause.filter(|cause| !cause.is_empty());
    Ok(Ended {
        cause,
        execution: Execution {
            id: detail.execution_arn,
            started_at,
        },
        error,
        reason: said.map_or_else(|| what.to_owned(), |said| format!("{what} {said}")),
    })
}

/// Closes the deployment of the execution, then gives up its claim to the environment.
pub async fn handle<P, D: DeploymentTrail, T: Tasks>(
    deps: &Deps<'_, P, D, T>,
    payload: Value,
) -> Result<(), Error> {
    let ended = parse(payload).map_err(Error::Event)?;
    let deployment = Deployment {
        environment: deps.environment.clone(),
        application: deps.application.clone(),
        cause: ended.cause,
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
                        cause: format!("{}{left}", ended.reason),
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
