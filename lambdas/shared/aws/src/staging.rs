//! The staging area, which holds a push's pack and zip for the next stage.

mod folder;
#[cfg(feature = "objects")]
mod s3;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use domain::Invalid;
use domain::contract::StagedObject;
use domain::destination::ObjectKey;
use domain::error::{Code, Coded};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

pub use folder::FolderStaging;
#[cfg(feature = "objects")]
pub use s3::S3Staging;

use crate::AwsFailure;

/// The size of the pieces of an object, in bytes. S3 accepts up to 10,000 of them, so an object may have 160 GiB, far
/// more than a function can hold.
pub const PIECE_BYTES: usize = 16 << 20;

/// The bytes of an object as they are made. The object is complete only after [`Piece::End`]: if the sender is dropped
/// before, it has failed, and nothing is stored.
#[derive(Debug)]
pub enum Piece {
    /// The next [`PIECE_BYTES`] bytes, or fewer in the last piece.
    Bytes(Vec<u8>),
    /// The object is complete.
    End,
}

/// A store of intermediate objects.
pub trait Staging: Send + Sync {
    /// Stores the bytes of `pieces` under `key`, and replaces an existing object.
    fn store(
        &self,
        key: &ObjectKey,
        pieces: mpsc::Receiver<Piece>,
    ) -> impl Future<Output = Result<StagedObject, StorageError>> + Send;

    /// Loads the object into the file `path`. Only the version that was staged is loaded, never another one.
    fn load(
        &self,
        object: &StagedObject,
        path: &Path,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes an object, if it is there.
    fn remove(&self, key: &ObjectKey) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes all objects whose keys begin with `prefix`, which is that of a folder.
    fn remove_all(&self, prefix: &ObjectKey) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Stores the file `path` under `key`.
    fn store_file(
        &self,
        key: &ObjectKey,
        path: &Path,
    ) -> impl Future<Output = Result<StagedObject, StorageError>> + Send {
        async move {
            let (sender, receiver) = mpsc::channel(1);
            let (stored, sent) = tokio::join!(self.store(key, receiver), send_file(path, sender));
            sent.map_err(|source| StorageError::Workspace {
                path: path.display().to_string(),
                source,
            })?;
            stored
        }
    }
}

/// The size and digest of the bytes so far.
#[derive(Debug, Default)]
struct SizeAndDigest {
    size: u64,
    digest: Sha256,
}

impl SizeAndDigest {
    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
    }

    fn size(&self) -> u64 {
        self.size
    }

    /// Checks that the bytes are those that were staged.
    ///
    /// # Errors
    /// Returns [`StorageError::Changed`] if they are not.
    fn check(self, object: &StagedObject) -> Result<(), StorageError> {
        let changed = |reason| StorageError::Changed {
            key: object.key.to_string(),
            reason,
        };
        if self.size != object.size {
            return Err(changed(format!("{} bytes instead of {}", self.size, object.size)));
        }
        let loaded = hex(self.digest);
        match &object.sha256 {
            Some(sha256) if *sha256 != loaded => {
                Err(changed(format!("the SHA-256 {loaded} instead of {sha256}")))
            }
            _ => Ok(()),
        }
    }
}

/// Converts a digest to hexadecimal digits.
fn hex(digest: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Sends the pieces of a file. Stops if the receiver is gone, whose own error says why.
async fn send_file(path: &Path, sender: mpsc::Sender<Piece>) -> io::Result<()> {
    let mut file = tokio::fs::File::open(path).await?;
    loop {
        let mut bytes = Vec::with_capacity(PIECE_BYTES);
        (&mut file)
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut bytes)
            .await?;
        let end = bytes.len() < PIECE_BYTES;
        if !bytes.is_empty() && sender.send(Piece::Bytes(bytes)).await.is_err() {
            return Ok(());
        }
        if end {
            // If the receiver is gone, it has an error of its own.
            let _ = sender.send(Piece::End).await;
            return Ok(());
        }
    }
}

/// Why an object cannot be stored, loaded or removed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// S3 does not respond.
    #[error("s3://{bucket}/{key} could not be reached")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// S3 refuses the request.
    #[error("s3://{bucket}/{key} may not be read or written")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What happened.
        #[source]
        source: AwsFailure,
    },
    /// The object does not exist.
    #[error("the staged object {key} is gone")]
    Missing {
        /// The key.
        key: String,
    },
    /// The version of a delivered object does not exist.
    #[error("version {version_id} of s3://{bucket}/{key} does not exist any more")]
    NoVersion {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The version.
        version_id: String,
    },
    /// The object is not the one that was staged.
    #[error("the staged object {key} has {reason}")]
    Changed {
        /// The key.
        key: String,
        /// How it differs from what was staged.
        reason: String,
    },
    /// The sender of the object's bytes has stopped half-way.
    #[error("the object {key} was not finished")]
    Unfinished {
        /// The key.
        key: String,
    },
    /// Others kept changing the destination.
    #[error("others changed s3://{bucket}/{key} each time it was about to be written")]
    Contended {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// The function's own storage failed.
    #[error("the file {path} could not be read or written")]
    Workspace {
        /// The path.
        path: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The key of the object would be invalid.
    #[error(transparent)]
    Key(#[from] Invalid),
}

impl StorageError {
    #[cfg(feature = "objects")]
    pub(crate) fn aws(bucket: &str, key: &ObjectKey, source: AwsFailure) -> Self {
        let (bucket, key) = (bucket.to_owned(), key.to_string());
        if source.transient {
            Self::Unavailable { bucket, key, source }
        } else {
            Self::Refused { bucket, key, source }
        }
    }
}

impl Coded for StorageError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::StorageUnavailable,
            Self::Refused { .. } => Code::StorageRefused,
            Self::Missing { .. } | Self::Changed { .. } => Code::StagedObjectMissing,
            Self::NoVersion { .. } => Code::VersionMissing,
            Self::Contended { .. } => Code::DestinationContended,
            Self::Unfinished { .. } | Self::Workspace { .. } => Code::WorkspaceFailed,
            Self::Key(_) => Code::SourceInvalid,
        }
    }
}

#[cfg(test)]
mod tests;
