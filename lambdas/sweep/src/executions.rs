//! The executions of the state machine: those that the sweep starts, and those whose pushes are open.

use aws::AwsFailure;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;

/// How an execution has ended that did not record its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The error's name.
    pub error: String,
    /// What happened.
    pub cause: String,
}

/// The executions of the state machine.
pub trait Executions: Send + Sync {
    /// Starts an execution. Returns `false` if one of this name exists already.
    fn start(&self, name: &str, input: &str) -> impl Future<Output = Result<bool, AwsFailure>> + Send;

    /// Returns how the execution with this ARN has ended, or `None` if it still runs.
    fn ended(&self, arn: &str) -> impl Future<Output = Result<Option<Ended>, AwsFailure>> + Send;
}

/// A state machine in Step Functions.
#[derive(Debug, Clone)]
pub struct StateMachine {
    client: Client,
    arn: String,
}

impl StateMachine {
    /// Creates a client of the state machine with this ARN.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, arn: String) -> Self {
        Self {
            client: Client::new(config),
            arn,
        }
    }
}

impl Executions for StateMachine {
    async fn start(&self, name: &str, input: &str) -> Result<bool, AwsFailure> {
        let start = self.client.start_execution().state_machine_arn(&self.arn);
        match start.name(name).input(input).send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(StartExecutionError::is_execution_already_exists) =>
            {
                Ok(false)
            }
            Err(error) => Err(AwsFailure::new("states:StartExecution", &error)),
        }
    }

    async fn ended(&self, arn: &str) -> Result<Option<Ended>, AwsFailure> {
        let described = self.client.describe_execution().execution_arn(arn).send().await;
        let described = match described {
            Ok(described) => described,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeExecutionError::is_execution_does_not_exist) =>
            {
                return Ok(Some(Ended::new(
                    "ExecutionAborted",
                    "The execution does not exist any more.",
                    None,
                )));
            }
            Err(error) => return Err(AwsFailure::new("states:DescribeExecution", &error)),
        };
        let cause = described.cause.as_deref();
        Ok(match described.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
            ExecutionStatus::TimedOut => {
                let what = "The execution reached its time limit.";
                Some(Ended::new("ExecutionTimedOut", what, cause))
            }
            ExecutionStatus::Failed => {
                let error = described.error.as_deref().unwrap_or("ExecutionFailed");
                Some(Ended::new(error, "The execution failed.", cause))
            }
            ExecutionStatus::Aborted => Some(Ended::new(
                "ExecutionAborted",
                "The execution was stopped.",
                cause,
            )),
            // An execution succeeds only after its push is closed, so the trail is older than it.
            _ => Some(Ended::new(
                "ExecutionAborted",
                "The execution has ended, and the trail lacks its last events.",
                cause,
            )),
        })
    }
}

impl Ended {
    fn new(error: &str, what: &str, cause: Option<&str>) -> Self {
        Self {
            error: error.to_owned(),
            cause: match cause {
                Some(cause) if !cause.is_empty() => format!("{what} {cause}"),
                _ => what.to_owned(),
            },
        }
    }
}
