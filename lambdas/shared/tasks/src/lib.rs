//! Tasks of Step Functions that wait until they are answered by their token.

use aws::failure::Failed;
use aws::{AwsFailure, executions};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::types::ExecutionStatus;
use domain::error::{Code, Coded};
use serde::Serialize;

/// The errors that nobody waits for an answer any more.
const NOT_WAITING: [&str; 3] = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"];

/// Tasks that wait for an answer, and the executions that they belong to.
pub trait Tasks: Send + Sync {
    /// Answers a task with its output, as JSON text. Returns `false` if nobody waits for the answer any more, because
    /// the task was answered before or the execution has ended.
    fn succeed(&self, token: &str, output: &str) -> impl Future<Output = Result<bool, TasksError>> + Send;

    /// Answers a task with a failure. Returns `false` if nobody waits for the answer any more.
    fn fail(&self, token: &str, failed: &Failed) -> impl Future<Output = Result<bool, TasksError>> + Send;

    /// Returns whether an execution runs.
    fn is_running(&self, execution_id: &str) -> impl Future<Output = Result<bool, TasksError>> + Send;
}

/// The executions of a state machine.
pub trait Executions: Send + Sync {
    /// Starts an execution with this name and this input, as JSON text, unless there is one of the name.
    fn start(
        &self,
        state_machine_arn: &str,
        name: &str,
        input: &str,
    ) -> impl Future<Output = Result<(), TasksError>> + Send;
}

/// Why Step Functions cannot be asked or told.
#[derive(Debug, thiserror::Error)]
#[error("Step Functions cannot be reached, or refuses the request")]
pub struct TasksError(#[from] AwsFailure);

impl Coded for TasksError {
    fn code(&self) -> Code {
        executions::code_of(&self.0)
    }
}

/// Answers a task with `ended`, which for a failure is the same as if the function had failed without a token.
///
/// A function whose task waits for a token has to answer by the token on every path. (A failure of the function itself
/// fails the task on AWS, but not on the local AWS, where the task waits until it times out.)
///
/// # Errors
/// Returns the failure if Step Functions cannot be told.
pub async fn answer<O: Serialize>(
    tasks: &impl Tasks,
    token: &str,
    ended: Result<Option<O>, Failed>,
) -> Result<(), Failed> {
    let told = match &ended {
        Ok(None) => return Ok(()),
        Ok(Some(output)) => {
            let output = serde_json::to_string(output).map_err(|error| {
                Failed::with_cause(Code::InputInvalid, &format!("the answer is no JSON: {error}"))
            })?;
            tasks.succeed(token, &output).await
        }
        Err(failed) => {
            tracing::error!(code = %failed.code, cause = failed.cause, "attempt failed");
            tasks.fail(token, failed).await
        }
    };
    told.map(|_| ()).map_err(|error| match ended {
        Ok(_) => Failed::new(&error),
        Err(failed) => failed,
    })
}

/// Step Functions.
#[derive(Debug, Clone)]
pub struct StepFunctions {
    client: Client,
}

impl StepFunctions {
    /// Creates a client.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }
}

/// Returns `false` for an error that says that nobody waits for the answer.
fn told<O, E>(
    operation: &'static str,
    response: Result<O, aws_sdk_sfn::error::SdkError<E, aws_sdk_sfn::config::http::HttpResponse>>,
) -> Result<bool, TasksError>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match response {
        Ok(_) => Ok(true),
        Err(error) => {
            let failure = AwsFailure::new(operation, &error);
            if NOT_WAITING.iter().any(|code| failure.is(code)) {
                return Ok(false);
            }
            Err(failure.into())
        }
    }
}

impl Tasks for StepFunctions {
    async fn succeed(&self, token: &str, output: &str) -> Result<bool, TasksError> {
        let request = self.client.send_task_success().task_token(token).output(output);
        told("states:SendTaskSuccess", request.send().await)
    }

    async fn fail(&self, token: &str, failed: &Failed) -> Result<bool, TasksError> {
        let request = self
            .client
            .send_task_failure()
            .task_token(token)
            .error(failed.code.as_str())
            .cause(&failed.cause);
        told("states:SendTaskFailure", request.send().await)
    }

    async fn is_running(&self, execution_id: &str) -> Result<bool, TasksError> {
        match executions::describe(&self.client, execution_id).await {
            Ok(execution) => Ok(execution.status == ExecutionStatus::Running),
            Err(failure) if failure.is(executions::DOES_NOT_EXIST) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl Executions for StepFunctions {
    async fn start(&self, state_machine_arn: &str, name: &str, input: &str) -> Result<(), TasksError> {
        executions::start(&self.client, state_machine_arn, name, input).await?;
        Ok(())
    }
}
