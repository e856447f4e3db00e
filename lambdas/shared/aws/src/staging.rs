//! The staging area: where a push's pack and zip wait for the next stage.

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
use domain::push::PushId;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

pub use folder::FolderStaging;
#[cfg(feature = "objects")]
pub use s3::S3Staging;

use crate::AwsFailure;

/// The size of the pieces that an object is made of, in bytes. S3 takes up to 10,000 of them, so an object may have
/// 160 GiB, far more than a function can hold.
pub const PIECE_BYTES: usize = 16 << 20;

/// The bytes of an object as they are made. It is whole only once [`Piece::End`] has come: a sender that is dropped
/// before has failed, and nothing is kept.
#[derive(Debug)]
pub enum Piece {
    /// The next [`PIECE_BYTES`] bytes; fewer in the last one.
    Bytes(Vec<u8>),
    /// All of them have come.
    End,
}

/// A place for intermediate objects.
pub trait Staging: Send + Sync {
    /// Stores what comes from `pieces` under `key`, and replaces what is there.
    fn store(
        &self,
        key: &ObjectKey,
        pieces: mpsc::Receiver<Piece>,
    ) -> impl Future<Output = Result<StagedObject, StorageError>> + Send;

    /// Brings the object into the file `path`: the version that was staged, or nothing.
    fn load(
        &self,
        object: &StagedObject,
        path: &Path,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes all that was staged for a push.
    fn remove_all(&self, push_id: &PushId) -> impl Future<Output = Result<(), StorageError>> + Send;

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

/// What has come of an object while it is loaded.
#[derive(Debug, Default)]
struct Met {
    size: u64,
    digest: Sha256,
}

impl Met {
    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
    }

    fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is what was staged.
    fn check(self, object: &StagedObject) -> Result<(), StorageError> {
        let changed = |reason| StorageError::Changed {
            key: object.key.to_string(),
            reason,
        };
        if self.size != object.size {
            return Err(changed(format!("{} bytes instead of {}", self.size, object.size)));
        }
        let met = hex(self.digest);
        match &object.sha256 {
            Some(sha256) if *sha256 != met => Err(changed(format!("the SHA-256 {met} instead of {sha256}"))),
            _ => Ok(()),
        }
    }
}

/// A digest, as hexadecimal digits.
fn hex(digest: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Sends a file's pieces. Where the receiver is gone it stops: the receiver's error says why.
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
            // A receiver that is gone has an error of its own.
            let _ = sender.send(Piece::End).await;
            return Ok(());
        }
    }
}

/// Why an object cannot be stored, brought or removed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// S3 does not answer.
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
    /// S3 refuses.
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
    /// The object is not there.
    #[error("the staged object {key} is gone")]
    Missing {
        /// The key.
        key: String,
    },
    /// The object is not the one that was staged.
    #[error("the staged object {key} has {reason}")]
    Changed {
        /// The key.
        key: String,
        /// What it has, and what was staged.
        reason: String,
    },
    /// Its maker has stopped half-way.
    #[error("the object {key} was not finished")]
    Unfinished {
        /// The key.
        key: String,
    },
    /// The destination changed each time that it was looked at.
    #[error("s3://{bucket}/{key} was changed by others each time it was about to be written")]
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
    /// A key cannot be made.
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
            Self::Contended { .. } => Code::DestinationContended,
            Self::Unfinished { .. } | Self::Workspace { .. } => Code::WorkspaceFailed,
            Self::Key(_) => Code::SourceInvalid,
        }
    }
}

#[cfg(test)]
mod tests;
