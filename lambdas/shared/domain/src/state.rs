//! The state of a push, which its events fold to, and which is stored beside them as the read model.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{IllegalTransition, RecordedEvent};
use crate::commit_status::CommitStatusSet;
use crate::contract::{Archive, Deliver, Delivered, Expire, Expired, FetchedCommit, Ignored, Superseded};
use crate::cost::{Total, Used};
use crate::digest::Digest;
use crate::error::Code;
use crate::event::{PushEvent, PushFailed, PushReceived};
use crate::git::ObjectId;
use crate::push::{Push, PushId};

/// How far a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// An execution has begun.
    Received,
    /// The push is to be delivered.
    Validated,
    /// The commit is staged.
    Fetched,
    /// The zip is staged, or found.
    Packaged,
    /// The zip is at its destination.
    Uploaded,
    /// The push is closed, and was delivered.
    Delivered,
    /// The push is closed, and was not to be delivered.
    Ignored,
    /// The push is closed, because a newer push is at the destination.
    Superseded,
    /// The push is closed, has deleted its ref, and has removed the ref's zip.
    Expired,
    /// The push is closed, because its execution failed. Another execution may take it over.
    Failed,
}

impl Status {
    /// Returns whether the push is closed, whether or not it has failed.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self == Self::Failed || self.is_complete()
    }

    /// Returns whether the push is closed without a failure.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Ignored | Self::Superseded | Self::Expired
        )
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// Everything that is known of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushState {
    /// The push.
    pub push: Push,
    /// How far it is.
    pub status: Status,
    /// The number of its events.
    pub version: u64,
    /// The digest of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// When the trail may be deleted, in seconds since the epoch, or `None` if it is kept for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When its first execution started.
    pub received_at: DateTime<Utc>,
    /// When its last event was recorded.
    pub updated_at: DateTime<Utc>,
    /// The ids of its executions and their redrives. The last one is in charge of the push.
    #[serde(default)]
    pub executions: Vec<String>,
    /// What `Validate` has decided.
    pub deliver: Option<Deliver>,
    /// What `Validate` has decided for an earlier execution.
    #[serde(default)]
    pub decided_before: Option<Deliver>,
    /// What `Validate` has decided about a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<Expire>,
    /// The zip that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Expired>,
    /// Why the push is ignored.
    pub ignored: Option<Ignored>,
    /// The output of `Fetch`.
    pub fetched: Option<FetchedCommit>,
    /// The output of `Package`.
    pub archive: Option<Archive>,
    /// The delivered zip.
    pub delivered: Option<Delivered>,
    /// The newer push that superseded this one.
    pub superseded: Option<Superseded>,
    /// What the attempts of stages have used.
    #[serde(default)]
    pub used: Used,
    /// What the push has taken up to the last event that has closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
    /// How many attempts of stages have failed.
    pub failed_attempts: u32,
    /// The failure of the execution in charge. A push that was delivered, ignored or superseded keeps its status if its
    /// execution fails afterwards, for instance because the event bus cannot be reached.
    pub failure: Option<PushFailed>,
    /// The last status that the git host was given of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_status: Option<CommitStatusSet>,
}

/// Folds one event into the state. This is the only place where an event changes the state.
///
/// A stage's event requires that of the stage before. `PushRetried` begins again, but keeps the push's number, and the
/// outputs of the stages as long as `Validate` makes the same decision.
pub(crate) fn apply(
    state: Option<PushState>,
    recorded: &RecordedEvent<PushEvent>,
) -> Result<PushState, IllegalTransition> {
    let version = recorded.version;
    let Some(mut state) = state else {
        return match &recorded.event {
            PushEvent::PushReceived(received) if version == 1 => Ok(begin(received, recorded)),
            _ => Err(IllegalTransition::at_the_beginning::<Push>(recorded)),
        };
    };
    if version != state.version + 1 || !state.may_be_followed_by(&recorded.event) {
        return Err(IllegalTransition::after::<Push>(&state, state.status, recorded));
    }
    match recorded.event.clone() {
        PushEvent::PushReceived(_) => {}
        PushEvent::PushRetried(retried) => {
            state.executions.push(retried.execution.id);
            if !state.is_decided_for_good() {
                if state.status == Status::Ignored {
                    // Record has removed the staged objects.
                    state.forget_staged();
                }
                state.status = Status::Received;
                state.failure = None;
                state.ignored = None;
                state.expire = None;
                state.decided_before = state.deliver.take().or(state.decided_before);
            }
        }
        PushEvent::PushValidated(deliver) => {
            let same = state
                .decided_before
                .as_ref()
                .is_none_or(|before| before.makes_same_zip_as(&deliver));
            if !same {
                state.forget_staged();
            }
            state.deliver = Some(deliver);
            state.go_on(Status::Validated);
        }
        PushEvent::DeletionValidated(expire) => {
            state.expire = Some(expire);
            state.go_on(Status::Validated);
        }
        PushEvent::PushExpired(expired) => {
            state.expired = Some(expired);
            state.end(Status::Expired);
        }
        PushEvent::PushIgnored(ignored) => {
            state.ignored = Some(ignored);
            state.end(Status::Ignored);
        }
        PushEvent::CommitFetched(fetched) => {
            state.fetched = Some(fetched);
            state.go_on(Status::Fetched);
        }
        PushEvent::ArchivePackaged(archive) => {
            state.archive = Some(archive);
            state.go_on(Status::Packaged);
        }
        PushEvent::VersionFound(found) => {
            state.deliver = Some(found.deliver);
            state.fetched = Some(found.fetched);
            state.archive = Some(found.archive);
            state.go_on(Status::Packaged);
        }
        PushEvent::ArchiveUploaded(delivered) => {
            state.delivered = Some(delivered);
            state.go_on(Status::Uploaded);
        }
        PushEvent::PushSuperseded(superseded) => {
            state.superseded = Some(superseded);
            state.end(Status::Superseded);
        }
        PushEvent::PushDelivered(_) => state.end(Status::Delivered),
        PushEvent::AttemptFailed(failed) => {
            state.failed_attempts += 1;
            state.forget_staged_after(&failed.error);
        }
        PushEvent::PushFailed(failed) => {
            state.forget_staged_after(&failed.failure.error);
            if !state.status.is_complete() {
                state.status = Status::Failed;
            }
            state.failure = Some(failed);
        }
        PushEvent::CommitStatusSet(set) => state.commit_status = Some(set),
    }
    state.version = version;
    state.head = Some(recorded.sha256.clone());
    state.used = state.used.and(recorded.attempt);
    state.total = recorded.total.or(state.total);
    state.updated_at = recorded.recorded_at;
    Ok(state)
}

impl PushState {
    /// Returns the push's id.
    #[must_use]
    pub fn push_id(&self) -> PushId {
        self.push.push_id
    }

    /// Returns the id of the fetched commit, or until there is one, what the payload says that the ref points to. A
    /// deletion has neither.
    #[must_use]
    pub fn commit_or_after(&self) -> Option<&str> {
        match &self.fetched {
            Some(fetched) => Some(fetched.commit.as_str()),
            None => self.push.after.as_ref().map(ObjectId::as_str),
        }
    }

    /// Returns whether an execution is over, because another one is in charge of the push or it has failed. Its stages
    /// may still run, because stopping an execution does not stop its functions, but they must have no effect. A
    /// redriven execution is over as well until it has taken over the push, wherever Step Functions lets it go on.
    #[must_use]
    pub fn is_over_for(&self, execution_id: &str) -> bool {
        let has_failed = self
            .failure
            .as_ref()
            .is_some_and(|failed| failed.execution_id == execution_id);
        has_failed || !self.is_in_charge(execution_id)
    }

    /// Returns whether another execution has taken over the push from this one.
    #[must_use]
    pub fn was_taken_over_from(&self, execution_id: &str) -> bool {
        !self.is_in_charge(execution_id) && self.executions.iter().any(|id| id == execution_id)
    }

    /// Returns whether an execution is in charge of the push, which is the one that has begun last.
    #[must_use]
    pub fn is_in_charge(&self, execution_id: &str) -> bool {
        self.executions.last().is_some_and(|last| last == execution_id)
    }

    /// Returns whether an execution that begins may take over the push, which it may once. If the push was already
    /// delivered or superseded, the execution only publishes that, because the one before may have failed before it
    /// could.
    #[must_use]
    pub fn may_be_retried_by(&self, execution_id: &str) -> bool {
        !self.executions.iter().any(|id| id == execution_id)
    }

    /// Returns the event that closes the push, or `None` if it is already closed or cannot be closed yet.
    #[must_use]
    pub fn closing_event(&self) -> Option<PushEvent> {
        let (status, event) = if let Some(delivered) = &self.delivered {
            (Status::Delivered, PushEvent::PushDelivered(delivered.clone()))
        } else if let Some(superseded) = &self.superseded {
            (Status::Superseded, PushEvent::PushSuperseded(superseded.clone()))
        } else if let Some(expired) = &self.expired {
            (Status::Expired, PushEvent::PushExpired(expired.clone()))
        } else if let Some(ignored) = &self.ignored {
            (Status::Ignored, PushEvent::PushIgnored(ignored.clone()))
        } else {
            return None;
        };
        (self.status != status || self.failure.is_some()).then_some(event)
    }

    /// Returns why the push was ignored or superseded, for people.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match (&self.ignored, &self.superseded) {
            (Some(ignored), _) => Some(ignored.detail.clone()),
            (None, Some(superseded)) => Some(superseded.because.clone()),
            (None, None) => None,
        }
    }
}

impl PushState {
    /// Returns whether the push was delivered or superseded, or has removed a zip, which no later decision can undo.
    fn is_decided_for_good(&self) -> bool {
        self.delivered.is_some() || self.superseded.is_some() || self.expired.is_some()
    }

    fn may_be_followed_by(&self, event: &PushEvent) -> bool {
        let is_decided = self.is_decided_for_good() || self.ignored.is_some();
        // How the push ended is recorded once more if it could not be published the first time.
        let was_published = self.failure.is_none();
        match event {
            PushEvent::PushReceived(_) => false,
            PushEvent::PushRetried(retried) => self.may_be_retried_by(&retried.execution.id),
            PushEvent::PushValidated(_) | PushEvent::DeletionValidated(_) => {
                self.deliver.is_none() && self.expire.is_none() && !is_decided
            }
            PushEvent::PushExpired(_) => {
                let by_stage = self.expire.is_some() && !is_decided;
                by_stage || (self.status == Status::Expired && !was_published)
            }
            PushEvent::PushIgnored(_) => {
                let by_stage = (self.deliver.is_none() || self.may_be_uploaded()) && !is_decided;
                by_stage || (self.status == Status::Ignored && !was_published)
            }
            PushEvent::CommitFetched(_) => self.is_rollback() == Some(false) && self.fetched.is_none(),
            PushEvent::ArchivePackaged(_) => {
                self.is_rollback() == Some(false) && self.fetched.is_some() && self.archive.is_none()
            }
            PushEvent::VersionFound(_) => self.is_rollback() == Some(true) && self.fetched.is_none(),
            PushEvent::ArchiveUploaded(_) => self.deliver.is_some() && self.archive.is_some() && !is_decided,
            PushEvent::PushSuperseded(_) => {
                let by_stage = self.deliver.is_some() && self.may_be_uploaded() && !is_decided;
                by_stage || (self.status == Status::Superseded && !was_published)
            }
            PushEvent::PushDelivered(_) => {
                self.delivered.is_some() && (self.status != Status::Delivered || !was_published)
            }
            PushEvent::AttemptFailed(_) | PushEvent::PushFailed(_) | PushEvent::CommitStatusSet(_) => true,
        }
    }

    /// Returns whether there is a zip, or none is needed because nothing has changed since the one at the destination.
    fn may_be_uploaded(&self) -> bool {
        let fetched = self.fetched.as_ref();
        self.archive.is_some() || fetched.is_some_and(|fetched| fetched.unchanged_since.is_some())
    }

    /// Returns whether an earlier zip is to be delivered again, or `None` if nothing is to be delivered yet.
    fn is_rollback(&self) -> Option<bool> {
        self.deliver.as_ref().map(|deliver| deliver.rollback.is_some())
    }

    /// Sets the status after a stage. A push that has failed meanwhile stays failed until another execution takes it
    /// over.
    fn go_on(&mut self, status: Status) {
        if self.status != Status::Failed {
            self.status = status;
        }
    }

    fn end(&mut self, status: Status) {
        self.status = status;
        self.failure = None;
    }

    /// Forgets the staged objects if `error` says that they are missing, so that they are made again.
    fn forget_staged_after(&mut self, error: &str) {
        if error == Code::StagedObjectMissing.as_str() && !self.is_decided_for_good() {
            self.forget_staged();
        }
    }

    fn forget_staged(&mut self) {
        self.fetched = None;
        self.archive = None;
    }
}

fn begin(received: &PushReceived, recorded: &RecordedEvent<PushEvent>) -> PushState {
    PushState {
        push: received.push.clone(),
        status: Status::Received,
        version: 1,
        head: Some(recorded.sha256.clone()),
        expires_at: recorded.expires_at,
        received_at: received.execution.started_at,
        updated_at: recorded.recorded_at,
        executions: vec![received.execution.id.clone()],
        deliver: None,
        decided_before: None,
        expire: None,
        expired: None,
        ignored: None,
        fetched: None,
        archive: None,
        delivered: None,
        superseded: None,
        used: Used::default(),
        total: None,
        failed_attempts: 0,
        failure: None,
        commit_status: None,
    }
}
