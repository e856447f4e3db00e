//! `Record` and `RecordFailure`: write the closing event, remove what was staged, and say in short how the push ended.

mod stopped;

use std::time::Duration;

use audit::{AuditError, AuditTrail};
use aws::staging::Staging;
use domain::contract::{Closed, Envelope, Failure, RecordInput};
use domain::error::{self, Code, Coded};
use domain::event::{PushEvent, PushFailed};
use domain::state::PushState;
use workflow::ExecutionOver;

pub use stopped::parse;

/// How long the removal of staged objects may take. What is left then expires.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a push cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trail could not be read or written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Nothing says how the push ended.
    #[error("push {push_id} is {status}: it cannot be closed before it was delivered, ignored or superseded")]
    Unfinished {
        /// The push.
        push_id: String,
        /// How far it is.
        status: String,
    },
    /// Another execution closes the push.
    #[error(transparent)]
    Over(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Audit(error) => error.code(),
            Self::Unfinished { .. } => Code::InputInvalid,
            Self::Over(error) => error.code(),
        }
    }
}

/// Closes one push, and says how it ended, or how its execution failed.
///
/// # Errors
/// [`Error`].
pub async fn handle(
    trail: &impl AuditTrail,
    staging: &impl Staging,
    envelope: &Envelope<RecordInput>,
) -> Result<Closed, Error> {
    let (push_id, execution_id) = (envelope.push.push_id, &envelope.execution.id);
    let unfinished = |status: String| Error::Unfinished {
        push_id: push_id.to_string(),
        status,
    };
    let (state, _) = trail
        .append(push_id, |state| {
            let state = state?;
            match &envelope.input.failure {
                Some(failure) => failed_event(state, execution_id, failure),
                None if state.was_taken_from(execution_id) => None,
                None => state.closing_event(),
            }
        })
        .await?;
    let state = state.ok_or_else(|| unfinished("unknown".to_owned()))?;
    if let Some(failure) = &envelope.input.failure {
        return Ok(close(&state, Some(failure)));
    }
    // However the push has ended, it is the other execution that tells it. To say here how would leave the webhook, when it
    // is sent again, with the word of an execution that has told nobody.
    if state.was_taken_from(execution_id) {
        return Err(ExecutionOver::new(execution_id, &state).into());
    }
    if !state.status.is_an_ending() {
        return Err(unfinished(state.status.to_string()));
    }
    remove_staged(staging, &state).await;
    Ok(close(&state, None))
}

/// The event that says that an execution has failed. `None` if it is there already, or if the push is another execution's
/// to fail.
fn failed_event(state: &PushState, execution_id: &str, failure: &Failure) -> Option<PushEvent> {
    let failed = PushFailed {
        execution_id: execution_id.to_owned(),
        failure: failure.clone(),
    };
    let is_anothers = state.was_taken_from(execution_id)
        || (state.status.is_an_ending() && !state.is_in_charge(execution_id));
    (!is_anothers && state.failure.as_ref() != Some(&failed)).then_some(PushEvent::PushFailed(failed))
}

/// Removes what was staged. What cannot be removed in time expires: the push has ended all the same. (What a failed push
/// has staged is kept for the next execution of it.)
async fn remove_staged(staging: &impl Staging, state: &PushState) {
    let push_id = &state.push.push_id;
    match tokio::time::timeout(REMOVAL_TIMEOUT, staging.remove_all(push_id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%push_id, %error, "staged objects are left to expire"),
        Err(_) => tracing::warn!(%push_id, "there are too many staged objects: the rest is left to expire"),
    }
}

/// How the push ended; with `failure`, how its execution failed.
fn close(state: &PushState, failure: Option<&Failure>) -> Closed {
    let push = &state.push;
    Closed {
        push_id: push.push_id,
        status: state.status,
        source: push.source.to_string(),
        repository: push.repository.to_string(),
        ref_name: push.ref_name.to_string(),
        commit: state.fetched.as_ref().map(|fetched| fetched.commit.clone()),
        sequence: state.deliver.as_ref().map(|deliver| deliver.sequence),
        sha256: state
            .delivered
            .as_ref()
            .and(state.archive.as_ref())
            .map(|archive| archive.sha256.clone()),
        delivered: state.delivered.clone(),
        reason: state.reason(),
        remedy: failure.map(|failure| error::remedy(&failure.error).to_owned()),
        failure: failure.cloned(),
    }
}

#[cfg(test)]
mod tests;
