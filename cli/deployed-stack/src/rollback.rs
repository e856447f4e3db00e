//! A destination gets an earlier version again.

use domain::push::PushId;
use domain::state::PushState;
use uuid::Uuid;

use crate::{Error, Stack};

/// Starts the push that delivers the zip of `to` again, to the destination of its ref. Returns its id.
///
/// # Errors
/// Returns [`Error::NoVersion`] if `to` has no zip in a bucket that keeps versions, or an error of AWS.
pub async fn roll_back(stack: &Stack, to: &PushState) -> Result<PushId, Error> {
    let id = to.push_id();
    let no_version = |reason: String| Error::NoVersion {
        push_id: id.to_string(),
        reason,
    };
    let zip = to.delivered.as_ref();
    let zip = zip.ok_or_else(|| no_version(format!("it was not delivered (it is {})", to.status)))?;
    if zip.version_id.is_none() {
        return Err(no_version(format!("the bucket {} keeps no versions", zip.bucket)));
    }
    let rollback = to
        .push
        .rolled_back_to(Uuid::new_v4(), Some(stack.caller().await?));
    let action = || format!("roll back to push {id}");
    let input = serde_json::to_string(&rollback).map_err(Error::aws(action()))?;
    stack
        .step_functions()
        .start_execution()
        .state_machine_arn(stack.output("StateMachineArn")?)
        .name(rollback.push_id.to_string())
        .input(input)
        .send()
        .await
        .map_err(Error::aws(action()))?;
    Ok(rollback.push_id)
}
