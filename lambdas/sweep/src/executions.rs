//! The executions of the state machine: those that the sweep starts, and those whose pushes are open.

use aws::failure::{Failed, chain};
use aws::{AwsFailure, executions};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
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
        let started = executions::start(&self.client, &self.arn, name, input).await?;
        Ok(started.is_some())
    }

    async fn ended(&self, arn: &str) -> Result<Option<Ended>, AwsFailure> {
        let described = match executions::describe(&self.client, arn).await {
            Ok(described) => described,
            Err(failure) if failure.is(executions::DOES_NOT_EXIST) => {
                let what = "The execution does not exist any more.";
                return Ok(Some(Ended::aborted(what, None)));
            }
            Err(failure) => return Err(failure),
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
    Failed::with_cause(executions::code_of(error), &chain(error))
}
