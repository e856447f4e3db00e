//! Tests that every trail must pass. Both the trail in memory, which the tests of the stages use, and the one in
//! DynamoDB pass them, so what is tested with one is true of the other.
//!
//! Each function panics if the trail does not conform. Each uses pushes, refs and destinations of its own, so they can
//! run concurrently and on a table that is in use.

#![expect(clippy::unwrap_used, reason = "a trail that fails here does not conform")]

mod checkpoints;
mod deliveries;
mod deployments;
mod events;
mod queries;
mod sources;

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use domain::error::{Code, Coded};
use domain::push::Push;
use uuid::Uuid;

use super::{DestinationRecord, LastPush, Lease, PushTrail, RefKey, samples};

pub use checkpoints::check_checkpoints;
pub use deliveries::check_deliveries;
pub use deployments::check_deployments;
pub use events::check_events;
pub use queries::{check_index, check_queries};
pub use sources::check_sources;

/// Runs all tests of the trail of pushes concurrently, which takes as long as a writer waits for a destination's lease:
/// some seconds.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn check_all(trail: &impl PushTrail) {
    // The futures of the SDK are large, and would not all fit onto the stack of a thread.
    tokio::join!(
        Box::pin(check_events::<Push>(trail)),
        Box::pin(what_was_never_written_is_missing(trail)),
        Box::pin(the_pushes_of_a_ref_are_numbered_upwards(trail)),
        Box::pin(concurrent_pushes_have_different_numbers(trail)),
        Box::pin(a_last_push_is_replaced_only_by_a_writer_that_has_seen_it(trail)),
        Box::pin(the_record_of_a_destination_is_written_version_by_version(trail)),
        Box::pin(a_lease_excludes_others_until_it_is_released(trail)),
        Box::pin(a_lease_that_has_expired_is_taken_over(trail)),
        Box::pin(two_writers_acquire_the_lease_one_after_the_other(trail)),
    );
}

/// Reading something that was never written is not an error.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn what_was_never_written_is_missing(trail: &impl PushTrail) {
    let push = samples::push();
    assert_eq!(trail.last_push(&RefKey::of(&push)).await.unwrap(), None);
    assert_eq!(trail.destination(&samples::destination()).await.unwrap(), None);
}

/// A push keeps its number, the next push has a higher one, and each number is at least the time in milliseconds. The
/// number of the last deletion is kept by the pushes that follow it.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn the_pushes_of_a_ref_are_numbered_upwards(trail: &impl PushTrail) {
    let push = samples::push();
    let key = RefKey::of(&push);
    let now = u64::try_from(Utc::now().timestamp_millis()).unwrap();
    let first = trail.number(&push).await.unwrap();
    assert!(first >= now, "{first}");
    assert_eq!(trail.number(&push).await.unwrap(), first);
    let last = trail.last_push(&key).await.unwrap().unwrap();
    let expected = LastPush {
        sequence: first,
        push_id: push.push_id,
        before: None,
        after: push.after.clone(),
        last_deletion: None,
        clone_urls: push.clone_urls.clone(),
    };
    assert_eq!(last, expected);

    let deletion = samples::deletion(&push);
    let second = trail.number(&deletion).await.unwrap();
    assert!(second > first, "{second} after {first}");
    let last = trail.last_push(&key).await.unwrap().unwrap();
    assert_eq!((last.after, last.last_deletion), (None, Some(second)));

    let again = samples::next(&deletion);
    let third = trail.number(&again).await.unwrap();
    assert!(third > second, "{third} after {second}");
    let last = trail.last_push(&key).await.unwrap().unwrap();
    assert_eq!((&last.after, last.last_deletion), (&again.after, Some(second)));

    // A rollback does not move the ref.
    assert_ne!(push.after, again.after);
    let rollback = push.rolled_back_to(uuid::Uuid::new_v4(), None);
    let fourth = trail.number(&rollback).await.unwrap();
    assert!(fourth > third, "{fourth} after {third}");
    let last = trail.last_push(&key).await.unwrap().unwrap();
    assert_eq!((last.push_id, last.after), (rollback.push_id, again.after));

    // Another push of the ref has come since.
    let late = trail.number(&push).await.unwrap();
    assert!(late > fourth, "{late} after {fourth}");
    // Another ref has numbers of its own.
    let elsewhere = samples::push();
    trail.number(&elsewhere).await.unwrap();
    let last = trail.last_push(&key).await.unwrap().unwrap();
    assert_eq!(last.push_id, push.push_id);
}

/// No two pushes of a ref have the same number, and the last push has the highest.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn concurrent_pushes_have_different_numbers(trail: &impl PushTrail) {
    let first = samples::push();
    let second = samples::next(&first);
    let third = samples::next(&second);
    let (one, two, three) = tokio::join!(trail.number(&first), trail.number(&second), trail.number(&third));
    let mut numbers = [one.unwrap(), two.unwrap(), three.unwrap()];
    numbers.sort_unstable();
    assert!(numbers[0] < numbers[1] && numbers[1] < numbers[2], "{numbers:?}");
    let last = trail.last_push(&RefKey::of(&first)).await.unwrap().unwrap();
    assert_eq!(last.sequence, numbers[2]);
}

/// A writer that has not seen the last push does not replace it. Its number alone says which one was seen.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn a_last_push_is_replaced_only_by_a_writer_that_has_seen_it(trail: &impl PushTrail) {
    let push = samples::push();
    let key = RefKey::of(&push);
    let first = LastPush {
        sequence: 3,
        push_id: push.push_id,
        before: push.before.clone(),
        after: push.after.clone(),
        last_deletion: Some(2),
        clone_urls: vec![],
    };
    let second = LastPush {
        sequence: 4,
        ..first.clone()
    };
    let third = LastPush {
        sequence: 5,
        ..first.clone()
    };
    assert!(
        !trail
            .replace_last_push(&key, Some(&first), &second)
            .await
            .unwrap()
    );
    assert_eq!(trail.last_push(&key).await.unwrap(), None);
    assert!(trail.replace_last_push(&key, None, &first).await.unwrap());
    assert!(!trail.replace_last_push(&key, None, &second).await.unwrap());
    assert_eq!(trail.last_push(&key).await.unwrap(), Some(first.clone()));
    assert!(
        trail
            .replace_last_push(&key, Some(&first), &second)
            .await
            .unwrap()
    );
    assert!(!trail.replace_last_push(&key, Some(&first), &third).await.unwrap());
    assert_eq!(trail.last_push(&key).await.unwrap(), Some(second.clone()));
    let same_number = LastPush {
        push_id: samples::push().push_id,
        after: None,
        last_deletion: None,
        clone_urls: vec!["https://git.example.com/group/other.git".to_owned()],
        ..second
    };
    assert!(
        trail
            .replace_last_push(&key, Some(&same_number), &third)
            .await
            .unwrap()
    );
    assert_eq!(trail.last_push(&key).await.unwrap(), Some(third));
}

/// A writer that has not seen the last version of a destination's record does not replace it.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn the_record_of_a_destination_is_written_version_by_version(trail: &impl PushTrail) {
    let destination = samples::destination();
    let record = |version| DestinationRecord {
        version,
        lease: Some(Lease {
            holder: Uuid::new_v4(),
            until: Utc::now(),
        }),
        last: Some(samples::delivered_push(&samples::push())),
    };
    let (first, second) = (record(1), record(2));
    assert!(!trail.put_destination(&destination, &second).await.unwrap());
    assert_eq!(trail.destination(&destination).await.unwrap(), None);
    assert!(trail.put_destination(&destination, &first).await.unwrap());
    assert!(!trail.put_destination(&destination, &record(1)).await.unwrap());
    assert!(!trail.put_destination(&destination, &record(3)).await.unwrap());
    assert_eq!(trail.destination(&destination).await.unwrap(), Some(first));
    assert!(trail.put_destination(&destination, &second).await.unwrap());
    assert!(!trail.put_destination(&destination, &record(2)).await.unwrap());
    assert_eq!(trail.destination(&destination).await.unwrap(), Some(second));
    // Another object of the bucket has a record of its own.
    assert_eq!(trail.destination(&samples::destination()).await.unwrap(), None);
}

/// While one writer holds the lease, another one waits in vain, and gets an error that says until when it is held. What
/// the holder records as it releases the lease is read by the next one.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn a_lease_excludes_others_until_it_is_released(trail: &impl PushTrail) {
    let destination = samples::destination();
    let mut record = trail.acquire(&destination).await.unwrap();
    let until = record.lease.as_ref().unwrap().until;
    // A function may run 900 seconds.
    let held = until - Utc::now();
    assert!(
        held > TimeDelta::seconds(900) && held <= TimeDelta::seconds(960),
        "{held}"
    );
    assert_eq!(record.last, None);

    let error = trail.acquire(&destination).await.unwrap_err();
    assert_eq!(error.code(), Code::DestinationContended);
    let text = error.to_string();
    assert!(text.contains(destination.key.as_str()), "{text}");
    assert!(text.contains(&until.to_string()), "{text}");
    assert_eq!(
        trail.destination(&destination).await.unwrap(),
        Some(record.clone())
    );

    let last = samples::delivered_push(&samples::push());
    record.last = Some(last.clone());
    trail.release(&destination, record.clone()).await.unwrap();
    let released = trail.destination(&destination).await.unwrap().unwrap();
    assert_eq!((released.lease, released.last.as_ref()), (None, Some(&last)));
    let next = trail.acquire(&destination).await.unwrap();
    assert_eq!(next.last, Some(last));
    assert_ne!(next.lease.unwrap().holder, record.lease.unwrap().holder);
}

/// A lease whose holder has died is acquired by another writer once it has expired, with the record of the destination.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn a_lease_that_has_expired_is_taken_over(trail: &impl PushTrail) {
    let destination = samples::destination();
    let dead = Lease {
        holder: Uuid::new_v4(),
        until: Utc::now() - TimeDelta::seconds(1),
    };
    let left = DestinationRecord {
        version: 1,
        lease: Some(dead.clone()),
        last: Some(samples::delivered_push(&samples::push())),
    };
    assert!(trail.put_destination(&destination, &left).await.unwrap());
    let taken = trail.acquire(&destination).await.unwrap();
    assert_eq!(taken.last, left.last);
    assert_eq!(
        trail.destination(&destination).await.unwrap(),
        Some(taken.clone())
    );
    let lease = taken.lease.unwrap();
    assert_ne!(lease.holder, dead.holder);
    assert!(lease.until > Utc::now());
}

/// Two writers that want the lease at once both acquire it, one after the other.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn two_writers_acquire_the_lease_one_after_the_other(trail: &impl PushTrail) {
    let destination = samples::destination();
    let holders = AtomicUsize::new(0);
    let hold = || async {
        let record = trail.acquire(&destination).await.unwrap();
        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        holders.fetch_sub(1, Ordering::SeqCst);
        trail.release(&destination, record).await.unwrap();
    };
    tokio::join!(hold(), hold());
    let record = trail.destination(&destination).await.unwrap().unwrap();
    assert_eq!((record.version, record.lease), (4, None));
}
