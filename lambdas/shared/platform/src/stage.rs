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
/// The largest output, in bytes: Step Functions takes 256 KiB of a payload, in which there is more than one stage's.
const MOST_OUTPUT_BYTES: usize = 100_000;

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
    O: StageOutput + Serialize,
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
        Ok(Ok(output)) => check_size(stage, output),
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

/// An output that the state machine cannot hand on would end the execution with an error that nothing can catch
/// (`States.DataLimitExceeded`), and nobody would be told.
fn check_size<O: Serialize>(stage: Stage, output: O) -> Result<O, Failed> {
    let bytes = serde_json::to_vec(&output).map_or(0, |json| json.len());
    if bytes <= MOST_OUTPUT_BYTES {
        return Ok(output);
    }
    Err(Failed::with_cause(
        Code::LimitExceeded,
        &format!(
            "what {stage} has to say of the push has {bytes} bytes, and the state machine takes {MOST_OUTPUT_BYTES}: it has too many submodules, or their paths are too long"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use domain::contract::{Archive, StagedObject};

    use super::*;

    #[test]
    fn an_output_that_nobody_could_hand_on_is_a_failure_of_its_own() {
        let archive = |characters| Archive {
            object: StagedObject {
                key: "pushes/1/archive.zip".parse().unwrap(),
                size: 7,
            },
            sha256: "c".repeat(64),
            entries: 1,
            warnings: vec!["x".repeat(characters)],
        };
        assert!(check_size(Stage::Package, archive(90_000)).is_ok());
        let failed = check_size(Stage::Package, archive(100_000)).unwrap_err();
        assert_eq!(failed.code, Code::LimitExceeded);
        assert!(
            failed.cause.contains("Package") && failed.cause.len() < 1_000,
            "{failed}"
        );
    }
}
