//! `Record` and `RecordFailure`: write the closing event, remove what was staged, and say in short how the push ended.

use domain::contract::{Closed, Envelope, RecordInput, StageOutput};
use domain::error::{self, Code, Coded};
use domain::event::{PushEvent, PushFailed};
use domain::state::{PushState, Status};
use platform::audit::{AuditError, AuditTrail};
use platform::staging::Staging;
use serde::Serialize;

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
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Audit(error) => error.code(),
            Self::Unfinished { .. } => Code::InputInvalid,
        }
    }
}

/// How the push ended. Its event is written by [`handle`], for what it is depends on the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Recorded(pub Closed);

impl StageOutput for Recorded {
    fn event(&self) -> Option<PushEvent> {
        None
    }

    fn recorded(_: &PushState) -> Option<Self> {
        None
    }
}

/// Closes one push.
///
/// # Errors
/// [`Error`].
pub async fn handle(
    trail: &impl AuditTrail,
    staging: &impl Staging,
    envelope: &Envelope<RecordInput>,
) -> Result<Recorded, Error> {
    let push_id = envelope.push.push_id;
    let unfinished = |status: String| Error::Unfinished {
        push_id: push_id.to_string(),
        status,
    };
    let state = trail
        .load(push_id)
        .await?
        .ok_or_else(|| unfinished("unknown".to_owned()))?;
    let event = match &envelope.input.failure {
        Some(failure) => {
            let failed = PushFailed {
                execution_id: envelope.execution.id.clone(),
                failure: failure.clone(),
            };
            (state.failure.as_ref() != Some(&failed)).then_some(PushEvent::PushFailed(failed))
        }
        None => state.closing_event(),
    };
    let state = match event {
        Some(event) => trail.append(Some(state), event).await?,
        None => state,
    };
    if !state.status.is_closed() {
        return Err(unfinished(state.status.to_string()));
    }
    // What a failed push has staged is kept for the next execution of it, and expires.
    if state.status != Status::Failed {
        remove_staged(staging, &state).await;
    }
    Ok(Recorded(close(&state)))
}

/// Removes what was staged. What cannot be removed expires: the push has ended all the same.
async fn remove_staged(staging: &impl Staging, state: &PushState) {
    if let Err(error) = staging.remove_all(&state.push.push_id).await {
        tracing::warn!(push_id = %state.push.push_id, %error, "staged objects are left to expire");
    }
}

fn close(state: &PushState) -> Closed {
    let push = &state.push;
    let delivered = (state.status == Status::Delivered)
        .then(|| state.delivered.clone())
        .flatten();
    Closed {
        push_id: push.push_id,
        status: state.status,
        source: push.source.to_string(),
        repository: push.repository.to_string(),
        ref_name: push.ref_name.to_string(),
        commit: state.fetched.as_ref().map(|fetched| fetched.commit.clone()),
        sequence: state.deliver.as_ref().map(|deliver| deliver.sequence),
        sha256: delivered
            .as_ref()
            .and(state.archive.as_ref())
            .map(|archive| archive.sha256.clone()),
        delivered,
        reason: state.reason(),
        remedy: state
            .failure
            .as_ref()
            .map(|failed| error::remedy(&failed.failure.error).to_owned()),
        failure: state.failure.as_ref().map(|failed| failed.failure.clone()),
    }
}
