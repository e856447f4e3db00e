//! The state of a push: what its events fold to, and the read model that is stored beside them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::contract::{Archive, Deliver, Delivered, FetchedCommit, Ignored, Superseded};
use crate::error::Code;
use crate::event::{PushEvent, PushFailed, PushReceived, RecordedEvent};
use crate::push::{Push, PushId};

/// How far a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// An execution has taken it up.
    Received,
    /// It is wanted.
    Validated,
    /// The commit is staged.
    Fetched,
    /// The zip is staged.
    Packaged,
    /// The zip is at its destination.
    Uploaded,
    /// Closed: delivered.
    Delivered,
    /// Closed: not for us.
    Ignored,
    /// Closed: a newer push is at the destination.
    Superseded,
    /// Closed: failed. Another execution may take it up where it stopped.
    Failed,
}

impl Status {
    /// Whether the push's execution is over.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Ignored | Self::Superseded | Self::Failed
        )
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// All that is known of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushState {
    /// The push.
    pub push: Push,
    /// How far it is.
    pub status: Status,
    /// The number of its events.
    pub version: u64,
    /// When its first execution started.
    pub received_at: DateTime<Utc>,
    /// When its last event was written down.
    pub updated_at: DateTime<Utc>,
    /// The execution that took it up first.
    pub execution_id: String,
    /// What `Validate` decided.
    pub deliver: Option<Deliver>,
    /// Why it is not for us.
    pub ignored: Option<Ignored>,
    /// What `Fetch` gave.
    pub fetched: Option<FetchedCommit>,
    /// What `Package` gave.
    pub archive: Option<Archive>,
    /// Where the zip is.
    pub delivered: Option<Delivered>,
    /// Which push was newer.
    pub superseded: Option<Superseded>,
    /// How many attempts of stages have failed.
    pub failed_attempts: u32,
    /// The last execution's failure, where it failed.
    pub failure: Option<PushFailed>,
}

/// An event that cannot follow what has happened before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} (event {version}) cannot happen to push {push_id}, which is {status}")]
pub struct IllegalTransition {
    /// The push.
    pub push_id: String,
    /// The event's name.
    pub event: &'static str,
    /// The event's place.
    pub version: u64,
    /// How far the push is.
    pub status: String,
}

/// Folds one event into the state: the only place where an event changes anything.
///
/// A stage's event needs its predecessor's, and may come after a failure: another execution of the same push goes on
/// where the first one stopped.
///
/// # Errors
/// [`IllegalTransition`] where the event cannot follow.
pub fn apply(state: Option<PushState>, recorded: &RecordedEvent) -> Result<PushState, IllegalTransition> {
    let version = recorded.version;
    let Some(mut state) = state else {
        return match &recorded.event {
            PushEvent::PushReceived(received) if version == 1 => Ok(begin(received, recorded.recorded_at)),
            event => Err(IllegalTransition {
                push_id: "that has no trail".to_owned(),
                event: event.name(),
                version,
                status: "unknown".to_owned(),
            }),
        };
    };
    let legal = version == state.version + 1
        && match &recorded.event {
            PushEvent::PushReceived(_) => false,
            PushEvent::PushValidated(_) => state.deliver.is_none() && state.ignored.is_none(),
            PushEvent::PushIgnored(_) => state.deliver.is_none() && state.status != Status::Ignored,
            PushEvent::CommitFetched(_) => state.deliver.is_some() && state.fetched.is_none(),
            PushEvent::ArchivePackaged(_) => state.fetched.is_some() && state.archive.is_none(),
            PushEvent::ArchiveUploaded(_) => {
                state.archive.is_some() && state.delivered.is_none() && state.superseded.is_none()
            }
            PushEvent::PushSuperseded(_) => {
                state.archive.is_some() && state.delivered.is_none() && state.status != Status::Superseded
            }
            PushEvent::PushDelivered(_) => state.delivered.is_some() && state.status != Status::Delivered,
            PushEvent::AttemptFailed(_) | PushEvent::PushFailed(_) => true,
        };
    if !legal {
        return Err(IllegalTransition {
            push_id: state.push.push_id.to_string(),
            event: recorded.event.name(),
            version,
            status: state.status.to_string(),
        });
    }
    match recorded.event.clone() {
        PushEvent::PushReceived(_) => {}
        PushEvent::PushValidated(deliver) => {
            state.status = Status::Validated;
            state.deliver = Some(deliver);
        }
        PushEvent::PushIgnored(ignored) => {
            state.status = Status::Ignored;
            state.ignored = Some(ignored);
        }
        PushEvent::CommitFetched(fetched) => {
            state.status = Status::Fetched;
            state.fetched = Some(fetched);
        }
        PushEvent::ArchivePackaged(archive) => {
            state.status = Status::Packaged;
            state.archive = Some(archive);
        }
        PushEvent::ArchiveUploaded(delivered) => {
            state.status = Status::Uploaded;
            state.delivered = Some(delivered);
        }
        PushEvent::PushSuperseded(superseded) => {
            state.status = Status::Superseded;
            state.superseded = Some(superseded);
        }
        PushEvent::PushDelivered(_) => state.status = Status::Delivered,
        PushEvent::AttemptFailed(_) => state.failed_attempts += 1,
        PushEvent::PushFailed(failed) => {
            state.status = Status::Failed;
            // What has expired has to be fetched and packaged again by the next execution.
            if failed.failure.error == Code::StagedObjectMissing.as_str() {
                state.fetched = None;
                state.archive = None;
            }
            state.failure = Some(failed);
        }
    }
    if state.status != Status::Failed {
        state.failure = None;
    }
    state.version = version;
    state.updated_at = recorded.recorded_at;
    Ok(state)
}

/// Folds a whole trail; none where it is empty.
///
/// # Errors
/// [`IllegalTransition`] of the first event that cannot follow.
pub fn fold(events: &[RecordedEvent]) -> Result<Option<PushState>, IllegalTransition> {
    events
        .iter()
        .try_fold(None, |state, event| apply(state, event).map(Some))
}

impl PushState {
    /// The push's id.
    #[must_use]
    pub fn push_id(&self) -> PushId {
        self.push.push_id
    }

    /// The event that closes the push; none where it is closed already, or not far enough to be closed.
    #[must_use]
    pub fn closing_event(&self) -> Option<PushEvent> {
        let (status, event) = if let Some(delivered) = &self.delivered {
            (Status::Delivered, PushEvent::PushDelivered(delivered.clone()))
        } else if let Some(superseded) = &self.superseded {
            (Status::Superseded, PushEvent::PushSuperseded(superseded.clone()))
        } else if let Some(ignored) = &self.ignored {
            (Status::Ignored, PushEvent::PushIgnored(ignored.clone()))
        } else {
            return None;
        };
        (self.status != status).then_some(event)
    }

    /// Why the push was ignored or superseded, for people.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match (&self.ignored, &self.superseded) {
            (Some(ignored), _) => Some(ignored.detail.clone()),
            (None, Some(superseded)) => Some(superseded.because.clone()),
            (None, None) => None,
        }
    }
}

fn begin(received: &PushReceived, recorded_at: DateTime<Utc>) -> PushState {
    PushState {
        push: received.push.clone(),
        status: Status::Received,
        version: 1,
        received_at: received.execution.started_at,
        updated_at: recorded_at,
        execution_id: received.execution.id.clone(),
        deliver: None,
        ignored: None,
        fetched: None,
        archive: None,
        delivered: None,
        superseded: None,
        failed_attempts: 0,
        failure: None,
    }
}
