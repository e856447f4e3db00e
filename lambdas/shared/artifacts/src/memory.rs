//! Artifacts and evidence in memory, for tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use delivery::artifact::{Artifact, Digest};
use delivery::deployment::ApplicationName;
use domain::git::ObjectId;

use crate::ArtifactError;
use crate::bucket::{ArtifactStore, Loaded, Location, check};
use crate::evidence::EvidenceStore;

/// The bucket of artifacts in memory.
pub const BUCKET: &str = "artifacts";

/// Objects of all buckets in memory, by `s3://bucket/key`.
#[derive(Debug, Default)]
pub struct MemoryArtifacts {
    /// The objects.
    pub objects: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryArtifacts {
    /// Writes an object. Returns its digest.
    pub fn write(&self, bucket: &str, key: &str, bytes: &[u8]) -> Digest {
        self.with(|objects| objects.insert(format!("s3://{bucket}/{key}"), bytes.to_vec()));
        Digest::of(bytes)
    }

    /// Returns the bytes with this digest, if they are in the artifact bucket.
    #[must_use]
    pub fn read(&self, digest: &Digest) -> Option<Vec<u8>> {
        let name = self.location(digest).to_string();
        self.with(|objects| objects.get(&name).cloned())
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        work(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ArtifactStore for MemoryArtifacts {
    async fn contains(&self, digest: &Digest) -> Result<bool, ArtifactError> {
        Ok(self.read(digest).is_some())
    }

    async fn put(&self, digest: &Digest, path: &Path) -> Result<(), ArtifactError> {
        let location = self.location(digest);
        let bytes = std::fs::read(path).map_err(ArtifactError::workspace(path))?;
        let bytes = self.read(digest).unwrap_or(bytes);
        let found = self.write(&location.bucket, &location.key, &bytes);
        check(&location, digest, &found)
    }

    async fn load(&self, from: &Location, max_bytes: u64, path: &Path) -> Result<Loaded, ArtifactError> {
        let object = from.to_string();
        let Some(bytes) = self.with(|objects| objects.get(&object).cloned()) else {
            return Err(ArtifactError::Missing { object });
        };
        if bytes.len() as u64 > max_bytes {
            return Err(ArtifactError::TooLarge { object, max_bytes });
        }
        std::fs::write(path, &bytes).map_err(ArtifactError::workspace(path))?;
        Ok(Loaded {
            sha256: Digest::of(&bytes),
            size: bytes.len() as u64,
        })
    }

    fn bucket(&self) -> &str {
        BUCKET
    }
}

/// Evidence in memory.
#[derive(Debug, Default)]
pub struct MemoryEvidence {
    /// The evidence, by application and tree.
    pub items: Mutex<BTreeMap<(String, String), Artifact>>,
}

impl EvidenceStore for MemoryEvidence {
    async fn find(
        &self,
        application: &ApplicationName,
        tree: &ObjectId,
    ) -> Result<Option<Artifact>, ArtifactError> {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(items.get(&(application.to_string(), tree.to_string())).cloned())
    }

    async fn put(&self, artifact: &Artifact, replaced: Option<&Artifact>) -> Result<bool, ArtifactError> {
        let key = (artifact.application.to_string(), artifact.tree.to_string());
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if items.get(&key).map(|item| &item.provenance) != replaced.map(|item| &item.provenance) {
            return Ok(false);
        }
        items.insert(key, artifact.clone());
        Ok(true)
    }
}
