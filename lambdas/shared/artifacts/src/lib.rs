//! What builds have made: objects at their digests in the artifact bucket ([`bucket`]), and the evidence that they were
//! built from a tree and have passed its tests, in the trail's table ([`evidence`]).

pub mod bucket;
pub mod evidence;
#[cfg(feature = "memory")]
pub mod memory;

use std::io;
use std::path::{Path, PathBuf};

use aws::AwsFailure;
use delivery::artifact::{Artifact, Digest};
use domain::error::{Code, Coded};

use crate::bucket::ArtifactStore;
use crate::evidence::EvidenceStore;

/// Why objects or evidence cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// S3 failed, and a retry can help.
    #[error("{object} cannot be reached")]
    Unavailable {
        /// The object, as `s3://bucket/key`.
        object: String,
        /// What happened.
        source: AwsFailure,
    },
    /// S3 has refused a request.
    #[error("{object} may not be read or written")]
    Refused {
        /// The object, as `s3://bucket/key`.
        object: String,
        /// What happened.
        source: AwsFailure,
    },
    /// There is no such object, or no such version of it.
    #[error("{object} does not exist")]
    Missing {
        /// The object, as `s3://bucket/key`.
        object: String,
    },
    /// An object does not have the digest that it should have.
    #[error("{object} has the SHA-256 {found} instead of {expected}")]
    Mismatch {
        /// The object, as `s3://bucket/key`.
        object: String,
        /// The digest that it should have.
        expected: String,
        /// Its digest.
        found: String,
    },
    /// An object is larger than it may be.
    #[error("{object} has more than {max_bytes} bytes")]
    TooLarge {
        /// The object, as `s3://bucket/key`.
        object: String,
        /// How many bytes it may have.
        max_bytes: u64,
    },
    /// The function's own disk failed.
    #[error("the file {path} could not be read or written")]
    Workspace {
        /// The path.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// DynamoDB failed, and a retry can help.
    #[error("the evidence {item} in table {table} cannot be reached")]
    TableUnavailable {
        /// The item's partition key.
        item: String,
        /// The table.
        table: String,
        /// What happened.
        source: AwsFailure,
    },
    /// DynamoDB has refused a request.
    #[error("the evidence {item} in table {table} may not be read or written")]
    TableRefused {
        /// The item's partition key.
        item: String,
        /// The table.
        table: String,
        /// What happened.
        source: AwsFailure,
    },
    /// An item is not evidence of this version's form.
    #[error("the evidence {item} in table {table} cannot be read: {reason}")]
    Unreadable {
        /// The item's partition key.
        item: String,
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
}

impl ArtifactError {
    /// Returns a function that makes a [`Self::Workspace`] of an error about `path`.
    pub fn workspace(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Workspace { path, source }
    }

    /// Returns whether AWS has refused the request because the caller may not make it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Refused { source, .. } | Self::TableRefused { source, .. } => {
                source.is("AccessDenied") || source.is("AccessDeniedException") || source.status == Some(403)
            }
            _ => false,
        }
    }
}

impl Coded for ArtifactError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::StorageUnavailable,
            Self::Refused { .. } => Code::StorageRefused,
            Self::Missing { .. } | Self::Mismatch { .. } => Code::ArtifactMismatch,
            Self::TooLarge { .. } => Code::LimitExceeded,
            Self::Workspace { .. } => Code::WorkspaceFailed,
            Self::TableUnavailable { .. } => Code::AuditUnavailable,
            Self::TableRefused { .. } | Self::Unreadable { .. } => Code::AuditInvalid,
        }
    }
}

/// Returns whether all objects of an artifact are in the bucket.
///
/// # Errors
/// Returns an [`ArtifactError`] if the bucket cannot be asked.
pub async fn is_complete(store: &impl ArtifactStore, artifact: &Artifact) -> Result<bool, ArtifactError> {
    for digest in digests(artifact) {
        if !store.contains(digest).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the digests of all objects of an artifact: the template, what it names, and the provenance document.
pub fn digests(artifact: &Artifact) -> impl Iterator<Item = &Digest> {
    let objects = artifact.objects.iter().map(|object| &object.sha256);
    objects.chain([&artifact.template, &artifact.provenance])
}

/// How often evidence is written while others write evidence of the same tree.
const MAX_ATTEMPTS: usize = 3;

/// Stores the evidence of an artifact, unless there is evidence of another one of the tree that can be used. Returns
/// the artifact that the evidence is of.
///
/// Evidence of another directory is replaced, because the directory is a setting, and so is evidence whose objects are
/// gone.
///
/// # Errors
/// Returns an [`ArtifactError`] if the evidence or the bucket fails.
pub async fn keep(
    store: &impl ArtifactStore,
    evidence: &impl EvidenceStore,
    artifact: Artifact,
) -> Result<Artifact, ArtifactError> {
    let mut replaced = None;
    for _ in 0..MAX_ATTEMPTS {
        if evidence.put(&artifact, replaced.as_ref()).await? {
            break;
        }
        let other = evidence.find(&artifact.application, &artifact.tree).await?;
        if let Some(other) = &other
            && other.directory == artifact.directory
            && is_complete(store, other).await?
        {
            return Ok(other.clone());
        }
        replaced = other;
    }
    // Without evidence the tree is built again some day, and the artifact is as good.
    Ok(artifact)
}
