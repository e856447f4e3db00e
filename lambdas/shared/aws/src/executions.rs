//! Executions of a state machine in Step Functions.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use domain::error::Code;

use crate::AwsFailure;

/// The error's code for an execution that does not exist.
pub const DOES_NOT_EXIST: &str = "ExecutionDoesNotExist";

/// Starts an execution with this name and this input, as JSON text. Returns its ARN, or `None` if there is one of the
/// name already.
///
/// # Errors
/// Returns an [`AwsFailure`] if Step Functions does not start it.
pub async fn start(
    client: &Client,
    state_machine_arn: &str,
    name: &str,
    input: &str,
) -> Result<Option<String>, AwsFailure> {
    let request = client.start_execution().state_machine_arn(state_machine_arn);
    match request.name(name).input(input).send().await {
        Ok(started) => Ok(Some(started.execution_arn)),
        Err(error) => {
            let failure = AwsFailure::new("states:StartExecution", &error);
            if failure.is("ExecutionAlreadyExists") {
                return Ok(None);
            }
            Err(failure)
        }
    }
}

/// Describes an execution.
///
/// # Errors
/// Returns an [`AwsFailure`] if Step Functions does not say it, with the code [`DOES_NOT_EXIST`] if there is none with
/// this ARN, as some months after its end.
pub async fn describe(client: &Client, arn: &str) -> Result<DescribeExecutionOutput, AwsFailure> {
    let described = client.describe_execution().execution_arn(arn).send().await;
    described.map_err(|error| AwsFailure::new("states:DescribeExecution", &error))
}

/// Returns the code of a failure of Step Functions.
#[must_use]
pub fn code_of(failure: &AwsFailure) -> Code {
    match failure.transient {
        true => Code::WorkflowUnavailable,
        false => Code::WorkflowRefused,
    }
}
