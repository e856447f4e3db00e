//! The refs of a source, all in one partition of the table, so that whoever compares them with the git host needs one
//! query, and nothing reads the whole table.

use domain::git::{RefName, RepositoryPath};
use domain::push::{DestinationName, SourceName};
use serde::{Deserialize, Serialize};

use super::{AuditError, LastPush, RefKey};

/// A ref of a source's repository, and its last numbered push to one of the destinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRef {
    /// The repository.
    pub repository: RepositoryPath,
    /// The ref.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The further destination that the pushes are of, or `None` for the source's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationName>,
    /// Its last numbered push.
    #[serde(flatten)]
    pub last: LastPush,
}

impl SourceRef {
    /// Returns the ref at `key`, with its last push.
    #[must_use]
    pub fn of(key: &RefKey, last: &LastPush) -> Self {
        Self {
            repository: key.repository.clone(),
            ref_name: key.ref_name.clone(),
            destination: key.destination.clone(),
            last: last.clone(),
        }
    }
}

/// What the trail knows of all repositories of a source. [`PushTrail::replace_last_push`](super::PushTrail) keeps it.
pub trait SourceRefs: Send + Sync {
    /// Returns every ref of the source that a push was ever numbered for, also those that were deleted. What was
    /// written a moment ago may be missing, or be as it was before.
    fn refs(&self, source: &SourceName) -> impl Future<Output = Result<Vec<SourceRef>, AuditError>> + Send;

    /// Returns the repository that the next sweep of the source begins with, if the last one could not finish.
    fn sweep_begins_with(
        &self,
        source: &SourceName,
    ) -> impl Future<Output = Result<Option<RepositoryPath>, AuditError>> + Send;

    /// Writes the repository that the next sweep of the source begins with.
    fn put_sweep_begins_with(
        &self,
        source: &SourceName,
        repository: Option<&RepositoryPath>,
    ) -> impl Future<Output = Result<(), AuditError>> + Send;
}
