//! What every stage has in common: it does its work once per push, writes down what came of it, and fails with a name.

use std::time::{Duration, SystemTime};

use domain::contract::{Envelope, Stage, StageOutput};
use domain::error::{Code, Coded};
use domain::event::{AttemptFailed, PushEvent, PushReceived};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::AuditTrail;
use crate::failure::Failed;

/// What is left of a function's time when its stage is told to stop, so that it can still say so.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves a stage as a Lambda.
///
/// # Errors
/// Where the Lambda runtime API cannot be spoken to.
pub async fn run<T, I, O, E, F>(stage: Stage, trail: T, work: F) -> Result<(), lambda_runtime::Error>
where
    T: AuditTrail,
    I: DeserializeOwned,
    O: StageOutput + Serialize,
    E: Coded,
    F: AsyncFn(&Envelope<I>) -> Result<O, E>,
{
    let (trail, work) = (&trail, &work);
    lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let envelope = serde_json::from_value::<Envelope<I>>(event.payload).map_err(|error| {
            let cause = format!("the input of {stage} is not what the state machine sends: {error}");
            tracing::error!(%stage, cause, "input invalid");
            Failed::with_cause(Code::InputInvalid, &cause)
        })?;
        let left = event
            .context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let patience = left.saturating_sub(FAREWELL).max(left / 2);
        execute(stage, trail, &envelope, patience, work)
            .await
            .map_err(Diagnostic::from)
    }))
    .await
}

/// Runs a stage for one push, at most for `patience`.
///
/// # Errors
/// [`Failed`] with the code that the state machine's retries and people go by.
pub async fn execute<T, I, O, E, F>(
    stage: Stage,
    trail: &T,
    envelope: &Envelope<I>,
    patience: Duration,
    work: F,
) -> Result<O, Failed>
where
    T: AuditTrail,
    O: StageOutput,
    E: Coded,
    F: AsyncFn(&Envelope<I>) -> Result<O, E>,
{
    let push_id = envelope.push.push_id;
    let audit_failed = |error: crate::audit::AuditError| {
        let failed = Failed::new(&error);
        tracing::error!(%stage, %push_id, code = %failed.code, cause = failed.cause, "audit trail failed");
        failed
    };
    let state = match trail.load(push_id).await.map_err(audit_failed)? {
        Some(state) => state,
        None => trail
            .append(
                None,
                PushEvent::PushReceived(PushReceived {
                    push: envelope.push.clone(),
                    execution: envelope.execution.clone(),
                }),
            )
            .await
            .map_err(audit_failed)?,
    };
    if let Some(output) = O::recorded(&state) {
        tracing::info!(%stage, %push_id, "done before");
        return Ok(output);
    }
    let result = match tokio::time::timeout(patience, work(envelope)).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(Failed::new(&error)),
        Err(_) => Err(Failed::with_cause(
            Code::StageTimedOut,
            &format!("{stage} was stopped after {} s", patience.as_secs()),
        )),
    };
    let event = match &result {
        Ok(output) => output.event(),
        Err(failed) => {
            tracing::error!(%stage, %push_id, attempt = envelope.attempt, code = %failed.code, cause = failed.cause, "attempt failed");
            Some(PushEvent::AttemptFailed(AttemptFailed {
                stage,
                attempt: envelope.attempt,
                execution_id: envelope.execution.id.clone(),
                error: failed.code.to_string(),
                cause: failed.cause.clone(),
            }))
        }
    };
    if let Some(event) = event {
        let name = event.name();
        let appended = trail.append(Some(state), event).await.map_err(audit_failed);
        // A stage's own failure is worth more than the failure to write it down.
        if let (Err(failed), Ok(_)) = (appended, &result) {
            return Err(failed);
        }
        tracing::info!(%stage, %push_id, event = name, "done");
    }
    result
}
