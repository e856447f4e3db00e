//! The push whose zip is at the destination: what the host need not send again, and what the commit is compared with.
//!
//! The payload's `before` would not do. If a push that has changed a watched path failed, or its webhook was lost, the next one
//! that changes none would leave the destination without that change for ever. It is also what somebody claims, and the trail
//! is what was done. Whatever is in doubt is not compared, and so delivered.

use audit::{AuditError, PushTrail};
use domain::contract::{Base, BaseZip, Deliver, FetchedCommit, StagedObject};
use domain::destination::is_base_key;
use domain::push::{Push, PushId};
use domain::source::Limits;
use remote::Comparison;

/// The push whose zip is at the destination, if it is of the same ref.
#[derive(Debug, Clone)]
pub struct Last {
    /// The push.
    pub push_id: PushId,
    fetched: FetchedCommit,
    /// Its zip, if it is kept.
    zip: Option<BaseZip>,
    /// How its zip was made, if that is known to be the one at the destination.
    made: Option<Deliver>,
}

/// Returns the push of the same ref whose zip is at the destination, or `None` if there is none.
///
/// # Errors
/// Returns an [`AuditError`] if the trail fails.
pub async fn find(
    trail: &impl PushTrail,
    push: &Push,
    deliver: &Deliver,
) -> Result<Option<Last>, AuditError> {
    let record = trail.destination(&deliver.destination).await?;
    let last = record.and_then(|record| record.last);
    let Some(last) = last.filter(|last| last.is_of_ref_of(push) && last.after.is_some()) else {
        return Ok(None);
    };
    let push_id = last.zip_of.unwrap_or(last.push_id);
    let state = trail.load(push_id).await?;
    Ok(state.and_then(|state| {
        let archive = state.archive?;
        let is_this_zip = state.delivered.is_some() && archive.sha256 == last.sha256;
        Some(Last {
            push_id,
            fetched: state.fetched?,
            made: state.deliver.filter(|_| is_this_zip),
            zip: archive.format.map(|format| BaseZip {
                object: archive.object,
                format,
            }),
        })
    }))
}

impl Last {
    /// Returns what a push is compared with, or `None` if it is delivered whatever it changes: if the destination does not watch
    /// paths, if the push creates the ref or asks for another delivery, or if the zip at the destination was made in another way.
    #[must_use]
    pub fn comparison(&self, push: &Push, deliver: &Deliver) -> Option<Comparison> {
        let is_change = push.before.is_some() && push.before != push.after;
        let paths = deliver.path_filter().filter(|_| is_change)?;
        let is_compared = self.push_id != push.push_id && self.is_made_as(deliver);
        is_compared.then(|| Comparison {
            base: self.fetched.commit.clone(),
            paths,
        })
    }

    /// Returns what the push has left for one that is delivered so, or why that is of no use. Its zip is of use if it was made in
    /// the same way.
    ///
    /// # Errors
    /// Returns the reason.
    pub fn base(&self, deliver: &Deliver) -> Result<Base, String> {
        let packs: Vec<_> = self.fetched.packs().collect();
        // What is read from the bucket is checked by what the trail says of it.
        let is_left = |object: &StagedObject| is_base_key(&object.key) && object.sha256.is_some();
        if !packs
            .iter()
            .all(|staged| is_left(&staged.pack) && is_left(&staged.index))
        {
            return Err("the last push has left nothing".to_owned());
        }
        // Hosts make deltas of files that are smaller than this, which then need that much memory.
        if deliver.options.limits.delta_file_bytes < Limits::default().delta_file_bytes {
            return Err("delta_file_bytes is smaller than the files that hosts send as deltas".to_owned());
        }
        let is_of_use = |zip: &BaseZip| is_left(&zip.object) && self.is_made_as(deliver);
        Ok(Base {
            push_id: self.push_id,
            commit: self.fetched.commit.clone(),
            packs,
            zip: self.zip.clone().filter(is_of_use),
        })
    }

    /// Returns whether the zip was made as another one is to be made.
    fn is_made_as(&self, deliver: &Deliver) -> bool {
        let made = self.made.as_ref();
        made.is_some_and(|made| made.makes_same_zip_as(deliver))
    }
}
