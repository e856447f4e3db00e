//! What a push has delivered.

use serde::{Deserialize, Serialize};

use crate::contract::{Author, Delivered};
use crate::event::PushEvent;
use crate::git::{CommitId, ObjectId};
use crate::push::Push;
use crate::state::PushState;

/// A delivered push, and its zip. The trail keeps it apart from the push's events, so that what deploys the zip needs
/// no right to read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The push.
    pub push: Push,
    /// Its number among the pushes of its ref.
    pub sequence: u64,
    /// The commit.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: ObjectId,
    /// The first line of the commit's message, cut to 200 characters.
    pub subject: String,
    /// The commit's author.
    pub author: Author,
    /// The zip.
    pub zip: Delivered,
    /// The zip's SHA-256, in hexadecimal.
    pub sha256: String,
    /// When the trail of the push may be deleted, and this with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Delivery {
    /// Returns what the push has delivered, if `last`, after which it has this state, is the event that says so.
    #[must_use]
    pub fn by(last: &PushEvent, state: &PushState) -> Option<Self> {
        let PushEvent::PushDelivered(zip) = last else {
            return None;
        };
        let fetched = state.fetched.as_ref()?;
        Some(Self {
            push: state.push.clone(),
            sequence: state.deliver.as_ref()?.sequence,
            commit: fetched.commit.clone(),
            tree: fetched.tree.clone(),
            subject: fetched.subject.clone(),
            author: fetched.author.clone(),
            zip: zip.clone(),
            sha256: state.archive.as_ref()?.sha256.clone(),
            expires_at: state.expires_at,
        })
    }
}
