//! A destination in memory that behaves like S3: an entity tag depends on the content and not on the write, a copy is
//! completed on its condition or not at all, and a copy that is neither completed nor aborted stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws::AwsFailure;
use aws::destination::{DestinationObject, DestinationStore, Prepared, Zip};
use aws::staging::StorageError;
use domain::contract::Delivered;
use domain::destination::Destination;
use tokio::sync::Notify;

/// A call of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Head,
    Put,
    Prepare,
    Complete,
    Abort,
    Remove,
}

/// A planned fault of one call.
#[derive(Debug)]
enum Fault {
    /// The call begins once the gate is open.
    Wait(Arc<Gate>),
    /// The call does nothing, and fails.
    Fail,
    /// The call succeeds, but its response is lost.
    LoseResponse,
}

/// A document beside the zips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Contents {
    objects: HashMap<String, DestinationObject>,
    documents: HashMap<String, Document>,
    copies: HashMap<String, DestinationObject>,
    has_lost_what_was_staged: bool,
    /// What the versions of all zips have in them.
    versions_of_zips: HashMap<String, String>,
    versions: u64,
    steps: Vec<Step>,
    plan: Vec<(Step, usize, Fault)>,
}

/// A destination in memory, with planned faults.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Contents>);

impl MemoryStore {
    /// Returns all calls so far.
    pub fn steps(&self) -> Vec<Step> {
        self.contents().steps.clone()
    }

    pub fn count(&self, step: Step) -> usize {
        self.contents().count(step)
    }

    pub fn object(&self, destination: &Destination) -> Option<DestinationObject> {
        self.contents().objects.get(&destination.to_string()).cloned()
    }

    pub fn document(&self, destination: &Destination) -> Option<Document> {
        self.contents().documents.get(&destination.to_string()).cloned()
    }

    /// Returns how many copies are neither completed nor aborted.
    pub fn copies(&self) -> usize {
        self.contents().copies.len()
    }

    /// Puts an object there without any condition, as another program might.
    pub fn place(&self, destination: &Destination, content: &str, metadata: HashMap<String, String>) {
        let mut contents = self.contents();
        contents.write(destination, described(content, metadata));
    }

    /// Lets the object have been written while the bucket kept no versions.
    pub fn forget_version(&self, destination: &Destination, version_id: Option<&str>) {
        let mut contents = self.contents();
        let object = contents.objects.get_mut(&destination.to_string()).unwrap();
        object.version_id = version_id.map(str::to_owned);
    }

    pub fn remove(&self, destination: &Destination) {
        self.contents().objects.remove(&destination.to_string());
    }

    /// Lets the versions of all zips expire, except for those that are at their destinations.
    pub fn expire_versions(&self) {
        self.contents().versions_of_zips.clear();
    }

    pub fn lose_what_was_staged(&self) {
        self.contents().has_lost_what_was_staged = true;
    }

    /// Holds up the `nth` future call of `step`, counted from 1.
    pub fn gate(&self, step: Step, nth: usize) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.plan(step, nth, Fault::Wait(gate.clone()));
        gate
    }

    /// Lets the `nth` future call of `step` fail, counted from 1.
    pub fn fail(&self, step: Step, nth: usize) {
        self.plan(step, nth, Fault::Fail);
    }

    /// Loses the response of the next call of `step`.
    pub fn lose_response(&self, step: Step) {
        self.plan(step, 1, Fault::LoseResponse);
    }

    fn plan(&self, step: Step, nth: usize, fault: Fault) {
        let mut contents = self.contents();
        let call = contents.count(step) + nth;
        contents.plan.push((step, call, fault));
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    /// Applies the planned fault. Returns whether the response is to be lost.
    async fn begin(&self, step: Step, destination: &Destination) -> Result<bool, StorageError> {
        let fault = self.contents().fault(step);
        match fault {
            None => Ok(false),
            Some(Fault::LoseResponse) => Ok(true),
            Some(Fault::Fail) => Err(unavailable(destination)),
            Some(Fault::Wait(gate)) => {
                gate.reached.notify_one();
                gate.open.notified().await;
                Ok(false)
            }
        }
    }
}

impl Contents {
    fn count(&self, step: Step) -> usize {
        self.steps.iter().filter(|done| **done == step).count()
    }

    fn fault(&mut self, step: Step) -> Option<Fault> {
        self.steps.push(step);
        let call = self.count(step);
        let planned = self
            .plan
            .iter()
            .position(|plan| (plan.0, plan.1) == (step, call))?;
        Some(self.plan.swap_remove(planned).2)
    }

    fn write(&mut self, destination: &Destination, mut object: DestinationObject) -> DestinationObject {
        self.versions += 1;
        let version_id = format!("v{}", self.versions);
        let content = object.etag.trim_matches('"').trim_end_matches("-1").to_owned();
        self.versions_of_zips.insert(version_id.clone(), content);
        object.version_id = Some(version_id);
        self.objects.insert(destination.to_string(), object.clone());
        object
    }
}

impl DestinationStore for MemoryStore {
    async fn head(&self, destination: &Destination) -> Result<Option<DestinationObject>, StorageError> {
        self.begin(Step::Head, destination).await?;
        let is_document = self.document(destination).is_some();
        let document = is_document.then(|| described("a document", HashMap::new()));
        Ok(self.object(destination).or(document))
    }

    async fn put(
        &self,
        destination: &Destination,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), StorageError> {
        self.begin(Step::Put, destination).await?;
        let document = Document {
            media_type: media_type.to_owned(),
            bytes,
        };
        self.contents()
            .documents
            .insert(destination.to_string(), document);
        Ok(())
    }

    async fn prepare(
        &self,
        zip: Zip<'_>,
        destination: &Destination,
        metadata: &HashMap<String, String>,
    ) -> Result<Prepared, StorageError> {
        self.begin(Step::Prepare, destination).await?;
        let mut contents = self.contents();
        let content = match zip {
            Zip::Staged(staged) if !contents.has_lost_what_was_staged => staged.sha256.clone(),
            Zip::Staged(_) => None,
            Zip::Version(version, _) => contents.versions_of_zips.get(&version.version_id).cloned(),
        };
        let content = content.ok_or_else(|| zip.missing())?;
        let upload_id = format!("upload-{}", contents.count(Step::Prepare));
        contents
            .copies
            .insert(upload_id.clone(), described(&content, metadata.clone()));
        Ok(Prepared {
            upload_id,
            parts: vec![],
        })
    }

    async fn complete_if_unchanged(
        &self,
        prepared: &Prepared,
        destination: &Destination,
        expected: Option<&str>,
    ) -> Result<Option<Delivered>, StorageError> {
        let is_lost = self.begin(Step::Complete, destination).await?;
        let mut contents = self.contents();
        let there = contents
            .objects
            .get(&destination.to_string())
            .map(|object| object.etag.as_str());
        if there != expected {
            return Ok(None);
        }
        let copy = contents.copies.remove(&prepared.upload_id).unwrap();
        let object = contents.write(destination, copy);
        if is_lost {
            return Err(unavailable(destination));
        }
        Ok(Some(Delivered {
            bucket: destination.bucket.clone(),
            key: destination.key.clone(),
            version_id: object.version_id,
            etag: object.etag,
            provenance: None,
        }))
    }

    async fn remove_if_unchanged(
        &self,
        destination: &Destination,
        expected: &str,
    ) -> Result<bool, StorageError> {
        let is_lost = self.begin(Step::Remove, destination).await?;
        let mut contents = self.contents();
        let there = contents
            .objects
            .get(&destination.to_string())
            .map(|object| object.etag.as_str());
        if there != Some(expected) {
            return Ok(false);
        }
        contents.objects.remove(&destination.to_string());
        match is_lost {
            true => Err(unavailable(destination)),
            false => Ok(true),
        }
    }

    async fn abort(&self, prepared: &Prepared, _: &Destination) {
        let mut contents = self.contents();
        contents.steps.push(Step::Abort);
        contents.copies.remove(&prepared.upload_id);
    }
}

/// Holds up one call while something else happens.
#[derive(Debug, Default)]
pub struct Gate {
    reached: Notify,
    open: Notify,
}

impl Gate {
    /// Waits until a call is held up. Panics if none comes.
    pub async fn reached(&self) {
        tokio::time::timeout(Duration::from_secs(60), self.reached.notified())
            .await
            .expect("no call has come to the gate");
    }

    pub fn open(&self) {
        self.open.notify_one();
    }
}

fn described(content: &str, metadata: HashMap<String, String>) -> DestinationObject {
    DestinationObject {
        etag: format!("\"{content}-1\""),
        version_id: None,
        metadata,
    }
}

fn unavailable(destination: &Destination) -> StorageError {
    StorageError::Unavailable {
        bucket: destination.bucket.clone(),
        key: destination.key.to_string(),
        source: AwsFailure::of_item("s3", Some("InternalError"), None),
    }
}
