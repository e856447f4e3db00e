//! `Upload`: puts the zip at its destination, unless a newer push was delivered there.
//!
//! It looks at what is there, copies the zip to the destination's bucket, takes the destination's lease, looks again, and
//! decides ([`domain::order`]). What it writes, it writes on the condition that the object is still the one that it has
//! looked at. So of two uploads at once the older one never ends on top.

mod metadata;
mod provenance;

use audit::{AuditError, AuditTrail, DestinationRecord, RefKey};
use aws::destination::{DestinationObject, DestinationStore, Prepared};
use aws::staging::StorageError;
use domain::contract::{Delivered, Envelope, IgnoreReason, Ignored, UploadInput, Uploaded};
use domain::destination::{Destination, provenance_key};
use domain::error::{Code, Coded};
use domain::order::{self, DeliveredPush, Known, Verdict};
use workflow::ExecutionOver;

pub use metadata::NamesTooLong;

/// How often the destination is written to where somebody without a lease writes too.
const MAX_ATTEMPTS: usize = 10;

/// What an upload needs of the world.
#[derive(Debug)]
pub struct Deps<'a, T, D> {
    /// The audit trail, with the destinations' leases.
    pub trail: &'a T,
    /// Where the zip goes.
    pub store: &'a D,
}

/// Why a zip cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another repository's or ref's zip is there, or what this project has not written.
    #[error("s3://{bucket}/{key} holds {owner}, which is not this push's repository and ref")]
    Occupied {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// Whose it is.
        owner: String,
    },
    /// The repository's and the ref's name are too long for the metadata of an object.
    #[error(transparent)]
    Names(#[from] NamesTooLong),
    /// The provenance document could not be made.
    #[error("the provenance document could not be made")]
    Provenance(#[from] serde_json::Error),
    /// S3 failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Nothing is to be delivered any more.
    #[error(transparent)]
    Over(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Occupied { .. } => Code::DestinationOccupied,
            Self::Names(_) => Code::RepositoryUnsupported,
            Self::Provenance(_) => Code::WorkspaceFailed,
            Self::Storage(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Over(error) => error.code(),
        }
    }
}

/// Delivers one zip.
///
/// # Errors
/// [`Error`].
pub async fn handle(
    deps: &Deps<'_, impl AuditTrail, impl DestinationStore>,
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

struct Upload<'a, T, D> {
    deps: &'a Deps<'a, T, D>,
    envelope: &'a Envelope<UploadInput>,
    mine: DeliveredPush,
    provenance: Destination,
}

impl<'a, T: AuditTrail, D: DestinationStore> Upload<'a, T, D> {
    fn new(deps: &'a Deps<'a, T, D>, envelope: &'a Envelope<UploadInput>) -> Result<Self, Error> {
        let input = &envelope.input;
        let key = provenance_key(&input.deliver.destination.key, &envelope.push.push_id)
            .map_err(StorageError::Key)?;
        Ok(Self {
            deps,
            envelope,
            mine: DeliveredPush::new(
                &envelope.push,
                input.deliver.sequence,
                input.fetched.ref_now.clone(),
                input.archive.sha256.clone(),
            ),
            provenance: Destination {
                bucket: input.deliver.destination.bucket.clone(),
                key,
            },
        })
    }

    fn destination(&self) -> &'a Destination {
        &self.envelope.input.deliver.destination
    }

    /// Delivers the zip if it is to be delivered. `None` if the destination has changed between look and write.
    async fn run_once(&self) -> Result<Option<Uploaded>, Error> {
        // Without the lease this look decides nothing, but a zip that is too late need not be copied.
        let look = self.look(None).await?;
        let mut prepared = match look.verdict {
            Verdict::Write => Some(self.prepare().await?),
            Verdict::AlreadyThere | Verdict::Duplicate(_) => None,
            Verdict::Superseded(superseded) => return Ok(Some(Uploaded::Superseded(superseded))),
            Verdict::Occupied => return Err(self.occupied(look.object)),
        };
        let ended = match self.deps.trail.acquire(self.destination()).await {
            Ok(record) => self.write_as_holder(record, &mut prepared).await,
            Err(error) => Err(error.into()),
        };
        if let Some(left) = prepared {
            self.deps.store.abort(&left, self.destination()).await;
        }
        ended
    }

    async fn prepare(&self) -> Result<Prepared, Error> {
        let input = &self.envelope.input;
        let metadata = metadata::write(&self.mine, &input.fetched, &self.provenance.key)?;
        let object = &input.archive.object;
        Ok(self
            .deps
            .store
            .prepare(object, self.destination(), &metadata)
            .await?)
    }

    /// Writes, and gives the lease back whatever has come of it.
    async fn write_as_holder(
        &self,
        mut record: DestinationRecord,
        prepared: &mut Option<Prepared>,
    ) -> Result<Option<Uploaded>, Error> {
        let ended = self.write(&record, prepared).await;
        if matches!(ended, Ok(Some(Uploaded::Delivered(_) | Uploaded::Ignored(_))))
            && self.is_newer_than_last(&record)
        {
            record.last = Some(self.mine.clone());
        }
        let released = self.deps.trail.release(self.destination(), record).await;
        let ended = ended?;
        released?;
        Ok(ended)
    }

    /// Whether this push is what the record has to remember. An earlier run may have delivered it, and a newer push of the
    /// same change have been found a duplicate of it since: the record then stays with the newer one.
    fn is_newer_than_last(&self, record: &DestinationRecord) -> bool {
        let known = Known {
            last: record.last.as_ref(),
            ..Known::default()
        };
        !matches!(order::judge(&known, &self.mine), Verdict::Superseded(_))
    }

    /// Takes `prepared` if it is what now stands at the destination.
    async fn write(
        &self,
        record: &DestinationRecord,
        prepared: &mut Option<Prepared>,
    ) -> Result<Option<Uploaded>, Error> {
        let (trail, store) = (self.deps.trail, self.deps.store);
        let execution_id = &self.envelope.execution.id;
        // To stop an execution does not stop its functions: they must not deliver what another one has decided anew.
        if let Some(state) = trail.load(self.envelope.push.push_id).await?
            && state.is_over_for(execution_id)
        {
            return Err(ExecutionOver::new(execution_id, &state).into());
        }
        let Look { object, verdict } = self.look(record.last.as_ref()).await?;
        match (verdict, prepared.as_ref()) {
            (Verdict::Write, None) => Ok(None),
            (Verdict::Write, Some(copy)) => {
                // It stands there before the zip that names it.
                let document = provenance::document(self.envelope)?;
                store
                    .put(&self.provenance, provenance::MEDIA_TYPE, document)
                    .await?;
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
                    "push {original} has delivered the same change of {} before",
                    self.mine.ref_name
                ),
                duplicate_of: Some(original),
            }))),
            (Verdict::Superseded(superseded), _) => Ok(Some(Uploaded::Superseded(superseded))),
            (Verdict::Occupied, _) => Err(self.occupied(object)),
        }
    }

    async fn look(&self, last: Option<&DeliveredPush>) -> Result<Look, Error> {
        let object = self.deps.store.head(self.destination()).await?;
        let placed = object
            .as_ref()
            .and_then(|object| metadata::read(&object.metadata));
        let numbered = self
            .deps
            .trail
            .last_push(&RefKey::of(&self.envelope.push))
            .await?;
        let known = Known {
            object: placed.as_ref(),
            last,
            last_deletion: numbered.and_then(|numbered| numbered.last_deletion),
        };
        let is_foreign = object.is_some() && placed.is_none();
        let verdict = if is_foreign && !self.envelope.input.deliver.options.overwrite_foreign {
            Verdict::Occupied
        } else {
            order::judge(&known, &self.mine)
        };
        Ok(Look { object, verdict })
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

/// What is at the destination, and what that means for the zip.
struct Look {
    object: Option<DestinationObject>,
    verdict: Verdict,
}

#[cfg(test)]
mod tests;
