//! How a push has ended, for whoever listens to its events.

use serde::{Deserialize, Serialize};

use crate::contract::{Delivered, Expired, Failure};
use crate::git::CommitId;
use crate::push::PushId;
use crate::state::Status;

/// The version of the schema of the EventBridge events. Fields may be added to a version, but none is removed from it
/// or gets another meaning.
pub const EVENT_SCHEMA: u32 = 1;

/// The output of `Record`, which is a summary of the push, and the detail of the EventBridge event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The version of the event's schema, [`EVENT_SCHEMA`].
    pub schema_version: u32,
    /// The push.
    pub push_id: PushId,
    /// How the push ended.
    pub status: Status,
    /// Its source.
    pub source: String,
    /// Its repository.
    pub repository: String,
    /// Its ref.
    #[serde(rename = "ref")]
    pub ref_name: String,
    /// The further destination of the source that it is of, or `None` for the source's own.
    pub destination: Option<String>,
    /// The commit, if it was fetched.
    pub commit: Option<CommitId>,
    /// The push's number among the pushes of its ref, if it was to be delivered.
    pub sequence: Option<u64>,
    /// The delivered zip, if there is one. A push that failed after its delivery has one too.
    pub delivered: Option<Delivered>,
    /// The zip that was removed, if the push has deleted its ref.
    pub expired: Option<Expired>,
    /// The zip's SHA-256, if it was delivered.
    pub sha256: Option<String>,
    /// Why the push was ignored or superseded.
    pub reason: Option<String>,
    /// The failure, if the execution failed.
    pub failure: Option<Failure>,
    /// What to do about the failure.
    pub remedy: Option<String>,
}
