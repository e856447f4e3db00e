//! Runs a stage: it does its work once per push or deployment, records its output or failure in the audit trail, and
//! fails with an error code.

mod call;
mod ended;
mod serve;
mod stopped;

use std::time::Duration;

use domain::aggregate::Aggregate;
use domain::cost::Attempt;
use domain::error::{Code, Coded};
use domain::flow::{AttemptFailed, Flow, Payload, StageOutput};
use domain::push::Push;
use serde::Serialize;

pub use call::Call;
pub use ended::Ended;
pub use serve::{run, run_with, serve, time_limit, to_json};
pub use stopped::{StoppedExecution, parse_push};

use audit::{AuditError, EventStore, MAX_ATTEMPTS, backoff};
use aws::failure::Failed;

/// The largest output of a stage, in bytes. Step Functions limits a payload to 256 KiB, which holds the outputs of
/// several stages.
pub const MAX_OUTPUT_BYTES: usize = 100_000;

type IdOf<P> = <<P as Payload>::Flow as Aggregate>::Id;
type StateOf<P> = <<P as Payload>::Flow as Aggregate>::State;
type StageOf<P> = <<P as Payload>::Flow as Flow>::Stage;

/// Logs a line with the id of a push as `push_id`, or of another aggregate as `id`.
macro_rules! log {
    ($level:ident, $flow:ty, $id:expr, $($fields:tt)+) => {
        if <$flow>::KIND == Push::KIND {
            tracing::$level!(push_id = %$id, $($fields)+);
        } else {
            tracing::$level!(id = %$id, $($fields)+);
        }
    };
}

/// Runs a stage for one push or deployment, for at most `time_limit`.
///
/// The output is recorded once. Two copies of a stage may run at the same time, for instance after a call whose
/// response was lost: both then return the output of the one that is recorded first.
///
/// # Errors
/// Returns [`Failed`] with the error code, which decides whether the state machine retries the stage.
pub async fn execute<T, P, O, E, F>(
    stage: StageOf<P>,
    trail: &T,
    payload: &P,
    time_limit: Duration,
    work: F,
) -> Result<O, Failed>
where
    P: Payload,
    T: EventStore<P::Flow>,
    O: StageOutput<P::Flow> + Serialize,
    E: Coded,
    F: AsyncFn(&P) -> Result<O, E>,
{
    let id = payload.id();
    // The SDK's futures are nested deeply. Boxing them keeps the type of a stage's future within rustc's recursion
    // limit.
    let mut state = Box::pin(join(stage, trail, payload))
        .await
        .map_err(|error| audit_failed::<P>(stage, id, &error))?;
    if let Some(output) = recorded(payload, &state) {
        log!(info, P::Flow, id, %stage, "done before");
        return Ok(output);
    }
    check_in_charge(stage, payload, &state)?;
    let began = tokio::time::Instant::now();
    let result = match tokio::time::timeout(time_limit, Box::pin(work(payload))).await {
        Ok(Ok(output)) => check_size::<P, O>(stage, output),
        Ok(Err(error)) => Err(Failed::new(&error)),
        Err(_) => Err(Failed::with_cause(
            Code::StageTimedOut,
            &format!("{stage} was stopped after {} s", time_limit.as_secs()),
        )),
    };
    let event = match &result {
        Ok(output) => output.event(),
        Err(failed) => {
            let attempt = payload.attempt();
            log!(error, P::Flow, id, %stage, attempt, code = %failed.code, cause = failed.cause, "attempt failed");
            Some(P::Flow::attempt_failed(AttemptFailed {
                stage,
                attempt,
                execution_id: payload.execution().id.clone(),
                error: failed.code.to_string(),
                cause: failed.cause.clone(),
                failed_at: None,
            }))
        }
    };
    let Some(event) = event else {
        return result;
    };
    let used = Attempt {
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        memory_mib: aws::settings::memory_mib(),
    };
    for attempt in 0..MAX_ATTEMPTS {
        let appended = async {
            if trail
                .try_append_measured(Some(state), event.clone(), Some(used))
                .await?
                .is_some()
            {
                return Ok(None);
            }
            tokio::time::sleep(backoff(attempt)).await;
            trail.load(id).await
        };
        state = match Box::pin(appended).await {
            Ok(None) => {
                log!(info, P::Flow, id, %stage, event = P::Flow::name(&event), "done");
                return result;
            }
            Ok(Some(state)) => state,
            // A stage's own failure takes precedence over the failure to record it.
            Err(error) => return result.and_then(|_| Err(audit_failed::<P>(stage, id, &error))),
        };
        if let Some(output) = recorded(payload, &state) {
            log!(info, P::Flow, id, %stage, "done by another copy of this stage");
            return Ok(output);
        }
        check_in_charge(stage, payload, &state)?;
    }
    result.and_then(|_| {
        let error = AuditError::contended::<P::Flow>(id);
        Err(audit_failed::<P>(stage, id, &error))
    })
}

/// Returns the state of the push or deployment, after the execution has begun its trail or taken it over if it is to.
async fn join<T, P>(stage: StageOf<P>, trail: &T, payload: &P) -> Result<StateOf<P>, AuditError>
where
    P: Payload,
    T: EventStore<P::Flow>,
{
    let id = payload.id();
    let (state, _) = trail
        .append(id, |state| payload.opening_event(stage, state))
        .await?;
    state.ok_or_else(|| AuditError::contended::<P::Flow>(id))
}

/// Returns the output that another run of the stage has recorded.
fn recorded<P: Payload, O: StageOutput<P::Flow>>(payload: &P, state: &StateOf<P>) -> Option<O> {
    let is_of_another = P::Flow::is_of_another(state, &payload.execution().id);
    (!is_of_another).then(|| O::recorded(state)).flatten()
}

/// Refuses the stages of an execution that is over, except one that decides by itself because it records failures.
fn check_in_charge<P: Payload>(stage: StageOf<P>, payload: &P, state: &StateOf<P>) -> Result<(), Failed> {
    let execution_id = &payload.execution().id;
    if P::Flow::runs_when_over(stage) || !P::Flow::is_over_for(state, execution_id) {
        return Ok(());
    }
    Err(Failed::new(&ExecutionOver::new::<P::Flow>(execution_id, state)))
}

fn audit_failed<P: Payload>(stage: StageOf<P>, id: IdOf<P>, error: &AuditError) -> Failed {
    let failed = Failed::new(error);
    log!(error, P::Flow, id, %stage, code = %failed.code, cause = failed.cause, "audit trail failed");
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
    /// Creates the error, with a reason that follows from the state of the push or deployment.
    #[must_use]
    pub fn new<F: Flow>(execution: &str, state: &F::State) -> Self {
        let executions = F::executions(state);
        let reason = match executions.last() {
            Some(last) if last == execution => "it has failed, or was stopped".to_owned(),
            Some(last) if executions.iter().any(|begun| begun == execution) => {
                format!("{last} has taken over the {}", F::noun())
            }
            _ => format!("it has not taken over the {}", F::noun()),
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
fn check_size<P: Payload, O: Serialize>(stage: StageOf<P>, output: O) -> Result<O, Failed> {
    let bytes = serde_json::to_vec(&output).map_or(0, |json| json.len());
    if bytes <= MAX_OUTPUT_BYTES {
        return Ok(output);
    }
    Err(Failed::with_cause(
        Code::LimitExceeded,
        &format!(
            "the output of {stage} has {bytes} bytes, and may have at most {MAX_OUTPUT_BYTES}: {}",
            P::Flow::LARGE_OUTPUT
        ),
    ))
}

#[cfg(test)]
mod tests;
