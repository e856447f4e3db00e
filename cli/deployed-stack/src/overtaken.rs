//! Failed pushes that nobody has to look after any more, because a newer push of the same ref was delivered.

use std::collections::HashMap;

use audit::{Filter, RefKey};
use domain::push::Trigger;
use domain::push_index::Category;
use domain::state::PushState;

use crate::{Error, Stack, trail};

/// How many of the newest delivered pushes of a ref are read: a ref may have several destinations, each with pushes of
/// its own.
const MAX_READ: usize = 50;

/// Returns the pushes, which have failed, without those that were overtaken.
///
/// # Errors
/// As of [`trail::list`].
pub async fn leave_out(stack: &Stack, mut pushes: Vec<PushState>) -> Result<Vec<PushState>, Error> {
    let mut delivered: HashMap<RefKey, Vec<PushState>> = HashMap::new();
    // What is read for the oldest push of a ref is for the others, too.
    pushes.sort_by_key(|push| push.received_at);
    let mut left = Vec::new();
    for push in pushes {
        let key = RefKey::of(&push.push);
        if !delivered.contains_key(&key) {
            let newer = trail::list(stack, &delivered_since(&push), MAX_READ).await?;
            delivered.insert(key.clone(), newer.pushes);
        }
        if !delivered[&key].iter().any(|newer| is_overtaken(&push, newer)) {
            left.push(push);
        }
    }
    Ok(left)
}

/// Returns a filter for the delivered pushes of the ref since `push` was received.
fn delivered_since(push: &PushState) -> Filter {
    Filter {
        repository: Some(push.push.repository.clone()),
        ref_name: Some(push.push.ref_name.clone()),
        source: Some(push.push.source.clone()),
        categories: vec![Category::Delivered],
        ..Filter::since(push.received_at)
    }
}

/// Returns whether `push` has delivered nothing, and its destination has the zip of a newer one, so that another
/// execution would find that it is superseded.
///
/// The number alone does not say which one is newer, because webhooks may come in any order: `newer` has to have found
/// the ref where it had moved it to. A rollback is no push of the ref, and stays until one comes after it.
fn is_overtaken(push: &PushState, newer: &PushState) -> bool {
    let (Some(own), Some(other)) = (&push.deliver, &newer.deliver) else {
        return false;
    };
    let ref_now = newer
        .fetched
        .as_ref()
        .and_then(|fetched| fetched.ref_now.as_ref());
    let was_there = ref_now.is_some() && ref_now == newer.push.after.as_ref();
    !push.status.is_complete()
        && other.destination == own.destination
        && other.sequence > own.sequence
        && (was_there || newer.push.trigger == Trigger::Rollback)
}

#[cfg(test)]
mod tests {
    use domain::git::ObjectId;
    use domain::samples;

    use super::*;

    /// A push of this number, which was fetched when the ref pointed to `ref_now`.
    fn push(sequence: u64, after: char, ref_now: Option<char>) -> PushState {
        let push = samples::push(&format!("delivery-{sequence}"), "refs/heads/main");
        let mut state = samples::folded(samples::delivered_trail(&push));
        let object = |letter| -> ObjectId { samples::object_id(letter) };
        state.push.after = Some(object(after));
        if let Some(deliver) = &mut state.deliver {
            deliver.sequence = sequence;
        }
        if let Some(fetched) = &mut state.fetched {
            fetched.ref_now = ref_now.map(object);
        }
        state
    }

    fn failed(sequence: u64) -> PushState {
        PushState {
            status: domain::state::Status::Failed,
            delivered: None,
            ..push(sequence, 'a', None)
        }
    }

    #[test]
    fn a_push_is_overtaken_by_one_that_moved_the_ref_after_it() {
        assert!(is_overtaken(&failed(1), &push(2, 'b', Some('b'))));
        assert!(!is_overtaken(&failed(3), &push(2, 'b', Some('b'))), "it is older");
        // Its webhook came late: the ref had moved on, as to the push that has failed.
        assert!(!is_overtaken(&failed(1), &push(2, 'b', Some('a'))));
        assert!(!is_overtaken(&failed(1), &push(2, 'b', None)));
        let mut rollback = push(2, 'b', Some('c'));
        rollback.push.trigger = Trigger::Rollback;
        assert!(is_overtaken(&failed(1), &rollback));
        let delivered_before = push(1, 'a', Some('a'));
        assert!(!is_overtaken(&delivered_before, &push(2, 'b', Some('b'))));
    }

    #[test]
    fn the_zip_of_another_destination_does_not_help() {
        let mut elsewhere = push(2, 'b', Some('b'));
        if let Some(deliver) = &mut elsewhere.deliver {
            deliver.destination = samples::destination("another.zip");
        }
        assert!(!is_overtaken(&failed(1), &elsewhere));
    }
}
