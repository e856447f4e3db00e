//! Reads the event of an execution that could not report its own end, because it was stopped or reached its time limit.

use domain::contract::{Envelope, ReportInput};
use serde_json::Value;

/// Parses the payload that the state machine or EventBridge calls the function with.
///
/// # Errors
/// Returns the parser's error if the payload has neither form.
pub fn parse(payload: Value) -> Result<Envelope<ReportInput>, serde_json::Error> {
    workflow::parse_push(payload, |failure| ReportInput {
        failure: Some(failure),
    })
}
