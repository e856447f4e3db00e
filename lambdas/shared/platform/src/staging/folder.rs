//! A staging area in a folder: for tests of the stages, and for measuring them without S3.

use std::path::{Path, PathBuf};

use domain::contract::StagedObject;
use domain::destination::{ObjectKey, staging_key};
use domain::push::PushId;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::{Piece, Staging, StorageError};

/// See the module.
#[derive(Debug, Clone)]
pub struct FolderStaging {
    root: PathBuf,
}

impl FolderStaging {
    /// The staging area in the folder `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the object `key` is.
    #[must_use]
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> StorageError {
    let path = path.display().to_string();
    move |source| StorageError::Workspace { path, source }
}

impl Staging for FolderStaging {
    async fn store(
        &self,
        key: &ObjectKey,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<StagedObject, StorageError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root);
        tokio::fs::create_dir_all(folder).await.map_err(failed(folder))?;
        let mut file = tokio::fs::File::create(&path).await.map_err(failed(&path))?;
        let mut size = 0;
        while let Some(piece) = pieces.recv().await {
            let Piece::Bytes(bytes) = piece else {
                file.flush().await.map_err(failed(&path))?;
                return Ok(StagedObject {
                    key: key.clone(),
                    size,
                });
            };
            size += bytes.len() as u64;
            file.write_all(&bytes).await.map_err(failed(&path))?;
        }
        tokio::fs::remove_file(&path).await.map_err(failed(&path))?;
        Err(StorageError::Unfinished { key: key.to_string() })
    }

    async fn load(&self, object: &StagedObject, path: &Path) -> Result<(), StorageError> {
        let from = self.path(&object.key);
        let met = tokio::fs::copy(&from, path).await.map_err(failed(&from))?;
        if met == object.size {
            Ok(())
        } else {
            Err(StorageError::Size {
                key: object.key.to_string(),
                expected: object.size,
                met,
            })
        }
    }

    async fn remove_all(&self, push_id: &PushId) -> Result<(), StorageError> {
        let path = self.path(&staging_key(push_id, "")?);
        match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }
}
