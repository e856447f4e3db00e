//! The end of an execution that could not record it itself: it was stopped, or has met its time limit.
//!
//! EventBridge reports both
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>), and hands the event to the
//! function as it is.

use chrono::DateTime;
use domain::contract::{Envelope, Execution, Failure, RecordInput};
use domain::push::Push;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;

/// The type of the events, which no input of the state machine has.
const DETAIL_TYPE: &str = "Step Functions Execution Status Change";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
    /// When the execution started, in milliseconds since 1970.
    start_date: i64,
    /// The execution's input as JSON text. EventBridge leaves out what is too long, which a push never is.
    input: Option<String>,
    #[serde(default)]
    cause: Option<String>,
}

/// Reads what `Record` is called with: by the state machine, or by EventBridge.
///
/// # Errors
/// If it is neither.
pub fn parse(payload: Value) -> Result<Envelope<RecordInput>, serde_json::Error> {
    if payload["detail-type"] != DETAIL_TYPE {
        return serde_json::from_value(payload);
    }
    let detail: Detail = serde_json::from_value(payload["detail"].clone())?;
    let input = detail.input.as_deref();
    let push: Push = serde_json::from_str(
        input.ok_or_else(|| serde_json::Error::custom("the event of an execution has no input"))?,
    )?;
    let started_at = DateTime::from_timestamp_millis(detail.start_date)
        .ok_or_else(|| serde_json::Error::custom("startDate is no time"))?;
    let (error, what) = match detail.status.as_str() {
        "ABORTED" => ("ExecutionAborted", "The execution was stopped."),
        "TIMED_OUT" => ("ExecutionTimedOut", "The execution has met its time limit."),
        other => {
            return Err(serde_json::Error::custom(format!(
                "an execution that is {other} records that itself"
            )));
        }
    };
    let said = detail.cause.filter(|cause| !cause.is_empty());
    Ok(Envelope {
        push,
        execution: Execution {
            id: detail.execution_arn,
            started_at,
        },
        attempt: 0,
        input: RecordInput {
            failure: Some(Failure {
                stage: "Execution".to_owned(),
                error: error.to_owned(),
                cause: said.map_or_else(|| what.to_owned(), |said| format!("{what} {said}")),
            }),
        },
    })
}
