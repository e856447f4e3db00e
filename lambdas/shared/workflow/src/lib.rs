//! Runs a stage: it does its work once per push, records its output or failure in the audit trail, and fails with an
//! error code.

mod serve;

use std::time::Duration;

use domain::contract::{Envelope, Stage, StageOutput};
use domain::error::{Code, Coded};
use domain::event::{AttemptFailed, PushEvent, PushReceived, PushRetried};
use domain::push::PushId;
use domain::state::PushState;
use serde::Serialize;

pub use serve::{run, run_with};

use audit::{AuditError, AuditTrail, MAX_ATTEMPTS, backoff};
use aws::failure::Failed;

/// The largest output of a stage, in bytes. Step Functions limits a payload to 256 KiB, which holds the outputs of
/// several stages.
const MAX_OUTPUT_BYTES: usize = 100_000;

/// Runs a stage for one push, for at most `time_limit`.
///
/// The output is recorded once. Two copies of a stage may run at the same time, for instance after a call whose
/// response was lost: both then return the output of the one that is recorded first.
///
/// # Errors
/// Returns [`Failed`] with the error code, which decides whether the state machine retries the stage.
pub async fn execute<T, I, O, E, F>(
    stage: Stage,
    trail: &T,
    envelope: &Envelope<I>,
    time_limit: Duration,
    work: F,
) -> Result<O, Failed>
where
    T: AuditTrail,
    O: StageOutput + Serialize,
    E: Coded,
    F: AsyncFn(&Envelope<I>) -> Result<O, E>,
{
    let push_id = envelope.push.push_id;
    // The SDK's futures are nested deeply. Boxing them keeps the type of a stage's future within rustc's recursion
    // limit.
    let mut state = Box::pin(join(stage, trail, envelope))
        .await
        .map_err(|error| audit_failed(stage, push_id, &error))?;
    if let Some(output) = O::recorded(&state) {
        tracing::info!(%stage, %push_id, "done before");
        return Ok(output);
    }
    check_in_charge(stage, envelope, &state)?;
    let result = match tokio::time::timeout(time_limit, Box::pin(work(envelope))).await {
        Ok(Ok(output)) => check_size(stage, output),
        Ok(Err(error)) => Err(Failed::new(&error)),
        Err(_) => Err(Failed::with_cause(
            Code::StageTimedOut,
            &format!("{stage} was stopped after {} s", time_limit.as_secs()),
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
    let Some(event) = event else {
        return result;
    };
    for attempt in 0..MAX_ATTEMPTS {
        let appended = async {
            if trail.try_append(Some(state), event.clone()).await?.is_some() {
                return Ok(None);
            }
            tokio::time::sleep(backoff(attempt)).await;
            trail.load(push_id).await
        };
        state = match Box::pin(appended).await {
            Ok(None) => {
                tracing::info!(%stage, %push_id, event = event.name(), "done");
                return result;
            }
            Ok(Some(state)) => state,
            // A stage's own failure takes precedence over the failure to record it.
            Err(error) => return result.and_then(|_| Err(audit_failed(stage, push_id, &error))),
        };
        if let Some(output) = O::recorded(&state) {
            tracing::info!(%stage, %push_id, "done by another copy of this stage");
            return Ok(output);
        }
        check_in_charge(stage, envelope, &state)?;
    }
    result.and_then(|_| {
        let item = format!("PUSH#{push_id}");
        Err(audit_failed(stage, push_id, &AuditError::Contended { item }))
    })
}

/// Returns the state of the push, after the first execution has begun its trail, or another one has taken over the push
/// in its first stage.
async fn join<T: AuditTrail, I>(
    stage: Stage,
    trail: &T,
    envelope: &Envelope<I>,
) -> Result<PushState, AuditError> {
    let (push, execution) = (&envelope.push, &envelope.execution);
    let (state, _) = trail
        .append(push.push_id, |state| match state {
            None => Some(PushEvent::PushReceived(PushReceived {
                push: push.clone(),
                execution: execution.clone(),
            })),
            Some(state) if stage == Stage::Validate && state.may_be_retried_by(&execution.id) => {
                Some(PushEvent::PushRetried(PushRetried {
                    execution: execution.clone(),
                }))
            }
            Some(_) => None,
        })
        .await?;
    state.ok_or_else(|| AuditError::Contended {
        item: format!("PUSH#{}", push.push_id),
    })
}

/// Refuses the stages of an execution that is over, except `Record`, which decides by itself because it records
/// failures.
fn check_in_charge<I>(stage: Stage, envelope: &Envelope<I>, state: &PushState) -> Result<(), Failed> {
    if stage == Stage::Record || !state.is_over_for(&envelope.execution.id) {
        return Ok(());
    }
    Err(Failed::new(&ExecutionOver::new(&envelope.execution.id, state)))
}

fn audit_failed(stage: Stage, push_id: PushId, error: &AuditError) -> Failed {
    let failed = Failed::new(error);
    tracing::error!(%stage, %push_id, code = %failed.code, cause = failed.cause, "audit trail failed");
    failed
}

/// The execution that has called a stage is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the execution {execution} is over: {reason}")]
pub struct ExecutionOver {
    execution: String,
    reason: String,
}

impl ExecutionOver {
    /// Creates the error, with a reason that follows from the state of the push.
    #[must_use]
    pub fn new(execution: &str, state: &PushState) -> Self {
        let reason = match state.executions.last() {
            Some(last) if last != execution => format!("{last} has taken over the push"),
            _ => "it has failed, or was stopped".to_owned(),
        };
        Self {
            execution: execution.to_owned(),
            reason,
        }
    }
}

impl Coded for ExecutionOver {
    fn code(&self) -> Code {
        Code::ExecutionOver
    }
}

/// Refuses an output that is too large for the state machine. It would end the execution with an error that cannot be
/// caught (`States.DataLimitExceeded`), and nothing would be published.
fn check_size<O: Serialize>(stage: Stage, output: O) -> Result<O, Failed> {
    let bytes = serde_json::to_vec(&output).map_or(0, |json| json.len());
    if bytes <= MAX_OUTPUT_BYTES {
        return Ok(output);
    }
    Err(Failed::with_cause(
        Code::LimitExceeded,
        &format!(
            "the output of {stage} has {bytes} bytes, and may have at most {MAX_OUTPUT_BYTES}: the commit has too many submodules, or their paths are too long"
        ),
    ))
}

#[cfg(test)]
mod tests;
