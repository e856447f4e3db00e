//! The push whose zip is at the destination: what the host need not send again, and what the commit is compared with. A
//! ref that has none begins from a push of another one.
//!
//! The payload's `before` would not do. If a push that has changed a watched path failed, or its webhook was lost, the
//! next one that changes none would leave the destination without that change for ever. It is also what somebody
//! claims, and the trail is what was done. Whatever is in doubt is not compared, and so delivered.

use audit::{AuditError, PushTrail};
use domain::contract::{Base, BaseZip, Deliver, FetchedCommit, StagedObject, StagedPack};
use domain::destination::is_base_key;
use domain::git::RefName;
use domain::push::{Push, PushId};
use domain::remote_url::RemoteUrl;
use domain::source::Limits;
use domain::state::PushState;
use remote::Comparison;

/// A push whose zip is at its destination.
#[derive(Debug, Clone)]
pub struct Last {
    /// The push.
    pub push_id: PushId,
    /// Its ref, if it is not of the same ref and destination.
    other_ref: Option<RefName>,
    fetched: FetchedCommit,
    /// Its zip, if it is kept.
    zip: Option<BaseZip>,
    /// The SHA-256 of its zip.
    sha256: String,
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
        let found = Last::of(state)?;
        let is_this_zip = found.sha256 == last.sha256;
        Some(Last {
            other_ref: None,
            made: found.made.filter(|_| is_this_zip),
            ..found
        })
    }))
}

impl Last {
    /// Returns a push of another ref, or `None` if it has no zip.
    #[must_use]
    pub fn of(state: PushState) -> Option<Self> {
        let archive = state.archive?;
        Some(Self {
            push_id: state.push.push_id,
            other_ref: Some(state.push.ref_name),
            fetched: state.fetched?,
            sha256: archive.sha256,
            made: state.deliver.filter(|_| state.delivered.is_some()),
            zip: archive.format.map(|format| BaseZip {
                object: archive.object,
                format,
            }),
        })
    }

    /// Returns what a push is compared with, or `None` if it is delivered whatever it changes: if the destination does
    /// not watch paths, if the push creates the ref or asks for another delivery, or if the zip at the destination was
    /// made in another way.
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

    /// Returns what the push has left for one that is delivered so, or why that is of no use. Its zip is of use if it
    /// was made in the same way.
    ///
    /// # Errors
    /// Returns the reason.
    pub fn base(&self, deliver: &Deliver) -> Result<Base, String> {
        let is_of_use = |zip: &BaseZip| is_left(&zip.object) && self.is_made_as(deliver);
        Ok(Base {
            push_id: self.push_id,
            other_ref: self.other_ref.clone(),
            commit: self.fetched.commit.clone(),
            packs: usable(self.fetched.packs(), deliver)?,
            zip: self.zip.clone().filter(is_of_use),
        })
    }

    /// Returns what the push has left of the submodule at `path` for one that is delivered so, or why that is of no
    /// use.
    ///
    /// # Errors
    /// Returns the reason.
    pub fn submodule_base(&self, path: &str, url: &RemoteUrl, deliver: &Deliver) -> Result<Base, String> {
        let mut submodules = self.fetched.submodules.iter();
        let submodule = submodules.find(|submodule| submodule.path == path && submodule.url == *url);
        let submodule = submodule.ok_or("the last push has no such submodule")?;
        Ok(Base {
            push_id: self.push_id,
            other_ref: self.other_ref.clone(),
            commit: submodule.commit.clone(),
            packs: usable(submodule.packs(), deliver)?,
            zip: None,
        })
    }

    /// Returns the push's ref, if it is not of the same ref and destination.
    #[must_use]
    pub fn other_ref(&self) -> Option<&RefName> {
        self.other_ref.as_ref()
    }

    /// Returns whether the zip was made as another one is to be made.
    fn is_made_as(&self, deliver: &Deliver) -> bool {
        let made = self.made.as_ref();
        made.is_some_and(|made| made.makes_same_zip_as(deliver))
    }
}

/// Returns the packs that a push has left, or why they are of no use.
fn usable(packs: impl Iterator<Item = StagedPack>, deliver: &Deliver) -> Result<Vec<StagedPack>, String> {
    let packs: Vec<_> = packs.collect();
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
    Ok(packs)
}

/// Returns whether a push has left an object for the next ones. What is read from the bucket is checked by what the
/// trail says of it.
fn is_left(object: &StagedObject) -> bool {
    is_base_key(&object.key) && object.sha256.is_some()
}
