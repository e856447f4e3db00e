//! Another execution of a push that is in the trail.

use audit::Filter;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::ExecutionStatus;
use domain::execution::Execution;
use domain::push_index::Category;
use domain::state::PushState;
use uuid::Uuid;

use crate::{Error, Stack, overtaken, trail};

/// How many pushes are looked for at once.
const PAGE: usize = 200;

/// Starts another execution of a push, which takes it over, as sending its webhook again does. Returns its ARN.
///
/// The input is the push as the trail has it, so that the webhook is not needed any more.
///
/// # Errors
/// Returns [`Error::StillRunning`] if the execution in charge has not ended, or an error of AWS.
pub async fn replay(stack: &Stack, push: &PushState) -> Result<String, Error> {
    let push_id = push.push_id();
    if let Some(execution) = push.executions.last()
        && is_running(stack, execution).await?
    {
        return Err(Error::StillRunning {
            push_id: push_id.to_string(),
            execution: execution.clone(),
        });
    }
    let input = serde_json::to_string(&push.push).map_err(Error::aws("write the execution's input"))?;
    let start = stack
        .step_functions()
        .start_execution()
        .state_machine_arn(stack.output("StateMachineArn")?)
        .name(format!("{push_id}-replay-{}", Uuid::new_v4().simple()))
        .input(input);
    let started = start.send().await;
    let started = started.map_err(Error::aws(format!("start an execution of push {push_id}")))?;
    Ok(started.execution_arn)
}

/// Returns the pushes that have failed and that a filter lets pass, the oldest first, without those that were overtaken
/// by a newer push.
///
/// Started in this order, the newest of each ref is the last one to arrive, as it was at first.
///
/// # Errors
/// As of [`trail::list`].
pub async fn failed(stack: &Stack, filter: Filter) -> Result<Vec<PushState>, Error> {
    let mut filter = Filter {
        categories: vec![Category::Failed],
        ..filter
    };
    let mut failed = Vec::new();
    loop {
        let page = trail::list(stack, &filter, PAGE).await?;
        failed.extend(page.pushes);
        filter.before = page.next;
        if filter.before.is_none() {
            failed.sort_by_key(|push: &PushState| push.received_at);
            return overtaken::leave_out(stack, failed).await;
        }
    }
}

/// Returns whether an execution has not ended. Step Functions forgets executions 90 days after their end.
async fn is_running(stack: &Stack, execution: &str) -> Result<bool, Error> {
    let describe = stack
        .step_functions()
        .describe_execution()
        .execution_arn(Execution::arn(execution));
    match describe.send().await {
        Ok(described) => Ok(matches!(
            described.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        )),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DescribeExecutionError::is_execution_does_not_exist) =>
        {
            Ok(false)
        }
        Err(error) => Err(Error::aws(format!("describe the execution {execution}"))(error)),
    }
}
