//! Serves a stage as a Lambda function: from the runtime's event to the response, within the function's timeout.

use std::fmt::Display;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use domain::error::{Code, Coded};
use domain::flow::{Payload, StageOutput};
use lambda_runtime::tower::util::MapFutureLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StageOf, execute};
use audit::EventStore;
use aws::failure::Failed;

/// How long before its function's timeout a stage is stopped, so that the failure can still be recorded.
const SHUTDOWN_MARGIN: Duration = Duration::from_secs(5);

/// Serves a stage as a Lambda function.
///
/// # Errors
/// Returns an error if the Lambda runtime API fails.
pub async fn run<T, P, O, E, F>(stage: StageOf<P>, trail: T, work: F) -> Result<(), lambda_runtime::Error>
where
    P: Payload + DeserializeOwned,
    T: EventStore<P::Flow>,
    O: StageOutput<P::Flow> + Serialize,
    E: Coded,
    F: AsyncFn(&P) -> Result<O, E>,
{
    run_with(stage, trail, serde_json::from_value, work).await
}

/// Like [`run`], for a stage that is also called with other payloads, which `parse` converts to the state machine's
/// input.
///
/// A stage that runs out of time may leave work that cannot be stopped, such as a busy thread. So once its failure is
/// reported the process ends, and Lambda handles the next push in a new one.
///
/// # Errors
/// Returns an error if the Lambda runtime API fails.
pub async fn run_with<T, P, O, E, F>(
    stage: StageOf<P>,
    trail: T,
    parse: impl Fn(serde_json::Value) -> Result<P, serde_json::Error>,
    work: F,
) -> Result<(), lambda_runtime::Error>
where
    P: Payload,
    T: EventStore<P::Flow>,
    O: StageOutput<P::Flow> + Serialize,
    E: Coded,
    F: AsyncFn(&P) -> Result<O, E>,
{
    let (trail, work) = (&trail, &work);
    serve(stage, async |payload, time_limit| {
        let payload = parse(payload).map_err(|error| malformed(stage, &error))?;
        execute(stage, trail, &payload, time_limit, work).await
    })
    .await
}

/// Returns the output of a stage as JSON.
///
/// # Errors
/// Returns [`Failed`] if it cannot be JSON.
pub fn to_json(stage: impl Display, output: &impl Serialize) -> Result<serde_json::Value, Failed> {
    serde_json::to_value(output).map_err(|error| malformed(stage, &error))
}

/// Returns the failure of a stage whose payload cannot be read.
pub(crate) fn malformed(stage: impl Display, error: &serde_json::Error) -> Failed {
    let cause = format!("the input of {stage} is malformed: {error}");
    tracing::error!(%stage, cause, "input invalid");
    Failed::with_cause(Code::InputInvalid, &cause)
}

/// Serves a Lambda function that is several stages, or more than a stage. `handle` is called with the payload, and with
/// the time that it may take.
///
/// If `handle` runs out of time ([`Code::StageTimedOut`]) the process ends, as after [`run_with`].
///
/// # Errors
/// Returns an error if the Lambda runtime API fails.
pub async fn serve<O, F>(name: impl Display, handle: F) -> Result<(), lambda_runtime::Error>
where
    O: Serialize,
    F: AsyncFn(serde_json::Value, Duration) -> Result<O, Failed>,
{
    let (name, handle) = (&name, &handle);
    let was_stopped = &AtomicBool::new(false);
    let handler = service_fn(|event: LambdaEvent<serde_json::Value>| async move {
        let left = event
            .context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default();
        let ended = handle(event.payload, time_limit(left)).await;
        if let Err(failed) = &ended {
            was_stopped.store(failed.code == Code::StageTimedOut, Ordering::Relaxed);
        }
        ended.map_err(Diagnostic::from)
    });
    // The service around the handler completes once the runtime API has accepted the response.
    let end_if_stopped = MapFutureLayer::new(|response| async move {
        let response: Result<(), lambda_runtime::Error> = response.await;
        if was_stopped.load(Ordering::Relaxed) {
            tracing::warn!(stage = %name, "the process ends, with the work that was stopped");
            process::exit(1);
        }
        response
    });
    Runtime::new(handler).layer(end_if_stopped).run().await
}

/// Returns how long a stage may work if `left` is the time until its function's timeout.
#[must_use]
pub fn time_limit(left: Duration) -> Duration {
    left.saturating_sub(SHUTDOWN_MARGIN).max(left / 2)
}

#[cfg(test)]
mod tests;
