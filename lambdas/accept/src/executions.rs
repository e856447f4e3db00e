//! Executions of the state machine.

use aws::AwsFailure;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;

/// An execution that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionStatus {
    /// Its ARN.
    pub arn: String,
    /// Its input, as text.
    pub input: String,
    /// Whether another execution has something to do.
    pub may_be_followed: bool,
}

/// How an execution may end that another one may follow: settings may have been corrected since a push was ignored, and
/// one that took the push over may have failed.
const ENDINGS_TO_FOLLOW: [&str; 2] = ["Ignored", "Replaced"];

/// Whether another execution may follow one of this status and output.
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
    /// Starts an execution, and gives its ARN. `None` if there has been one of this name.
    fn start(
        &self,
        name: &str,
        input: &str,
    ) -> impl Future<Output = Result<Option<String>, AwsFailure>> + Send;

    /// The execution of this name.
    fn describe(&self, name: &str) -> impl Future<Output = Result<ExecutionStatus, AwsFailure>> + Send;
}

/// A state machine in Step Functions.
#[derive(Debug, Clone)]
pub struct StepFunctions {
    client: Client,
    state_machine_arn: String,
}

impl StepFunctions {
    /// The state machine with this ARN.
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
