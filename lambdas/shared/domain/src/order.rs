//! The order guard, which decides which of two pushes of a ref is newer, and so whether a zip may be delivered.
//!
//! Three things are known of a push: what the git host reported (`before`, `after`), the number that it was given in
//! the order of arrival, and what the ref pointed to when the push was fetched (`ref_now`). Only the last one shows the
//! git host's own state. Decision 6 (`docs/decisions`) has the proof of the rules, and `tests/interleavings.rs`
//! explores them.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::contract::Superseded;
use crate::git::{ObjectId, RefName, RepositoryPath};
use crate::push::{Push, PushId, SourceName, Trigger};

/// A push whose zip was delivered, as the metadata of the object and the destination's record in the audit table name
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeliveredPush {
    /// The push.
    pub push_id: PushId,
    /// Its source.
    pub source: SourceName,
    /// Its repository.
    pub repository: RepositoryPath,
    /// Its ref.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// What the ref pointed to before the push.
    pub before: Option<ObjectId>,
    /// What the ref pointed to after the push.
    pub after: Option<ObjectId>,
    /// Its number among the pushes of the ref.
    pub sequence: u64,
    /// What the ref pointed to when the push was fetched, or when the version was found that a rollback delivers again.
    /// `None` if the ref did not exist any more or this is not known.
    pub ref_now: Option<ObjectId>,
    /// When its commit was made, by the committer's clock, or `None` if the record was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<DateTime<Utc>>,
    /// The SHA-256 of its zip, as 64 hexadecimal digits.
    pub sha256: String,
    /// The push that has made this zip, if the destination's record names a push for which the zip that was there has
    /// stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip_of: Option<PushId>,
    /// What has started the push.
    #[serde(default, skip_serializing_if = "Trigger::is_webhook")]
    pub trigger: Trigger,
}

impl DeliveredPush {
    /// Creates the description of `push`, with its number, what its ref pointed to when it was fetched, and the digest
    /// of its zip. It does not say when the commit was made.
    #[must_use]
    pub fn new(push: &Push, sequence: u64, ref_now: Option<ObjectId>, sha256: String) -> Self {
        Self {
            push_id: push.push_id,
            source: push.source.clone(),
            repository: push.repository.clone(),
            ref_name: push.ref_name.clone(),
            before: push.before.clone(),
            after: push.after.clone(),
            sequence,
            ref_now,
            committed_at: None,
            sha256,
            zip_of: None,
            trigger: push.trigger,
        }
    }

    /// Returns whether the push has deleted the ref, and its zip with it.
    fn is_deletion(&self) -> bool {
        self.after.is_none()
    }

    fn is_rollback(&self) -> bool {
        self.trigger == Trigger::Rollback
    }

    /// Returns whether `push` is of the same ref.
    #[must_use]
    pub fn is_of_ref_of(&self, push: &Push) -> bool {
        (&self.source, &self.repository, &self.ref_name) == (&push.source, &push.repository, &push.ref_name)
    }

    fn is_of_same_ref(&self, other: &Self) -> bool {
        (&self.source, &self.repository, &self.ref_name)
            == (&other.source, &other.repository, &other.ref_name)
    }

    /// Returns whether the ref still pointed to the pushed object when the push was fetched.
    fn was_found_at_its_own(&self) -> bool {
        self.ref_now.is_some() && self.ref_now == self.after
    }

    /// Returns whether the ref already pointed to `newer` when this push was fetched.
    fn was_fetched_at(&self, newer: &Self) -> bool {
        self.ref_now.is_some() && self.ref_now == newer.after && self.ref_now != self.after
    }

    /// Returns whether this push moved the ref from where `older` had moved it to.
    fn follows(&self, older: &Self) -> bool {
        self.before.is_some() && self.before == older.after
    }

    /// Returns whether `other` reports the same change of the ref. A push that changes nothing was requested by hand,
    /// to deliver again, and repeats no other. If the sweep has found one of them, what the ref pointed to before does
    /// not count, because the trail may lack pushes in between.
    fn repeats(&self, other: &Self) -> bool {
        let is_swept = !self.trigger.is_webhook() || !other.trigger.is_webhook();
        self.before != self.after && self.after == other.after && (is_swept || self.before == other.before)
    }
}

/// The decision about a zip that is about to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The zip is the newest, and is to be written.
    Write,
    /// The zip is already at the destination, from an earlier run.
    AlreadyThere,
    /// The same zip of another push, which reported the same change, is at the destination, so writing it would change
    /// nothing.
    Duplicate(PushId),
    /// A newer push was delivered, whose zip stays.
    Superseded(Superseded),
    /// The object at the destination is of another repository or ref, so neither is newer.
    Occupied,
}

/// What is known of a destination when a zip is about to be delivered to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The push whose zip is there, or `None` if there is no object or this project has not written it.
    pub object: Option<&'a DeliveredPush>,
    /// The last push that was delivered there, by the destination's record. Its object may have been removed or
    /// replaced by hand since.
    pub last: Option<&'a DeliveredPush>,
    /// The number of the last push that deleted the ref.
    pub last_deletion: Option<u64>,
}

/// Returns the number of a ref's next push: one more than the `last` one, and at least the time `now` in milliseconds
/// since 1970. So the numbers of a new table are above those that an older table has left in the metadata of objects.
#[must_use]
pub fn next_sequence(last: Option<u64>, now: DateTime<Utc>) -> u64 {
    let now = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    last.map_or(now, |last| now.max(last + 1))
}

/// Decides about the zip of `mine`.
///
/// It is compared with both the object and the record, and written if neither is newer. The object alone is not enough,
/// because it may have been removed; nor is the record, because it lacks a write whose writer died right after it.
#[must_use]
pub fn judge(known: &Known<'_>, mine: &DeliveredPush) -> Verdict {
    let mut duplicate_of = None;
    if let Some(object) = known.object {
        match decide(object, mine, known.last_deletion) {
            Verdict::Write => {
                let was_deleted = known
                    .last_deletion
                    .is_some_and(|deletion| deletion > object.sequence);
                if is_same_delivery(object, mine) && !was_deleted {
                    duplicate_of = Some(object.push_id);
                }
            }
            verdict => return verdict,
        }
    }
    if let Some(last) = known.last
        && let superseded @ Verdict::Superseded(_) = decide(last, mine, known.last_deletion)
    {
        return superseded;
    }
    duplicate_of.map_or(Verdict::Write, Verdict::Duplicate)
}

/// Returns whether `mine` reports the same change as `object`, and its zip is the one that is there. Both must have
/// found the ref where they moved it to: otherwise another push came in between.
fn is_same_delivery(object: &DeliveredPush, mine: &DeliveredPush) -> bool {
    object.push_id != mine.push_id
        && mine.repeats(object)
        && mine.sha256 == object.sha256
        && mine.was_found_at_its_own()
        && object.was_found_at_its_own()
}

/// Decides between a delivered push and `mine`, by the first rule that applies:
///
/// 1. The ref itself: the push that the ref already pointed to when the other one was fetched is newer.
/// 2. The higher number, if that push found the ref where it had moved it to, which was after both had their numbers.
/// 3. Lineage: the push whose `before` is the other's `after` is newer. This rule comes so late because a commit may
///    come back to a ref, and then an older push seems to follow a newer one.
/// 4. The later commit. If it comes to this, a third push has outdated both, and their webhooks may have come in any
///    order. A committer's clock may be wrong, but it only affects which of the two is there until the third one is.
/// 5. The higher number.
///
/// A rollback is no push of the ref, so it is compared by [`goes_before_rollback`] alone.
fn decide(current: &DeliveredPush, mine: &DeliveredPush, last_deletion: Option<u64>) -> Verdict {
    if current.push_id == mine.push_id {
        // Another execution of the push may have made another zip, by other options.
        return if current.sha256 == mine.sha256 {
            Verdict::AlreadyThere
        } else {
            Verdict::Write
        };
    }
    if !current.is_of_same_ref(mine) {
        return Verdict::Occupied;
    }
    let superseded = |because: String| {
        Verdict::Superseded(Superseded {
            by: current.push_id,
            because,
        })
    };
    let ref_name = &mine.ref_name;
    if mine.is_rollback() && goes_before_rollback(mine, current, last_deletion) {
        return superseded(format!("push {} came after this rollback", current.push_id));
    }
    if current.is_rollback() && !goes_before_rollback(current, mine, last_deletion) {
        return superseded(format!(
            "{ref_name} has not moved to this push since rollback {}",
            current.push_id
        ));
    }
    if mine.is_rollback() || current.is_rollback() {
        return Verdict::Write;
    }
    if current.is_deletion() && mine.ref_now.is_none() {
        return superseded(format!("{ref_name} was deleted by push {}", current.push_id));
    }
    let mine_was_there = current.was_fetched_at(mine);
    let current_was_there = mine.was_fetched_at(current);
    if mine_was_there != current_was_there {
        return if mine_was_there {
            Verdict::Write
        } else {
            superseded(format!(
                "{ref_name} already pointed to push {} when this one was fetched",
                current.push_id
            ))
        };
    }
    let mine_is_later = mine.sequence >= current.sequence;
    let later = if mine_is_later { mine } else { current };
    let mine_is_next = mine.follows(current);
    let mine_is_older = current.follows(mine);
    if !later.was_found_at_its_own() {
        if mine_is_next != mine_is_older {
            return if mine_is_next {
                Verdict::Write
            } else {
                superseded(format!("push {} began where this one ended", current.push_id))
            };
        }
        if let (Some(mine_at), Some(current_at)) = (mine.committed_at, current.committed_at) {
            match mine_at.cmp(&current_at) {
                Ordering::Greater => return Verdict::Write,
                Ordering::Less => {
                    return superseded(format!(
                        "push {} is of a commit of {current_at}, this one is of {mine_at}",
                        current.push_id
                    ));
                }
                Ordering::Equal => {}
            }
        }
    }
    if mine_is_later {
        return Verdict::Write;
    }
    superseded(format!(
        "push {} is number {} of {ref_name}, this one is number {}",
        current.push_id, current.sequence, mine.sequence
    ))
}

/// Returns why the zip of `current` stays although `deletion` has deleted the ref, or `None` if it is to be removed.
///
/// After the deletion was numbered, the git host was asked, and did not show the ref. So the change of each push with a
/// lower number is undone, whenever its zip was delivered. One with a higher number may have made the ref again, if it
/// has found the ref, or rolls the ref's destination back.
#[must_use]
pub fn outlives(current: &DeliveredPush, deletion: &DeliveredPush) -> Option<String> {
    if !current.is_of_same_ref(deletion) {
        return Some(format!(
            "the zip is of {} of {} (source {})",
            current.ref_name, current.repository, current.source
        ));
    }
    let may_be_again = current.ref_now.is_some() || current.is_rollback();
    (current.sequence > deletion.sequence && may_be_again)
        .then(|| format!("push {} came after the deletion", current.push_id))
}

/// Returns whether `push` has moved the ref after `rollback`, so that its zip replaces the one that was delivered
/// again. Until the ref moves, no push does, because only those come now that were late. Of two rollbacks, the one with
/// the higher number takes precedence.
///
/// A push with a higher number has moved the ref if the ref pointed to it when it was fetched, and not when the
/// rollback asked for it, or if the ref was deleted in between. If the ref has moved on before the push was fetched,
/// the push that has moved it replaces the zip. The one in between only does if it began where the ref was at the
/// rollback.
fn goes_before_rollback(rollback: &DeliveredPush, push: &DeliveredPush, last_deletion: Option<u64>) -> bool {
    if push.sequence < rollback.sequence {
        return false;
    }
    if push.is_rollback() {
        return true;
    }
    let was_deleted = last_deletion.is_some_and(|deletion| deletion > rollback.sequence);
    let has_moved = push.ref_now != rollback.ref_now || was_deleted;
    let follows = push.before.is_some() && push.before == rollback.ref_now;
    has_moved && (push.was_found_at_its_own() || follows)
}

#[cfg(test)]
mod tests;
