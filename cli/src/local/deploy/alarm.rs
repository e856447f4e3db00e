//! The alarm that judges the example on this machine. The local AWS raises no alarm by itself, so this does.

use deployed_stack::{Error, Stack};
use serde_json::{Value, json};

/// Creates the alarm, which is not raised.
///
/// # Errors
/// Returns an error if the local AWS refuses it.
pub async fn create(stack: &Stack, name: &str) -> Result<(), Error> {
    let alarm = json!({
        "AlarmName": name,
        "Namespace": "push-code/local",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    });
    call(stack, "putMetricAlarm", alarm).await?;
    set(stack, name, "OK").await
}

/// Sets the alarm's state, `OK` or `ALARM`.
///
/// # Errors
/// Returns an error if the local AWS refuses it.
pub async fn set(stack: &Stack, name: &str, state: &str) -> Result<(), Error> {
    let state = json!({ "AlarmName": name, "StateValue": state, "StateReason": "by push-code local deploy" });
    call(stack, "setAlarmState", state).await
}

/// Calls CloudWatch by a state machine of one state, because the workspace has no SDK of CloudWatch.
async fn call(stack: &Stack, action: &str, arguments: Value) -> Result<(), Error> {
    let client = stack.step_functions();
    let described = || format!("call CloudWatch's {action}");
    let definition = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Call",
        "States": { "Call": {
            "Type": "Task",
            "Resource": format!("arn:aws:states:::aws-sdk:cloudwatch:{action}"),
            "Arguments": arguments,
            "End": true,
        }},
    });
    // The local AWS wants a role that is there, and does not enforce it for state machines.
    let existing = client
        .describe_state_machine()
        .state_machine_arn(stack.output("StateMachineArn")?)
        .send()
        .await
        .map_err(Error::aws(described()))?;
    let machine = client
        .create_state_machine()
        .name(format!("local-{}", uuid::Uuid::new_v4().simple()))
        .role_arn(existing.role_arn)
        .definition(definition.to_string())
        .send()
        .await
        .map_err(Error::aws(described()))?;
    let started = client
        .start_execution()
        .state_machine_arn(&machine.state_machine_arn)
        .send()
        .await
        .map_err(Error::aws(described()))?;
    let ended = deployed_stack::follow::follow(&client, &started.execution_arn, |_| ()).await?;
    client
        .delete_state_machine()
        .state_machine_arn(&machine.state_machine_arn)
        .send()
        .await
        .map_err(Error::aws(described()))?;
    match ended.error {
        None => Ok(()),
        Some(error) => Err(Error::Aws {
            action: described(),
            message: format!("{error}: {}", ended.cause.unwrap_or_default()),
        }),
    }
}
