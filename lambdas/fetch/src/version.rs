//! The zip that a rollback delivers again, and what the ref points to at that time.

use std::sync::Arc;

use audit::{PushTrail, RefKey};
use aws::failure::chain;
use aws::secrets::Secrets;
use credentials::Issuer;
use domain::contract::{Archive, Deliver, Envelope, FetchInput, FetchedCommit, FoundVersion};
use domain::push::Push;
use remote::TransferProgram;

use crate::error::Error;
use crate::ref_now;

/// How often the ref is asked for, if pushes keep coming.
const MAX_ATTEMPTS: usize = 5;

/// Finds the zip that a rollback delivers again.
///
/// What the ref points to now tells later which pushes are newer than the rollback. If the git host does not say it,
/// the zip is delivered all the same, with a warning.
///
/// # Errors
/// Returns an [`Error`] if the trail fails, or does not have the zip.
pub async fn find_version(
    secrets: &impl Secrets,
    issuer: &Arc<Issuer>,
    transfer: &TransferProgram,
    trail: &impl PushTrail,
    envelope: &Envelope<FetchInput>,
) -> Result<FoundVersion, Error> {
    let deliver = &envelope.input.deliver;
    let to = deliver.rollback.as_ref().ok_or(Error::NoRollback)?.push_id;
    let state = trail.load(to).await?;
    let made = state.and_then(|state| Some((state.fetched?, state.archive?)));
    let (fetched, archive) = made.ok_or(Error::VersionUnknown { push_id: to })?;
    let mut asked = Err("pushes keep coming".to_owned());
    let mut sequence = deliver.sequence;
    for _ in 0..MAX_ATTEMPTS {
        sequence = trail.number(&envelope.push).await?;
        let url = &deliver.clone_url;
        let ref_now = ref_now::ask(secrets, issuer, transfer, &envelope.push, url).await;
        let ref_now = ref_now.map_err(|error| chain(&error));
        // A push that was numbered meanwhile may have moved the ref before or after it was asked for. All others with a
        // higher number ask for it later than this rollback.
        let last = trail.last_push(&RefKey::of(&envelope.push)).await?;
        if ref_now.is_err() || last.is_some_and(|last| last.push_id == envelope.push.push_id) {
            asked = ref_now;
            break;
        }
    }
    let (ref_now, warnings) = match asked {
        Ok(ref_now) => (ref_now, Vec::new()),
        Err(reason) => (None, vec![unknown_ref(&envelope.push, &reason)]),
    };
    Ok(FoundVersion {
        deliver: Deliver {
            sequence,
            ..deliver.clone()
        },
        fetched: FetchedCommit { ref_now, ..fetched },
        archive: Archive { warnings, ..archive },
    })
}

fn unknown_ref(push: &Push, reason: &str) -> String {
    let ref_name = &push.ref_name;
    tracing::warn!(%ref_name, reason, "the git host does not say what the ref points to");
    format!(
        "it is not known what {ref_name} pointed to at the rollback, so an earlier push whose webhook is late will replace \
         this zip: {reason}"
    )
}
