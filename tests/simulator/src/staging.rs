//! The staging bucket in memory, which keeps versions: a removed object is hidden, and exists until it expires.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws::staging::{Piece, Staging, StorageError};
use domain::contract::StagedObject;
use domain::destination::{ObjectKey, staging_key};
use domain::push::PushId;
use tokio::sync::mpsc;

use crate::core::{Core, OF_READS, OF_WRITES, Trouble};
use crate::digest::sha256;
use crate::scheduler::lock;
use crate::weather::Port;

/// The staging bucket.
#[derive(Debug)]
pub struct Bucket {
    core: Arc<Core>,
    objects: Mutex<Objects>,
}

#[derive(Debug, Default)]
struct Objects {
    last_version: u64,
    by_key: BTreeMap<String, Versions>,
}

#[derive(Debug, Default)]
struct Versions {
    is_hidden: bool,
    versions: Vec<(String, Vec<u8>)>,
}

impl Bucket {
    /// Creates an empty bucket.
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            objects: Mutex::default(),
        }
    }

    /// Returns the bytes of a staged version, or `None` if it does not exist.
    pub fn bytes(&self, object: &StagedObject) -> Option<Vec<u8>> {
        let objects = lock(&self.objects);
        let there = objects.by_key.get(object.key.as_str())?;
        let found = match &object.version_id {
            Some(version_id) => there.versions.iter().find(|version| version.0 == *version_id),
            None if there.is_hidden => None,
            None => there.versions.last(),
        };
        found.map(|version| version.1.clone())
    }

    /// Lets a staged object expire by chance.
    pub fn expire(&self, object: &StagedObject) {
        if self.core.goes_wrong(self.core.weather.expiries) {
            self.core.say(|| format!("{} has expired", object.key));
            lock(&self.objects).by_key.remove(object.key.as_str());
        }
    }

    /// Stores `bytes` under the name `name` of a push.
    pub async fn store_bytes(
        &self,
        push_id: &PushId,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<StagedObject, StorageError> {
        let key = staging_key(push_id, name)?;
        let (sender, receiver) = mpsc::channel(2);
        // The channel has room for both.
        let _ = sender.send(Piece::Bytes(bytes)).await;
        let _ = sender.send(Piece::End).await;
        self.store(&key, receiver).await
    }

    fn failed(key: &ObjectKey, trouble: Trouble) -> StorageError {
        let (bucket, key) = ("staging".to_owned(), key.to_string());
        let source = trouble.failure("s3:Simulated");
        if source.transient {
            StorageError::Unavailable { bucket, key, source }
        } else {
            StorageError::Refused { bucket, key, source }
        }
    }
}

impl Staging for Bucket {
    async fn store(
        &self,
        key: &ObjectKey,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<StagedObject, StorageError> {
        let mut all = Vec::new();
        loop {
            match pieces.recv().await {
                Some(Piece::Bytes(bytes)) => all.extend(bytes),
                Some(Piece::End) => break,
                None => return Err(StorageError::Unfinished { key: key.to_string() }),
            }
        }
        let what = || format!("stages {key}");
        let fate = self.core.call(Port::Staging, OF_WRITES, what).await;
        let fate = fate.map_err(|trouble| Self::failed(key, trouble))?;
        let staged = {
            let mut objects = lock(&self.objects);
            objects.last_version += 1;
            let version_id = format!("staged-{}", objects.last_version);
            let staged = StagedObject {
                key: key.clone(),
                size: all.len() as u64,
                version_id: Some(version_id.clone()),
                sha256: Some(sha256(&all)),
            };
            let there = objects.by_key.entry(key.to_string()).or_default();
            there.is_hidden = false;
            there.versions.push((version_id, all));
            staged
        };
        let answer = self.core.answer(fate).await;
        answer.map_err(|trouble| Self::failed(key, trouble))?;
        Ok(staged)
    }

    async fn load(&self, object: &StagedObject, path: &Path) -> Result<(), StorageError> {
        let key = &object.key;
        let what = || format!("loads {key}");
        let fate = self.core.call(Port::Staging, OF_READS, what).await;
        let fate = fate.map_err(|trouble| Self::failed(key, trouble))?;
        self.expire(object);
        let missing = || StorageError::Missing { key: key.to_string() };
        let bytes = self.bytes(object).ok_or_else(missing)?;
        let answer = self.core.answer(fate).await;
        answer.map_err(|trouble| Self::failed(key, trouble))?;
        if object
            .sha256
            .as_ref()
            .is_some_and(|expected| *expected != sha256(&bytes))
        {
            self.core
                .is_wrong(format!("what {key} brings is not what was staged"));
            let reason = "another SHA-256".to_owned();
            return Err(StorageError::Changed {
                key: key.to_string(),
                reason,
            });
        }
        std::fs::write(path, bytes).map_err(|source| StorageError::Workspace {
            path: path.display().to_string(),
            source,
        })
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        // The simulated stages leave nothing for the next pushes.
        self.core.is_wrong(format!("{key} is removed"));
        Ok(())
    }

    async fn remove_all(&self, prefix: &ObjectKey) -> Result<(), StorageError> {
        let what = || format!("removes {prefix}");
        let fate = self.core.call(Port::Staging, OF_WRITES, what).await;
        let fate = fate.map_err(|trouble| Self::failed(prefix, trouble))?;
        for (key, there) in &mut lock(&self.objects).by_key {
            if key.starts_with(prefix.as_str()) {
                there.is_hidden = true;
            }
        }
        let answer = self.core.answer(fate).await;
        answer.map_err(|trouble| Self::failed(prefix, trouble))
    }
}
