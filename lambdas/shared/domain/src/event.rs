//! The events of the audit trail, which say what has happened to a push, and are never changed.

use serde::{Deserialize, Serialize};

use crate::commit_status::CommitStatusSet;
use crate::contract::{
    Archive, Deliver, Delivered, Expire, Expired, Failure, FetchedCommit, FoundVersion, Ignored, Superseded,
};
use crate::execution::Execution;
use crate::flow::AttemptFailed;
use crate::push::Push;

/// What can happen to a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum PushEvent {
    /// The first execution has begun.
    PushReceived(PushReceived),
    /// Another execution has taken over the push, from the beginning.
    PushRetried(PushRetried),
    /// The push is to be delivered, and has a number and a destination.
    PushValidated(Deliver),
    /// The push has deleted its ref, whose zip is to be removed.
    DeletionValidated(Expire),
    /// The push is not to be delivered.
    PushIgnored(Ignored),
    /// The commit is in the staging bucket.
    CommitFetched(FetchedCommit),
    /// The zip is in the staging bucket.
    ArchivePackaged(Archive),
    /// The zip that a rollback delivers again is known.
    VersionFound(Box<FoundVersion>),
    /// The zip is at its destination.
    ArchiveUploaded(Delivered),
    /// A newer push's zip is at the destination.
    PushSuperseded(Superseded),
    /// The zip of the deleted ref is no longer at its destination.
    PushExpired(Expired),
    /// The push is closed as delivered.
    PushDelivered(Delivered),
    /// An attempt of a stage, or of a state that calls no function, failed. It may be retried.
    AttemptFailed(AttemptFailed<String>),
    /// The execution has failed.
    PushFailed(PushFailed),
    /// The git host shows a status of the commit. It changes nothing about the push, which may be closed.
    CommitStatusSet(CommitStatusSet),
}

impl PushEvent {
    /// Returns whether the push, or its execution, ends with this event.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        match self {
            Self::PushIgnored(_)
            | Self::PushSuperseded(_)
            | Self::PushExpired(_)
            | Self::PushDelivered(_)
            | Self::PushFailed(_) => true,
            Self::PushReceived(_)
            | Self::PushRetried(_)
            | Self::PushValidated(_)
            | Self::DeletionValidated(_)
            | Self::CommitFetched(_)
            | Self::ArchivePackaged(_)
            | Self::VersionFound(_)
            | Self::ArchiveUploaded(_)
            | Self::AttemptFailed(_)
            | Self::CommitStatusSet(_) => false,
        }
    }

    /// Returns the event's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PushReceived(_) => "PushReceived",
            Self::PushRetried(_) => "PushRetried",
            Self::PushValidated(_) => "PushValidated",
            Self::DeletionValidated(_) => "DeletionValidated",
            Self::PushExpired(_) => "PushExpired",
            Self::PushIgnored(_) => "PushIgnored",
            Self::CommitFetched(_) => "CommitFetched",
            Self::ArchivePackaged(_) => "ArchivePackaged",
            Self::VersionFound(_) => "VersionFound",
            Self::ArchiveUploaded(_) => "ArchiveUploaded",
            Self::PushSuperseded(_) => "PushSuperseded",
            Self::PushDelivered(_) => "PushDelivered",
            Self::AttemptFailed(_) => "AttemptFailed",
            Self::PushFailed(_) => "PushFailed",
            Self::CommitStatusSet(_) => "CommitStatusSet",
        }
    }
}

/// The data of [`PushEvent::PushReceived`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushReceived {
    /// The push.
    pub push: Push,
    /// The first execution.
    pub execution: Execution,
}

/// The data of [`PushEvent::PushRetried`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushRetried {
    /// The execution that took over the push.
    pub execution: Execution,
}

/// The data of [`PushEvent::PushFailed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushFailed {
    /// The execution's id.
    pub execution_id: String,
    /// Its first failure.
    #[serde(flatten)]
    pub failure: Failure,
}
