//! Checkpoints: what the trails of a day's pushes were at a time, to be signed, so that a trail that was written anew,
//! cut off or removed since then is found.

mod verification;

use chrono::{DateTime, NaiveDate, Utc};
use domain::digest::Digest;
use domain::index::Index;
use domain::push::{Push, PushId};
use domain::push_index::{Category, category_partition};
use domain::state::PushState;
use serde::{Deserialize, Serialize};

pub use verification::{Finding, SeenTrail, Trails, verify};

use super::{AuditError, EventStore, SortKeys, StateIndex};

/// The media type of a checkpoint.
pub const MEDIA_TYPE: &str = "application/vnd.push-code.checkpoint+json";

/// How many pushes a part of a checkpoint has at most, so that it fits into an item of DynamoDB, which has at most 400
/// KB.
const MAX_IN_PART: usize = 2_000;

impl PreviousDay {
    /// Returns what names the checkpoint that is stored in these parts, or `None` if there are none.
    #[must_use]
    pub fn of(parts: &[StoredCheckpoint]) -> Option<Self> {
        let envelopes: String = parts.iter().map(|part| part.envelope.as_str()).collect();
        Some(Self {
            day: parts.first()?.day,
            sha256: Digest::of(envelopes),
        })
    }
}

/// What the trails of the pushes of a day were at a time, or one of several parts of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The day on which the first executions of the pushes started, in UTC.
    pub day: NaiveDate,
    /// The part, from 0.
    pub part: usize,
    /// How many parts there are.
    pub parts: usize,
    /// Events that were recorded later do not count.
    pub up_to: DateTime<Utc>,
    /// The last checkpoint of an earlier day, if there is one.
    pub previous: Option<PreviousDay>,
    /// The pushes, by their ids.
    pub pushes: Vec<CheckpointedPush>,
}

/// A checkpoint of an earlier day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousDay {
    /// The day.
    pub day: NaiveDate,
    /// The SHA-256 of all its parts, as they were signed, one after the other.
    pub sha256: Digest,
}

/// A push in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointedPush {
    /// Its id.
    pub push_id: PushId,
    /// The number of its events.
    pub version: u64,
    /// The digest of the last one.
    pub sha256: Digest,
    /// When the trail may be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// A part of a checkpoint in its signed envelope, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCheckpoint {
    /// The day.
    pub day: NaiveDate,
    /// The part.
    pub part: usize,
    /// The envelope, as JSON.
    pub envelope: String,
}

/// Where checkpoints are kept.
pub trait Checkpoints: Send + Sync {
    /// Stores a part of a day's checkpoint in place of an earlier one.
    fn put_checkpoint(
        &self,
        checkpoint: &StoredCheckpoint,
    ) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Returns the stored parts of all checkpoints since a day, by day and part. The read is consistent.
    fn checkpoints(
        &self,
        since: NaiveDate,
    ) -> impl Future<Output = Result<Vec<StoredCheckpoint>, AuditError>> + Send;
}

/// Returns the checkpoint of a day, in parts.
///
/// # Errors
/// Returns an error if the trail cannot be read.
pub async fn checkpoint(
    trail: &(impl EventStore<Push> + StateIndex<Push>),
    day: NaiveDate,
    up_to: DateTime<Utc>,
    previous: Option<PreviousDay>,
) -> Result<Vec<Checkpoint>, AuditError> {
    let mut pushes = Vec::new();
    for category in Category::ALL {
        let partition = category_partition(category, day);
        let found = trail.find(Index::Status, &partition, SortKeys::All, usize::MAX);
        for push in found.await? {
            pushes.extend(as_of(trail, push, up_to).await?);
        }
    }
    pushes.sort_by_key(|push| push.push_id.to_string());
    // A push that is between two categories is found in both.
    pushes.dedup_by(|one, other| one.push_id == other.push_id);
    let mut chunks: Vec<_> = pushes.chunks(MAX_IN_PART).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let parts = chunks.len();
    let of = |(part, pushes): (usize, &[CheckpointedPush])| Checkpoint {
        day,
        part,
        parts,
        up_to,
        previous: previous.clone(),
        pushes: pushes.to_vec(),
    };
    Ok(chunks.into_iter().enumerate().map(of).collect())
}

/// Returns what the trail of a push was at a time.
async fn as_of(
    trail: &impl EventStore<Push>,
    push: PushState,
    up_to: DateTime<Utc>,
) -> Result<Option<CheckpointedPush>, AuditError> {
    let push_id = push.push_id();
    if push.updated_at <= up_to
        && let Some(sha256) = push.head
    {
        let version = push.version;
        return Ok(Some(CheckpointedPush {
            push_id,
            version,
            sha256,
            expires_at: push.expires_at,
        }));
    }
    let events = trail.events(push_id).await?;
    let last = events.into_iter().rfind(|event| event.recorded_at <= up_to);
    Ok(last.map(|last| CheckpointedPush {
        push_id,
        version: last.version,
        sha256: last.sha256,
        expires_at: last.expires_at,
    }))
}
