//! What becomes of the zip of a ref that was deleted: it is removed, unless it is not the ref's any more or the ref is
//! there again.
//!
//! Nothing is lost: the bucket keeps the version. In a bucket that keeps none the zip stays.

use audit::{DestinationRecord, PushTrail};
use aws::destination::{DestinationObject, DestinationStore};
use aws::staging::StorageError;
use domain::contract::{Envelope, ExpireInput, Expired, Expiry, IgnoreReason, Ignored};
use domain::order::{self, DeliveredPush};

use crate::{Error, MAX_ATTEMPTS, as_holder, check_in_charge, metadata};

/// The version of an object that was written while its bucket kept no versions. A delete marker may replace it.
const NO_VERSION: &str = "null";

/// Removes the zip of a ref that was deleted.
///
/// # Errors
/// Returns an [`Error`] if the destination cannot be read, changed or recorded.
pub async fn expire(
    trail: &impl PushTrail,
    store: &impl DestinationStore,
    envelope: &Envelope<ExpireInput>,
) -> Result<Expiry, Error> {
    let ExpireInput { expire, found } = &envelope.input;
    if let Some(ref_now) = &found.ref_now {
        let detail = format!(
            "the git host shows {} again, at {ref_now}",
            envelope.push.ref_name
        );
        return Ok(stays(detail));
    }
    as_holder(trail, &expire.destination, async |record| {
        remove(trail, store, envelope, record).await
    })
    .await
}

async fn remove(
    trail: &impl PushTrail,
    store: &impl DestinationStore,
    envelope: &Envelope<ExpireInput>,
    record: &mut DestinationRecord,
) -> Result<Expiry, Error> {
    check_in_charge(trail, envelope).await?;
    let destination = &envelope.input.expire.destination;
    // The deletion is recorded as the last push, because an earlier one that comes late must not bring the zip back.
    for _ in 0..MAX_ATTEMPTS {
        let object = store.head(destination).await?;
        let (delivered, version_id) = match judge(envelope, object.as_ref(), record) {
            ExpiryDecision::Stays(detail) => return Ok(stays(detail)),
            ExpiryDecision::NoZip => {
                put_last(record, mine(envelope, String::new()));
                return Ok(stays("there is no zip of the ref at the destination".to_owned()));
            }
            ExpiryDecision::IsGone(of) => (of, None),
            ExpiryDecision::Remove(object, delivered) => {
                if !store.remove_if_unchanged(destination, &object.etag).await? {
                    continue;
                }
                (delivered, object.version_id.clone())
            }
        };
        let push_id = delivered.zip_of.unwrap_or(delivered.push_id);
        let last = DeliveredPush {
            zip_of: Some(push_id),
            ..mine(envelope, delivered.sha256)
        };
        put_last(record, last);
        return Ok(Expiry::Expired(Expired {
            bucket: destination.bucket.clone(),
            key: destination.key.clone(),
            push_id,
            version_id,
        }));
    }
    Err(StorageError::Contended {
        bucket: destination.bucket.clone(),
        key: destination.key.to_string(),
    }
    .into())
}

/// Records a deletion as the last push, unless it comes late and a newer deletion is recorded.
fn put_last(record: &mut DestinationRecord, deletion: DeliveredPush) {
    let last = record.last.as_ref();
    let is_newer = |last: &DeliveredPush| last.after.is_none() && last.sequence > deletion.sequence;
    if !last.is_some_and(is_newer) {
        record.last = Some(deletion);
    }
}

/// What becomes of the object at the destination.
enum ExpiryDecision<'a> {
    /// It is removed. It is the zip of this push.
    Remove(&'a DestinationObject, DeliveredPush),
    /// It is not there any more, for instance because an attempt before has removed it. It was the zip of this push.
    IsGone(DeliveredPush),
    /// There was no zip of the ref.
    NoZip,
    /// What is there stays, for this reason.
    Stays(String),
}

fn judge<'a>(
    envelope: &Envelope<ExpireInput>,
    object: Option<&'a DestinationObject>,
    record: &DestinationRecord,
) -> ExpiryDecision<'a> {
    let mine = mine(envelope, String::new());
    let last = record.last.clone();
    if let Some(reason) = last.as_ref().and_then(|last| order::outlives(last, &mine)) {
        return ExpiryDecision::Stays(reason);
    }
    let Some(object) = object else {
        // A deletion has removed a zip if its record names one.
        let had_zip = |last: &DeliveredPush| match last.after {
            Some(_) => true,
            None => last.push_id == mine.push_id && last.zip_of.is_some(),
        };
        return last
            .filter(had_zip)
            .map_or(ExpiryDecision::NoZip, ExpiryDecision::IsGone);
    };
    let Some(delivered) = metadata::read(&object.metadata) else {
        return ExpiryDecision::Stays("the object at the destination is not a delivered zip".to_owned());
    };
    if let Some(reason) = order::outlives(&delivered, &mine) {
        return ExpiryDecision::Stays(reason);
    }
    match object.version_id.as_deref() {
        None | Some(NO_VERSION) => {
            ExpiryDecision::Stays("the bucket keeps no version of the zip, which would be lost".to_owned())
        }
        Some(_) => ExpiryDecision::Remove(object, delivered),
    }
}

/// Returns what the record of the destination says of the deletion, with the digest of the zip that was there.
fn mine(envelope: &Envelope<ExpireInput>, sha256: String) -> DeliveredPush {
    DeliveredPush::new(&envelope.push, envelope.input.expire.sequence, None, sha256)
}

fn stays(detail: String) -> Expiry {
    Expiry::Ignored(Ignored {
        reason: IgnoreReason::RefDeleted,
        detail,
        duplicate_of: None,
        further: Vec::new(),
    })
}
