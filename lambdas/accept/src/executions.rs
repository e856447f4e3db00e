//! Executions of the state machine.

use aws::{AwsFailure, executions};
use aws_sdk_sfn::Client;

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
        executions::start(&self.client, &self.state_machine_arn, name, input).await
    }

    async fn describe(&self, name: &str) -> Result<ExecutionStatus, AwsFailure> {
        let arn = format!(
            "{}:{name}",
            self.state_machine_arn.replace(":stateMachine:", ":execution:")
        );
        let described = executions::describe(&self.client, &arn).await?;
        Ok(ExecutionStatus {
            arn,
            input: described.input.unwrap_or_default(),
            may_be_followed: may_be_followed(described.status.as_str(), described.output.as_deref()),
        })
    }
}

#[cfg(test)]
mod tests;
