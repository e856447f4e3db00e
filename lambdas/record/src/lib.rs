//! `Record` and `RecordFailure`: write the closing event, remove the staged objects, and return a summary of how the
//! push ended.

mod history;
mod stopped;

use std::time::Duration;

use audit::{AuditError, EventStore};
use aws::staging::{Staging, StorageError};
use domain::closed::{Closed, EVENT_SCHEMA};
use domain::contract::{BaseUse, Envelope, Failure, RecordInput, StagedObject};
use domain::destination::{base_key, staging_key};
use domain::error::{self, Code, Coded};
use domain::event::{PushEvent, PushFailed};
use domain::execution::Execution;
use domain::git::RefName;
use domain::push::Push;
use domain::state::{PushState, Status};
use workflow::ExecutionOver;

pub use history::{Histories, NoHistories, StepFunctions};
pub use stopped::parse;

/// How long the removal of staged objects may take. Objects that are left after it expire.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a push cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The push has not ended.
    #[error("push {push_id} is {status}: it cannot be closed before it was delivered, ignored or superseded")]
    Unfinished {
        /// The push.
        push_id: String,
        /// Its status.
        status: String,
    },
    /// This execution may no longer close the push.
    #[error(transparent)]
    ExecutionOver(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Audit(error) => error.code(),
            Self::Unfinished { .. } => Code::InputInvalid,
            Self::ExecutionOver(error) => error.code(),
        }
    }
}

/// Closes one push. Returns how it ended, or how its execution failed.
///
/// # Errors
/// Returns an [`Error`] if the trail fails, or if this execution cannot close the push.
pub async fn handle(
    trail: &impl EventStore<Push>,
    staging: &impl Staging,
    histories: &impl Histories,
    envelope: &Envelope<RecordInput>,
) -> Result<Closed, Error> {
    let (push_id, execution_id) = (envelope.push.push_id, &envelope.execution.id);
    if envelope.input.failed_attempts > 0 || envelope.input.failure.is_some() {
        let arn = Execution::arn(execution_id);
        match histories.read(arn).await {
            Ok(history) => history::record_attempts(trail, push_id, &history, arn).await?,
            // The end of the push is more important than all that has led to it.
            Err(failure) => tracing::warn!(%push_id, %failure, "the failed attempts cannot be read"),
        }
    }
    let unfinished = |status: String| Error::Unfinished {
        push_id: push_id.to_string(),
        status,
    };
    let (state, _) = trail
        .append(push_id, |state| {
            let state = state?;
            match &envelope.input.failure {
                Some(failure) => failed_event(state, execution_id, failure),
                None if !state.is_in_charge(execution_id) => None,
                None => state.closing_event(),
            }
        })
        .await?;
    let state = state.ok_or_else(|| unfinished("unknown".to_owned()))?;
    if let Some(failure) = &envelope.input.failure {
        return Ok(close(&state, Some(failure)));
    }
    // The execution that has taken the push over also publishes how it ended. If this one succeeded too, the webhook,
    // when it is sent again, would find an execution that has succeeded without publishing anything.
    if !state.is_in_charge(execution_id) {
        return Err(ExecutionOver::new::<Push>(execution_id, &state).into());
    }
    if !state.status.is_complete() {
        return Err(unfinished(state.status.to_string()));
    }
    remove_staged(staging, &state).await;
    Ok(close(&state, None))
}

/// Returns the event that an execution has failed, or `None` if the trail has it already, or if another execution is in
/// charge of the push.
fn failed_event(state: &PushState, execution_id: &str, failure: &Failure) -> Option<PushEvent> {
    let failed = PushFailed {
        execution_id: execution_id.to_owned(),
        failure: failure.clone(),
    };
    let is_anothers = state.was_taken_over_from(execution_id)
        || (state.status.is_complete() && !state.is_in_charge(execution_id));
    (!is_anothers && state.failure.as_ref() != Some(&failed)).then_some(PushEvent::PushFailed(failed))
}

/// Removes what the push staged. If it was not delivered, also its base objects, because no later push starts from it;
/// if it was, also the zip of its base. Objects that cannot be removed in time expire. (The staged objects of a failed
/// push are kept for its next execution.)
async fn remove_staged(staging: &impl Staging, state: &PushState) {
    let push_id = &state.push.push_id;
    let removal = async {
        if state.status == Status::Delivered {
            if let Some(zip) = zip_of_base(state) {
                staging.remove(&zip.key).await?;
            }
        } else {
            staging.remove_all(&base_key(push_id, "")?).await?;
        }
        staging.remove_all(&staging_key(push_id, "")?).await?;
        Ok::<_, StorageError>(())
    };
    match tokio::time::timeout(REMOVAL_TIMEOUT, removal).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%push_id, %error, "staged objects are left to expire"),
        Err(_) => tracing::warn!(%push_id, "there are too many staged objects: the rest is left to expire"),
    }
}

/// Returns the zip that a delivered push has taken files from, if it is of the same ref: the next push takes them from
/// its own. That of another ref is kept for the next push of that ref.
fn zip_of_base(state: &PushState) -> Option<&StagedObject> {
    let base = state.fetched.as_ref()?.base.as_ref().and_then(BaseUse::used)?;
    let is_of_same_ref = |other: &RefName| *other == state.push.ref_name;
    let is_over = base.other_ref.as_ref().is_none_or(is_of_same_ref);
    let zip = base.zip.as_ref().filter(|_| is_over)?;
    Some(&zip.object)
}

/// Returns how the push ended, or with `failure`, how its execution failed.
fn close(state: &PushState, failure: Option<&Failure>) -> Closed {
    let push = &state.push;
    Closed {
        schema_version: EVENT_SCHEMA,
        push_id: push.push_id,
        status: state.status,
        source: push.source.to_string(),
        repository: push.repository.to_string(),
        ref_name: push.ref_name.to_string(),
        destination: push.destination.as_ref().map(ToString::to_string),
        commit: state.fetched.as_ref().map(|fetched| fetched.commit.clone()),
        sequence: state
            .deliver
            .as_ref()
            .map(|deliver| deliver.sequence)
            .or_else(|| state.expire.as_ref().map(|expire| expire.sequence)),
        sha256: state
            .delivered
            .as_ref()
            .and(state.archive.as_ref())
            .map(|archive| archive.sha256.clone()),
        delivered: state.delivered.clone(),
        expired: state.expired.clone(),
        reason: state.reason(),
        remedy: failure.map(|failure| error::remedy(&failure.error).to_owned()),
        failure: failure.cloned(),
    }
}

#[cfg(test)]
mod tests;
