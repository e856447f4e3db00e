//! Executions of the state machine.

use aws::AwsFailure;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;

/// An existing execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionStatus {
    /// Its ARN.
    pub arn: String,
    /// Its input, as JSON text.
    pub input: String,
    /// Whether another execution of the same push may follow it.
    pub may_be_followed: bool,
}

/// The endings after which another execution may follow: the settings may have been corrected since a push was ignored,
/// and an execution that has replaced another one may itself have failed.
const ENDINGS_TO_FOLLOW: [&str; 2] = ["Ignored", "Replaced"];

/// Returns whether another execution may follow one with this status and output.
fn may_be_followed(status: &str, output: Option<&str>) -> bool {
    match status {
        "FAILED" | "TIMED_OUT" | "ABORTED" => true,
        "SUCCEEDED" => {
            let output = output.and_then(|output| serde_json::from_str::<serde_json::Value>(output).ok());
            let ending = output.as_ref().and_then(|output| output["status"].as_str());
            ending.is_some_and(|ending| ENDINGS_TO_FOLLOW.contains(&ending))
        }
        _ => false,
    }
}

/// The state machine's executions.
pub trait Executions: Send + Sync {
    /// Starts an execution. Returns its ARN, or `None` if an execution of this name exists already.
    fn start(
        &self,
        name: &str,
        input: &str,
    ) -> impl Future<Output = Result<Option<String>, AwsFailure>> + Send;

    /// Returns the execution of this name.
    fn describe(&self, name: &str) -> impl Future<Output = Result<ExecutionStatus, AwsFailure>> + Send;
}

/// A state machine in Step Functions.
#[derive(Debug, Clone)]
pub struct StepFunctions {
    client: Client,
    state_machine_arn: String,
}

impl StepFunctions {
    /// Creates a client of the state machine with this ARN.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, state_machine_arn: String) -> Self {
        Self {
            client: Client::new(config),
            state_machine_arn,
        }
    }
}

impl Executions for StepFunctions {
    async fn start(&self, name: &str, input: &str) -> Result<Option<String>, AwsFailure> {
        let response = self
            .client
            .start_execution()
            .state_machine_arn(&self.state_machine_arn)
            .name(name)
            .input(input)
            .send()
            .await;
        match response {
            Ok(output) => Ok(Some(output.execution_arn)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(StartExecutionError::is_execution_already_exists) =>
            {
                Ok(None)
            }
            Err(error) => Err(AwsFailure::new("states:StartExecution", &error)),
        }
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        let arn = format!(
            "{}:{name}",
            self.state_machine_arn.replace(":stateMachine:", ":execution:")
        );
        let output = self
            .client
            .describe_execution()
            .execution_arn(&arn)
            .send()
            .await
            .map_err(|error| AwsFailure::new("states:DescribeExecution", &error))?;
        Ok(ExecutionStatus {
            arn,
            input: output.input.unwrap_or_default(),
            may_be_followed: may_be_followed(output.status.as_str(), output.output.as_deref()),
        })
    }
}

#[cfg(test)]
mod tests;
