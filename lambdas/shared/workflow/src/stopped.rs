//! Reads the event of an execution that could not record its own end, because it was stopped or reached its time limit.
//!
//! EventBridge reports both, and failures
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>), and passes the event
//! unchanged to the function.

use chrono::DateTime;
use domain::contract::{Envelope, Failure};
use domain::execution::Execution;
use domain::push::Push;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Error, Value};

use crate::ended::Ended;

/// The type of the events, by which they differ from inputs of the state machine.
const DETAIL_TYPE: &str = "Step Functions Execution Status Change";

/// An execution that has ended without success, whose input was an `I`.
#[derive(Debug)]
pub struct StoppedExecution<I> {
    /// The input.
    pub input: I,
    /// The execution.
    pub execution: Execution,
    /// How often it was redriven.
    pub redrive_count: u64,
    /// Whether it has failed by itself. Otherwise it was stopped, or reached its time limit.
    pub has_failed: bool,
    /// The error's name.
    pub error: String,
    /// What happened.
    pub cause: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
    /// When the execution started, in milliseconds since 1970.
    start_date: i64,
    /// The execution's input as JSON text. EventBridge leaves out inputs that are too long, but those of this project
    /// never are.
    input: Option<String>,
    #[serde(default)]
    redrive_count: Option<u64>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    cause: Option<String>,
}

impl<I: DeserializeOwned> StoppedExecution<I> {
    /// Parses the event of an execution that has ended. Returns `None` if the payload is something else.
    ///
    /// # Errors
    /// Returns the parser's error if the event lacks something, or is about an execution that has ended well or still
    /// runs.
    pub fn parse(payload: &Value) -> Result<Option<Self>, Error> {
        if payload["detail-type"] != DETAIL_TYPE {
            return Ok(None);
        }
        let detail = Detail::deserialize(&payload["detail"])?;
        let input = detail.input.as_deref();
        let input = serde_json::from_str(
            input.ok_or_else(|| Error::custom("the event of an execution has no input"))?,
        )?;
        let started_at = DateTime::from_timestamp_millis(detail.start_date)
            .ok_or_else(|| Error::custom("startDate is not a time"))?;
        let (error, cause) = (detail.error.as_deref(), detail.cause.as_deref());
        let ended = Ended::of(&detail.status, error, cause);
        let ended = ended.ok_or_else(|| records_its_end_itself(&detail.status))?;
        Ok(Some(Self {
            input,
            execution: Execution {
                id: detail.execution_arn,
                started_at,
            },
            redrive_count: detail.redrive_count.unwrap_or_default(),
            has_failed: detail.status == "FAILED",
            error: ended.error,
            cause: ended.cause,
        }))
    }
}

/// Parses the payload that the state machine or EventBridge calls a stage of a push with. `input` returns the stage's
/// input for the failure of an execution that was stopped.
///
/// # Errors
/// Returns the parser's error if the payload has neither form.
pub fn parse_push<T: DeserializeOwned>(
    payload: Value,
    input: impl FnOnce(Failure) -> T,
) -> Result<Envelope<T>, Error> {
    let Some(stopped) = StoppedExecution::<Push>::parse(&payload)? else {
        return serde_json::from_value(payload);
    };
    if stopped.has_failed {
        return Err(records_its_end_itself("FAILED"));
    }
    let ended = Ended {
        error: stopped.error,
        cause: stopped.cause,
    };
    Ok(Envelope {
        push: stopped.input,
        execution: Execution {
            id: Execution::redriven(stopped.execution.id, stopped.redrive_count),
            ..stopped.execution
        },
        attempt: 0,
        input: input(ended.failure()),
    })
}

/// Returns the error that an execution with this status is not one that others close.
fn records_its_end_itself(status: &str) -> Error {
    Error::custom(format!("an execution that is {status} records its end itself"))
}
