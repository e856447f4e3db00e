//! `Upload`: puts the zip at its destination, unless a newer push was delivered there. `Keep`: leaves the zip there
//! that an earlier push has delivered, because nothing that concerns the destination has changed since. `Expire`:
//! removes the zip of a ref that was deleted.
//!
//! It reads the state of the destination, copies the zip to the destination's bucket, takes the destination's lease,
//! reads the state again, and decides ([`domain::order`]). It writes only on the condition that the object has not
//! changed since it was read. So if two uploads run at once, the older zip never replaces the newer one.

mod expire;
mod keep;
mod metadata;
mod provenance;

use attestation::{Signer, SigningError};
use audit::{AuditError, DestinationRecord, PushTrail, RefKey};
use aws::destination::{DestinationObject, DestinationStore, Prepared, Zip};
use aws::staging::StorageError;
use domain::contract::{Delivered, Envelope, IgnoreReason, Ignored, UploadInput, Uploaded};
use domain::destination::{Destination, provenance_key};
use domain::error::{Code, Coded};
use domain::order::{self, DeliveredPush, Known, Verdict};
use domain::push::Push;
use workflow::ExecutionOver;

pub use expire::expire;
pub use keep::keep;
pub use metadata::NamesTooLong;
pub use provenance::{BUILD_TYPE, MEDIA_TYPE as STATEMENT_MEDIA_TYPE};

/// The most attempts to write, if somebody without the lease keeps changing the destination.
const MAX_ATTEMPTS: usize = 10;

/// What [`handle`] needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, T, D, S> {
    /// The audit trail, with the destinations' leases.
    pub trail: &'a T,
    /// The bucket that receives the zip.
    pub store: &'a D,
    /// The key that signs provenance documents.
    pub signer: &'a S,
}

/// Why a zip cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The destination holds the zip of another repository or ref, or an object that this project has not written.
    #[error("s3://{bucket}/{key} holds {owner}, and nothing of this push's repository and ref")]
    Occupied {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What the object is, and whose.
        owner: String,
    },
    /// The names of the repository and the ref are too long for the metadata of an object.
    #[error(transparent)]
    Names(#[from] NamesTooLong),
    /// The provenance document could not be made.
    #[error("the provenance document could not be made")]
    Provenance(#[from] serde_json::Error),
    /// The provenance document could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The destination's bucket failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The commit was compared with another zip than the one that is at the destination now.
    #[error(
        "s3://{bucket}/{key} no longer has the zip that the commit was compared with, so the push is delivered"
    )]
    Outdated {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// This execution may no longer deliver.
    #[error(transparent)]
    ExecutionOver(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Occupied { .. } => Code::DestinationOccupied,
            Self::Names(_) => Code::RepositoryUnsupported,
            Self::Provenance(_) => Code::WorkspaceFailed,
            Self::Signing(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Outdated { .. } => Code::ComparisonOutdated,
            Self::ExecutionOver(error) => error.code(),
        }
    }
}

/// Delivers one zip.
///
/// # Errors
/// Returns an [`Error`] if the zip cannot be delivered.
pub async fn handle(
    deps: &Deps<'_, impl PushTrail, impl DestinationStore, impl Signer>,
    envelope: &Envelope<UploadInput>,
) -> Result<Uploaded, Error> {
    let upload = Upload::new(deps, envelope)?;
    for _ in 0..MAX_ATTEMPTS {
        if let Some(uploaded) = upload.run_once().await? {
            return Ok(uploaded);
        }
        tracing::info!(key = %upload.destination().key, "the destination has changed, looking again");
    }
    let destination = upload.destination();
    Err(StorageError::Contended {
        bucket: destination.bucket.clone(),
        key: destination.key.to_string(),
    }
    .into())
}

struct Upload<'a, T, D, S> {
    deps: &'a Deps<'a, T, D, S>,
    envelope: &'a Envelope<UploadInput>,
    mine: DeliveredPush,
    provenance: Destination,
}

impl<'a, T: PushTrail, D: DestinationStore, S: Signer> Upload<'a, T, D, S> {
    fn new(deps: &'a Deps<'a, T, D, S>, envelope: &'a Envelope<UploadInput>) -> Result<Self, Error> {
        let input = &envelope.input;
        let key = provenance_key(&input.deliver.destination.key, &envelope.push.push_id)
            .map_err(StorageError::Key)?;
        Ok(Self {
            deps,
            envelope,
            mine: DeliveredPush {
                committed_at: Some(input.fetched.committed_at),
                ..DeliveredPush::new(
                    &envelope.push,
                    input.deliver.sequence,
                    input.fetched.ref_now.clone(),
                    input.archive.sha256.clone(),
                )
            },
            provenance: Destination {
                bucket: input.deliver.destination.bucket.clone(),
                key,
            },
        })
    }

    fn destination(&self) -> &'a Destination {
        &self.envelope.input.deliver.destination
    }

    /// Delivers the zip unless another push takes precedence. Returns `None` if the destination changed between reading
    /// and writing.
    async fn run_once(&self) -> Result<Option<Uploaded>, Error> {
        // Without the lease this inspection is not binding, but it spares the copy of a zip that is too late.
        let inspection = self.inspect(None).await?;
        let mut prepared = match inspection.verdict {
            Verdict::Write => Some(self.prepare().await?),
            Verdict::AlreadyThere | Verdict::Duplicate(_) => None,
            Verdict::Superseded(superseded) => return Ok(Some(Uploaded::Superseded(superseded))),
            Verdict::Occupied => return Err(self.occupied(inspection.object)),
        };
        let ended = as_holder(self.deps.trail, self.destination(), async |record| {
            self.write_as_holder(record, &mut prepared).await
        })
        .await;
        if let Some(left) = prepared {
            self.deps.store.abort(&left, self.destination()).await;
        }
        ended
    }

    async fn prepare(&self) -> Result<Prepared, Error> {
        let input = &self.envelope.input;
        let metadata = metadata::write(&self.mine, &input.fetched, &self.provenance.key)?;
        let zip = match &input.deliver.rollback {
            None => Zip::Staged(&input.archive.object),
            Some(version) => Zip::Version(version, input.archive.object.size),
        };
        Ok(self
            .deps
            .store
            .prepare(zip, self.destination(), &metadata)
            .await?)
    }

    /// Writes, and names this push as the last one.
    async fn write_as_holder(
        &self,
        record: &mut DestinationRecord,
        prepared: &mut Option<Prepared>,
    ) -> Result<Option<Uploaded>, Error> {
        let ended = self.write(record, prepared).await?;
        let zip_of = match &ended {
            Some(Uploaded::Delivered(_)) => Some(None),
            Some(Uploaded::Ignored(ignored)) => Some(ignored.duplicate_of),
            _ => None,
        };
        if let Some(zip_of) = zip_of
            && self.is_newer_than_last(record)
        {
            record.last = Some(DeliveredPush {
                zip_of,
                ..self.mine.clone()
            });
        }
        Ok(ended)
    }

    /// Returns whether the record has to name this push as the last one. It does not if an earlier run has delivered
    /// this push, and a newer push has since been found to be its duplicate: the record then keeps naming the newer
    /// one.
    fn is_newer_than_last(&self, record: &DestinationRecord) -> bool {
        let known = Known {
            last: record.last.as_ref(),
            ..Known::default()
        };
        !matches!(order::judge(&known, &self.mine), Verdict::Superseded(_))
    }

    /// Writes the zip if it is still to be written. Takes `prepared` if the write completes it.
    async fn write(
        &self,
        record: &DestinationRecord,
        prepared: &mut Option<Prepared>,
    ) -> Result<Option<Uploaded>, Error> {
        let (trail, store) = (self.deps.trail, self.deps.store);
        check_in_charge(trail, self.envelope).await?;
        let Inspection { object, verdict } = self.inspect(record.last.as_ref()).await?;
        match (verdict, prepared.as_ref()) {
            (Verdict::Write, None) => Ok(None),
            (Verdict::Write, Some(copy)) => {
                // The document must exist before the zip that names it.
                let (media_type, document) = self.document().await?;
                store.put(&self.provenance, media_type, document).await?;
                let expected = object.as_ref().map(|object| object.etag.as_str());
                let delivered = store
                    .complete_if_unchanged(copy, self.destination(), expected)
                    .await?;
                if delivered.is_some() {
                    *prepared = None;
                }
                Ok(delivered.map(|delivered| self.delivered(delivered.version_id, delivered.etag)))
            }
            (Verdict::AlreadyThere, _) => {
                Ok(object.map(|object| self.delivered(object.version_id, object.etag)))
            }
            (Verdict::Duplicate(original), _) => Ok(Some(Uploaded::Ignored(Ignored {
                reason: IgnoreReason::Duplicate,
                detail: format!(
                    "push {original} has already delivered the same change of {}",
                    self.mine.ref_name
                ),
                duplicate_of: Some(original),
                further: Vec::new(),
            }))),
            (Verdict::Superseded(superseded), _) => Ok(Some(Uploaded::Superseded(superseded))),
            (Verdict::Occupied, _) => Err(self.occupied(object)),
        }
    }

    /// Returns the provenance document with its media type, in a signed envelope if there is a key.
    async fn document(&self) -> Result<(&'static str, Vec<u8>), Error> {
        let document = provenance::document(self.envelope)?;
        let signed = attestation::Envelope::sign(self.deps.signer, provenance::MEDIA_TYPE, &document).await?;
        Ok(match signed {
            Some(envelope) => (attestation::MEDIA_TYPE, serde_json::to_vec(&envelope)?),
            None => (provenance::MEDIA_TYPE, document),
        })
    }

    async fn inspect(&self, last: Option<&DeliveredPush>) -> Result<Inspection, Error> {
        let object = self.deps.store.head(self.destination()).await?;
        let delivered = object
            .as_ref()
            .and_then(|object| metadata::read(&object.metadata));
        let numbered = self
            .deps
            .trail
            .last_push(&RefKey::of(&self.envelope.push))
            .await?;
        let known = Known {
            object: delivered.as_ref(),
            last,
            last_deletion: numbered.and_then(|numbered| numbered.last_deletion),
        };
        let is_foreign = object.is_some() && delivered.is_none();
        let verdict = if is_foreign && !self.envelope.input.deliver.options.overwrite_foreign {
            Verdict::Occupied
        } else {
            order::judge(&known, &self.mine)
        };
        Ok(Inspection { object, verdict })
    }

    fn delivered(&self, version_id: Option<String>, etag: String) -> Uploaded {
        Uploaded::Delivered(Delivered {
            bucket: self.destination().bucket.clone(),
            key: self.destination().key.clone(),
            version_id,
            etag,
            provenance: Some(self.provenance.key.clone()),
        })
    }

    fn occupied(&self, object: Option<DestinationObject>) -> Error {
        Error::Occupied {
            bucket: self.destination().bucket.clone(),
            key: self.destination().key.to_string(),
            owner: metadata::owner(&object.map(|object| object.metadata).unwrap_or_default()),
        }
    }
}

/// Does `work` with the record of a destination under its lease, which is released whether or not that has succeeded.
async fn as_holder<O>(
    trail: &impl PushTrail,
    destination: &Destination,
    work: impl AsyncFnOnce(&mut DestinationRecord) -> Result<O, Error>,
) -> Result<O, Error> {
    let mut record = trail.acquire(destination).await?;
    let ended = work(&mut record).await;
    let released = trail.release(destination, record).await;
    let ended = ended?;
    released?;
    Ok(ended)
}

/// Checks that the execution still decides about the push. Stopping an execution does not stop its functions, which
/// must not change a destination about which another execution now decides.
async fn check_in_charge<I: Sync>(trail: &impl PushTrail, envelope: &Envelope<I>) -> Result<(), Error> {
    let execution_id = &envelope.execution.id;
    match trail.load(envelope.push.push_id).await? {
        Some(state) if state.is_over_for(execution_id) => {
            Err(ExecutionOver::new::<Push>(execution_id, &state).into())
        }
        _ => Ok(()),
    }
}

/// The object at the destination, and the verdict on the zip that follows from it.
struct Inspection {
    object: Option<DestinationObject>,
    verdict: Verdict,
}

#[cfg(test)]
mod tests;
