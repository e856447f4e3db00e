//! A stage as a Lambda: from the runtime's event to the answer, in time.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use domain::contract::{Envelope, Stage, StageOutput};
use domain::error::{Code, Coded};
use lambda_runtime::tower::util::MapFutureLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::execute;
use audit::AuditTrail;
use aws::failure::Failed;

/// What is left of a function's time when its stage is told to stop, so that it can still say so.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(5);

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
    run_with(stage, trail, serde_json::from_value, work).await
}

/// [`run`] for a stage that is called with something else too, from which `parse` makes what the state machine sends.
///
/// A stage that runs out of time leaves what cannot be stopped, such as a thread that is busy: once its failure is answered
/// the process ends, and Lambda starts the next push in a new one.
///
/// # Errors
/// As [`run`].
pub async fn run_with<T, I, O, E, P, F>(
    stage: Stage,
    trail: T,
    parse: P,
    work: F,
) -> Result<(), lambda_runtime::Error>
where
    T: AuditTrail,
    P: Fn(serde_json::Value) -> Result<Envelope<I>, serde_json::Error>,
    O: StageOutput + Serialize,
    E: Coded,
    F: AsyncFn(&Envelope<I>) -> Result<O, E>,
{
    let (trail, parse, work) = (&trail, &parse, &work);
    let was_stopped = &AtomicBool::new(false);
    let handler = service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let envelope = parse(event.payload).map_err(|error| {
            let cause = format!("the input of {stage} is not what the state machine sends: {error}");
            tracing::error!(%stage, cause, "input invalid");
            Failed::with_cause(Code::InputInvalid, &cause)
        })?;
        let left = event
            .context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let ended = execute(stage, trail, &envelope, time_limit(left), work).await;
        if let Err(failed) = &ended {
            was_stopped.store(failed.code == Code::StageTimedOut, Ordering::Relaxed);
        }
        ended.map_err(Diagnostic::from)
    });
    // The service around the handler is done when the runtime API has taken the answer.
    let end_if_stopped = MapFutureLayer::new(|answered| async move {
        let answered: Result<(), lambda_runtime::Error> = answered.await;
        if was_stopped.load(Ordering::Relaxed) {
            tracing::warn!(%stage, "the process ends, with what was stopped in it");
            process::exit(1);
        }
        answered
    });
    Runtime::new(handler).layer(end_if_stopped).run().await
}

/// How long a stage may work if `left` is what remains of its function's time.
fn time_limit(left: Duration) -> Duration {
    left.saturating_sub(SHUTDOWN_MARGIN).max(left / 2)
}

#[cfg(test)]
mod tests;
