//! A staging area in a folder, for tests of the stages, and for measuring them without S3.

use std::path::{Path, PathBuf};

use domain::contract::StagedObject;
use domain::destination::ObjectKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Piece, SizeAndDigest, Staging, StorageError, hex};

/// A staging area in a folder.
#[derive(Debug, Clone)]
pub struct FolderStaging {
    root: PathBuf,
}

impl FolderStaging {
    /// Creates a staging area in the folder `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns the path of the object `key`.
    #[must_use]
    pub fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }
}

/// Returns the path of a version of the object at `path`.
fn version_path(path: &Path, version_id: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".version-");
    name.push(version_id);
    name.into()
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
        let version_id = Uuid::new_v4().to_string();
        let version = version_path(&path, &version_id);
        let mut file = tokio::fs::File::create(&version)
            .await
            .map_err(failed(&version))?;
        let mut stored = SizeAndDigest::default();
        while let Some(piece) = pieces.recv().await {
            let Piece::Bytes(bytes) = piece else {
                file.flush().await.map_err(failed(&version))?;
                // The path of the key itself has the newest version.
                match tokio::fs::remove_file(&path).await {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(failed(&path)(error));
                    }
                    _ => {}
                }
                tokio::fs::hard_link(&version, &path)
                    .await
                    .map_err(failed(&path))?;
                return Ok(StagedObject {
                    key: key.clone(),
                    size: stored.size(),
                    version_id: Some(version_id),
                    sha256: Some(hex(stored.digest)),
                });
            };
            stored.update(&bytes);
            file.write_all(&bytes).await.map_err(failed(&version))?;
        }
        tokio::fs::remove_file(&version).await.map_err(failed(&version))?;
        Err(StorageError::Unfinished { key: key.to_string() })
    }

    async fn load(&self, object: &StagedObject, path: &Path) -> Result<(), StorageError> {
        let from = match &object.version_id {
            Some(version_id) => version_path(&self.path(&object.key), version_id),
            None => self.path(&object.key),
        };
        let mut file = match tokio::fs::File::open(&from).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StorageError::Missing {
                    key: object.key.to_string(),
                });
            }
            file => file.map_err(failed(&from))?,
        };
        let mut loaded = SizeAndDigest::default();
        let mut bytes = vec![0; super::PIECE_BYTES];
        loop {
            let length = file.read(&mut bytes).await.map_err(failed(&from))?;
            if length == 0 {
                break;
            }
            loaded.update(&bytes[..length]);
        }
        loaded.check(object)?;
        // A copy would only measure the disk: what is loaded is read and not changed.
        if tokio::fs::hard_link(&from, path).await.is_err() {
            tokio::fs::copy(&from, path).await.map_err(failed(path))?;
        }
        Ok(())
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let path = self.path(key);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    async fn remove_all(&self, prefix: &ObjectKey) -> Result<(), StorageError> {
        let path = self.path(prefix);
        match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }
}
