//! The destination's bucket in memory, which behaves like S3: it keeps versions, entity tags depend on the content, and
//! a write may have a condition.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use aws::destination::{DestinationObject, DestinationStore, Prepared, Zip};
use aws::staging::StorageError;
use domain::contract::Delivered;
use domain::destination::Destination;

use crate::core::{Core, OF_CONDITIONAL_WRITES, OF_READS, OF_WRITES, Trouble};
use crate::digest::sha256;
use crate::scheduler::lock;
use crate::staging::Bucket;
use crate::trail::Trail;
use crate::weather::Port;

/// The destination's bucket.
#[derive(Debug)]
pub struct Store {
    core: Arc<Core>,
    staging: Arc<Bucket>,
    trail: Arc<Trail>,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    last_id: u64,
    objects: BTreeMap<String, Vec<Version>>,
    /// The keys whose newest version is a delete marker.
    removed: BTreeSet<String>,
    uploads: BTreeMap<String, Version>,
}

/// A version of an object.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its user metadata.
    pub metadata: HashMap<String, String>,
}

impl Version {
    /// Returns an entity tag, which like S3's for an object of one part depends only on the content.
    pub fn etag(&self) -> String {
        format!("\"{}\"", &sha256(&self.bytes)[..32])
    }
}

impl Store {
    /// Creates an empty bucket, for objects staged in `staging`, under the leases of `trail`.
    pub fn new(core: Arc<Core>, staging: Arc<Bucket>, trail: Arc<Trail>) -> Self {
        Self {
            core,
            staging,
            trail,
            contents: Mutex::default(),
        }
    }

    /// Returns the object at a key, or `None` if it was removed.
    pub fn newest(&self, key: &str) -> Option<Version> {
        let is_removed = lock(&self.contents).removed.contains(key);
        self.versions(key).pop().filter(|_| !is_removed)
    }

    /// Returns all versions of an object, oldest first.
    pub fn versions(&self, key: &str) -> Vec<Version> {
        lock(&self.contents).objects.get(key).cloned().unwrap_or_default()
    }

    fn failed(destination: &Destination, trouble: Trouble) -> StorageError {
        let (bucket, key) = (destination.bucket.clone(), destination.key.to_string());
        let source = trouble.failure("s3:Simulated");
        if source.transient {
            StorageError::Unavailable { bucket, key, source }
        } else {
            StorageError::Refused { bucket, key, source }
        }
    }

    /// Completes an upload. Returns the version, or `None` if the upload does not exist or the condition does not hold.
    fn complete(
        &self,
        prepared: &Prepared,
        destination: &Destination,
        expected: Option<&str>,
    ) -> Option<Version> {
        let mut contents = lock(&self.contents);
        let there = contents
            .objects
            .get(destination.key.as_str())
            .and_then(|versions| versions.last())
            .filter(|_| !contents.removed.contains(destination.key.as_str()));
        if there.map(Version::etag).as_deref() != expected {
            return None;
        }
        let version = contents.uploads.remove(&prepared.upload_id)?;
        contents.removed.remove(destination.key.as_str());
        let versions = contents.objects.entry(destination.key.to_string()).or_default();
        versions.push(version.clone());
        Some(version)
    }
}

impl DestinationStore for Store {
    async fn head(&self, destination: &Destination) -> Result<Option<DestinationObject>, StorageError> {
        let failed = |trouble| Self::failed(destination, trouble);
        let what = || "looks at the destination".to_owned();
        let fate = self
            .core
            .call(Port::Store, OF_READS, what)
            .await
            .map_err(failed)?;
        let newest = self.newest(destination.key.as_str());
        self.core.answer(fate).await.map_err(failed)?;
        Ok(newest.map(|version| DestinationObject {
            etag: version.etag(),
            version_id: Some(version.id),
            metadata: version.metadata,
        }))
    }

    async fn put(&self, destination: &Destination, _: &str, bytes: Vec<u8>) -> Result<(), StorageError> {
        let failed = |trouble| Self::failed(destination, trouble);
        let what = || "puts the provenance document".to_owned();
        let fate = self
            .core
            .call(Port::Store, OF_WRITES, what)
            .await
            .map_err(failed)?;
        {
            let mut contents = lock(&self.contents);
            contents.last_id += 1;
            let version = Version {
                id: format!("version-{}", contents.last_id),
                bytes,
                metadata: HashMap::new(),
            };
            contents
                .objects
                .entry(destination.key.to_string())
                .or_default()
                .push(version);
        }
        self.core.answer(fate).await.map_err(failed)
    }

    async fn prepare(
        &self,
        zip: Zip<'_>,
        destination: &Destination,
        metadata: &HashMap<String, String>,
    ) -> Result<Prepared, StorageError> {
        let failed = |trouble| Self::failed(destination, trouble);
        let what = || "copies the zip".to_owned();
        let fate = self
            .core
            .call(Port::Store, OF_WRITES, what)
            .await
            .map_err(failed)?;
        let bytes = match zip {
            Zip::Staged(staged) => {
                self.staging.expire(staged);
                self.staging.bytes(staged)
            }
            Zip::Version(version, _) => {
                let mut versions = self.versions(version.key.as_str()).into_iter();
                let found = versions.find(|there| there.id == version.version_id);
                found.map(|found| found.bytes)
            }
        };
        let bytes = bytes.ok_or_else(|| zip.missing())?;
        let upload_id = {
            let mut contents = lock(&self.contents);
            contents.last_id += 1;
            let upload_id = format!("upload-{}", contents.last_id);
            let version = Version {
                id: format!("version-{}", contents.last_id),
                bytes,
                metadata: metadata.clone(),
            };
            contents.uploads.insert(upload_id.clone(), version);
            upload_id
        };
        self.core.answer(fate).await.map_err(failed)?;
        Ok(Prepared {
            upload_id,
            parts: Vec::new(),
        })
    }

    async fn complete_if_unchanged(
        &self,
        prepared: &Prepared,
        destination: &Destination,
        expected: Option<&str>,
    ) -> Result<Option<Delivered>, StorageError> {
        let failed = |trouble| Self::failed(destination, trouble);
        let what = || format!("completes the copy {}", prepared.upload_id);
        let fate = self
            .core
            .call(Port::Store, OF_CONDITIONAL_WRITES, what)
            .await
            .map_err(failed)?;
        let completed = match fate.is_refused() {
            true => None,
            false => self.complete(prepared, destination, expected),
        };
        if let Some(version) = &completed {
            self.core.say(|| {
                let zip = String::from_utf8_lossy(&version.bytes).into_owned();
                format!("DESTINATION is {zip} ({})", version.id)
            });
            if !self.trail.is_leased_to_caller(destination) {
                self.core
                    .is_wrong(format!("{} was written without the lease", version.id));
            }
        }
        self.core.answer(fate).await.map_err(failed)?;
        let told = completed.filter(|_| !fate.meets_itself());
        Ok(told.map(|version| Delivered {
            bucket: destination.bucket.clone(),
            key: destination.key.clone(),
            version_id: Some(version.id.clone()),
            etag: version.etag(),
            provenance: None,
        }))
    }

    async fn remove_if_unchanged(
        &self,
        destination: &Destination,
        expected: &str,
    ) -> Result<bool, StorageError> {
        let failed = |trouble| Self::failed(destination, trouble);
        let what = || "removes the zip".to_owned();
        let fate = self
            .core
            .call(Port::Store, OF_CONDITIONAL_WRITES, what)
            .await
            .map_err(failed)?;
        let key = destination.key.as_str();
        let is_there = !fate.is_refused() && self.newest(key).is_some_and(|there| there.etag() == expected);
        if is_there {
            lock(&self.contents).removed.insert(key.to_owned());
            self.core.say(|| "DESTINATION is empty".to_owned());
            if !self.trail.is_leased_to_caller(destination) {
                self.core
                    .is_wrong("the zip was removed without the lease".to_owned());
            }
        }
        self.core.answer(fate).await.map_err(failed)?;
        Ok(is_there && !fate.meets_itself())
    }

    async fn abort(&self, prepared: &Prepared, destination: &Destination) {
        let what = || "drops the copy".to_owned();
        // The caller does not learn whether this has worked: a copy that is left only costs money.
        if self.core.call(Port::Store, OF_WRITES, what).await.is_ok() {
            lock(&self.contents).uploads.remove(&prepared.upload_id);
        }
        let _ = destination;
    }
}
