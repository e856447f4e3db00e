//! What becomes of a push that changes nothing that concerns its destination: the zip that is there stays.
//!
//! The push is recorded as the last one of the destination all the same, so that an older push which has changed
//! something, and comes late, does not replace the zip.

use audit::{DestinationRecord, PushTrail, RefKey};
use aws::destination::DestinationStore;
use domain::contract::{Envelope, FetchedInput, IgnoreReason, Ignored, Uploaded};
use domain::order::{self, DeliveredPush, Known, Verdict};

use crate::{Error, as_holder, check_in_charge, metadata};

/// Leaves the zip of an earlier push at the destination, unless another one was delivered since the comparison.
///
/// # Errors
/// Returns [`Error::Outdated`] if the zip is not the one that the commit was compared with, and another [`Error`] if
/// the destination cannot be read or recorded.
pub async fn keep(
    trail: &impl PushTrail,
    store: &impl DestinationStore,
    envelope: &Envelope<FetchedInput>,
) -> Result<Uploaded, Error> {
    as_holder(trail, &envelope.input.deliver.destination, async |record| {
        decide(trail, store, envelope, record).await
    })
    .await
}

async fn decide(
    trail: &impl PushTrail,
    store: &impl DestinationStore,
    envelope: &Envelope<FetchedInput>,
    record: &mut DestinationRecord,
) -> Result<Uploaded, Error> {
    let (push, input) = (&envelope.push, &envelope.input);
    check_in_charge(trail, envelope).await?;
    let destination = &input.deliver.destination;
    let outdated = || Error::Outdated {
        bucket: destination.bucket.clone(),
        key: destination.key.to_string(),
    };
    let object = store.head(destination).await?;
    let delivered = object.and_then(|object| metadata::read(&object.metadata));
    let delivered = delivered.filter(|delivered| Some(delivered.push_id) == input.fetched.unchanged_since);
    let delivered = delivered.ok_or_else(outdated)?;
    let mine = DeliveredPush {
        committed_at: Some(input.fetched.committed_at),
        zip_of: Some(delivered.push_id),
        ..DeliveredPush::new(
            push,
            input.deliver.sequence,
            input.fetched.ref_now.clone(),
            delivered.sha256.clone(),
        )
    };
    let numbered = trail.last_push(&RefKey::of(push)).await?;
    let known = Known {
        object: Some(&delivered),
        last: record.last.as_ref(),
        last_deletion: numbered.and_then(|numbered| numbered.last_deletion),
    };
    match order::judge(&known, &mine) {
        Verdict::Superseded(superseded) => return Ok(Uploaded::Superseded(superseded)),
        Verdict::Occupied => return Err(outdated()),
        Verdict::Write | Verdict::AlreadyThere | Verdict::Duplicate(_) => {}
    }
    record.last = Some(mine);
    Ok(Uploaded::Ignored(Ignored {
        reason: IgnoreReason::PathsUnchanged,
        detail: format!(
            "nothing that matches {} has changed since push {}, whose zip is at the destination",
            input.deliver.paths.join(", "),
            delivered.push_id
        ),
        duplicate_of: None,
        further: Vec::new(),
    }))
}
