//! The executions of the state machine: those that the sweep starts, and those whose pushes are open.

use aws::AwsFailure;
use aws::failure::{Failed, chain};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use domain::error::Code;
use workflow::Ended;

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
                return Ok(Some(Ended::aborted(
                    "The execution does not exist any more.",
                    None,
                )));
            }
            Err(error) => return Err(AwsFailure::new("states:DescribeExecution", &error)),
        };
        let (error, cause) = (described.error.as_deref(), described.cause.as_deref());
        Ok(match &described.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
            status => {
                let ended = Ended::of(status.as_str(), error, cause);
                // An execution succeeds only after its push is closed, so the trail is older than it.
                let what = "The execution has ended, and the trail lacks its last events.";
                Some(ended.unwrap_or_else(|| Ended::aborted(what, cause)))
            }
        })
    }
}

/// Returns the failure of a call of Step Functions.
pub fn failed(error: &AwsFailure) -> Failed {
    let code = match error.transient {
        true => Code::WorkflowUnavailable,
        false => Code::WorkflowRefused,
    };
    Failed::with_cause(code, &chain(error))
}
