//! Executions of the state machine, by their names.

use aws::AwsFailure;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;

/// What has become of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is no execution of this name.
    Unknown,
    /// It goes on.
    Running,
    /// It has this output.
    Succeeded(String),
    /// It has failed.
    Failed(Failure),
}

/// Why an execution has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error's name.
    pub error: String,
    /// What happened.
    pub cause: String,
}

/// The state machine's executions.
pub trait Executions: Send + Sync {
    /// Starts an execution of this name, unless there is one.
    fn start(&self, name: &str, input: &str) -> impl Future<Output = Result<(), AwsFailure>> + Send;

    /// Returns what has become of the execution of this name.
    fn look(&self, name: &str) -> impl Future<Output = Result<Status, AwsFailure>> + Send;
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
    async fn start(&self, name: &str, input: &str) -> Result<(), AwsFailure> {
        let start = self.client.start_execution();
        let start = start
            .state_machine_arn(&self.state_machine_arn)
            .name(name)
            .input(input);
        match start.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(StartExecutionError::is_execution_already_exists) =>
            {
                Ok(())
            }
            Err(error) => Err(AwsFailure::new("states:StartExecution", &error)),
        }
    }

    async fn look(&self, name: &str) -> Result<Status, AwsFailure> {
        let machine = self.state_machine_arn.replace(":stateMachine:", ":execution:");
        let describe = self.client.describe_execution();
        let execution = match describe.execution_arn(format!("{machine}:{name}")).send().await {
            Ok(execution) => execution,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeExecutionError::is_execution_does_not_exist) =>
            {
                return Ok(Status::Unknown);
            }
            Err(error) => return Err(AwsFailure::new("states:DescribeExecution", &error)),
        };
        Ok(match execution.status {
            ExecutionStatus::Succeeded => Status::Succeeded(execution.output.unwrap_or_default()),
            ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {
                let status = execution.status.as_str();
                Status::Failed(Failure {
                    error: execution.error.unwrap_or_else(|| status.to_owned()),
                    cause: execution
                        .cause
                        .unwrap_or_else(|| format!("the execution is {status}")),
                })
            }
            _ => Status::Running,
        })
    }
}
