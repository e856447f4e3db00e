//! Tests that every [`AuditTrail`] must pass. Both the trail in memory, which the tests of the stages use, and the one
//! in DynamoDB pass them, so what is tested with one is true of the other.
//!
//! Each function panics if the trail does not conform. Each uses pushes, refs and destinations of its own, so they can
//! run concurrently and on a table that is in use.

#![expect(clippy::unwrap_used, reason = "a trail that fails here does not conform")]

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use domain::contract::Stage;
use domain::error::{Code, Coded};
use domain::event::{PushEvent, RecordedEvent, SCHEMA};
use domain::state::{self, PushState, Status};
use uuid::Uuid;

use super::{AuditTrail, DestinationRecord, LastPush, Lease, RefKey, samples};

/// Runs all tests concurrently, which takes as long as a writer waits for a destination's lease: some seconds.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn check_all(trail: &impl AuditTrail) {
    tokio::join!(
        what_was_never_written_is_missing(trail),
        events_come_back_as_they_were_written(trail),
        only_one_of_two_writers_of_a_version_succeeds(trail),
        a_version_has_to_be_the_next_one(trail),
        an_event_that_cannot_follow_is_not_written(trail),
        concurrent_writers_all_succeed(trail),
        an_event_that_several_writers_choose_is_written_once(trail),
    );
    tokio::join!(
        the_pushes_of_a_ref_are_numbered_upwards(trail),
        concurrent_pushes_have_different_numbers(trail),
        a_last_push_is_replaced_only_by_a_writer_that_has_seen_it(trail),
        the_record_of_a_destination_is_written_version_by_version(trail),
        a_lease_excludes_others_until_it_is_released(trail),
        a_lease_that_has_expired_is_taken_over(trail),
        two_writers_acquire_the_lease_one_after_the_other(trail),
    );
}

/// Reading something that was never written is not an error.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn what_was_never_written_is_missing(trail: &impl AuditTrail) {
    let push = samples::push();
    assert_eq!(trail.events(push.push_id).await.unwrap(), []);
    assert_eq!(trail.load(push.push_id).await.unwrap(), None);
    assert_eq!(trail.last_push(&RefKey::of(&push)).await.unwrap(), None);
    assert_eq!(trail.destination(&samples::destination()).await.unwrap(), None);
}

/// Events of every kind are read as they were written, in order, and fold to the states that the writer was given.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn events_come_back_as_they_were_written(trail: &impl AuditTrail) {
    let push = samples::push();
    let events = [
        samples::received(&push, "e1"),
        PushEvent::PushIgnored(samples::ignored()),
        samples::retried("e2"),
        PushEvent::PushValidated(samples::deliver()),
        samples::attempt_failed(Stage::Fetch, "e2"),
        PushEvent::CommitFetched(samples::fetched(u64::from(u32::MAX) + 1)),
        samples::push_failed("e2"),
        samples::retried("e3"),
        PushEvent::PushValidated(samples::deliver()),
        PushEvent::ArchivePackaged(samples::archive()),
        PushEvent::ArchiveUploaded(samples::delivered()),
        PushEvent::PushDelivered(samples::delivered()),
    ];
    let other_end = samples::push();
    let other_events = [
        samples::received(&other_end, "e1"),
        PushEvent::PushValidated(samples::deliver()),
        PushEvent::CommitFetched(samples::fetched(7)),
        PushEvent::ArchivePackaged(samples::archive()),
        PushEvent::PushSuperseded(samples::superseded()),
    ];
    for (push, events) in [(push, &events[..]), (other_end, &other_events)] {
        let mut state: Option<PushState> = None;
        for event in events {
            state = trail.try_append(state, event.clone()).await.unwrap();
            assert!(
                state.is_some(),
                "the only writer of {} was told that another one was first",
                event.name()
            );
            assert_eq!(trail.load(push.push_id).await.unwrap(), state);
        }
        let recorded = trail.events(push.push_id).await.unwrap();
        let (versions, read): (Vec<_>, Vec<_>) = recorded
            .into_iter()
            .map(|recorded| (recorded.version, recorded.event))
            .unzip();
        assert_eq!(versions, (1..=events.len() as u64).collect::<Vec<_>>());
        assert_eq!(read, events);
    }
}

/// Of two writers that have read the same state, the second one gets a conflict and changes nothing.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn only_one_of_two_writers_of_a_version_succeeds(trail: &impl AuditTrail) {
    let push = samples::push();
    // Nobody has written yet.
    let first = trail.try_append(None, samples::received(&push, "e1")).await;
    let first = first.unwrap();
    assert!(first.is_some());
    let late = trail.try_append(None, samples::received(&push, "e2")).await;
    assert_eq!(late.unwrap(), None);
    assert_eq!(trail.load(push.push_id).await.unwrap(), first);
    // There is a state already.
    let second = trail
        .try_append(first.clone(), PushEvent::PushValidated(samples::deliver()))
        .await
        .unwrap();
    assert!(second.is_some());
    let late = trail
        .try_append(first, PushEvent::PushIgnored(samples::ignored()))
        .await;
    assert_eq!(late.unwrap(), None);
    assert_eq!(trail.load(push.push_id).await.unwrap(), second);
    assert_eq!(trail.events(push.push_id).await.unwrap().len(), 2);
}

/// An event is written neither if the one before it is missing nor if its version exists already.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn a_version_has_to_be_the_next_one(trail: &impl AuditTrail) {
    let push = samples::push();
    let recorded = |version, event| RecordedEvent {
        version,
        schema: SCHEMA,
        recorded_at: Utc::now(),
        event,
    };
    let first = recorded(1, samples::received(&push, "e1"));
    let received = state::apply(None, &first).unwrap();
    let second = recorded(2, PushEvent::PushIgnored(samples::ignored()));
    let ignored = state::apply(Some(received.clone()), &second).unwrap();
    assert!(!trail.put_event(&second, &ignored).await.unwrap());
    assert_eq!(trail.events(push.push_id).await.unwrap(), []);
    assert!(trail.put_event(&first, &received).await.unwrap());
    assert!(!trail.put_event(&first, &received).await.unwrap());
    assert!(trail.put_event(&second, &ignored).await.unwrap());
    assert!(!trail.put_event(&second, &ignored).await.unwrap());
    assert_eq!(trail.events(push.push_id).await.unwrap(), [first, second]);
}

/// An event that cannot happen to a push is an error, and writes nothing.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn an_event_that_cannot_follow_is_not_written(trail: &impl AuditTrail) {
    let push = samples::push();
    let error = trail.try_append(None, samples::retried("e1")).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    let state = trail
        .try_append(None, samples::received(&push, "e1"))
        .await
        .unwrap();
    let illegal = PushEvent::ArchivePackaged(samples::archive());
    let error = trail
        .try_append(state.clone(), illegal.clone())
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    let error = trail
        .append(push.push_id, |_| Some(illegal.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    assert_eq!(trail.load(push.push_id).await.unwrap(), state);
}

/// If several writers append at once, each event is in the trail, without a gap between them.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn concurrent_writers_all_succeed(trail: &impl AuditTrail) {
    let push = samples::push();
    let write = |execution_id: &'static str| {
        let push = &push;
        async move {
            let choose = |state: Option<&PushState>| {
                Some(match state {
                    None => samples::received(push, execution_id),
                    Some(_) => samples::attempt_failed(Stage::Validate, execution_id),
                })
            };
            let (state, has_written) = trail.append(push.push_id, choose).await.unwrap();
            assert!(has_written);
            state.unwrap().version
        }
    };
    let (first, second, third) = tokio::join!(write("e1"), write("e2"), write("e3"));
    let mut versions = [first, second, third];
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3]);
    let recorded = trail.events(push.push_id).await.unwrap();
    let names: Vec<_> = recorded.iter().map(|recorded| recorded.event.name()).collect();
    assert_eq!(names, ["PushReceived", "AttemptFailed", "AttemptFailed"]);
}

/// If several writers choose to append the same event, one appends it, and all get the state after it.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn an_event_that_several_writers_choose_is_written_once(trail: &impl AuditTrail) {
    let push = samples::push();
    let begin = || {
        trail.append(push.push_id, |state| {
            state.is_none().then(|| samples::received(&push, "e1"))
        })
    };
    let (first, second, third) = tokio::join!(begin(), begin(), begin());
    let mut writers = 0;
    for appended in [first, second, third] {
        let (state, has_written) = appended.unwrap();
        writers += usize::from(has_written);
        assert_eq!(state.unwrap().status, Status::Received);
    }
    assert_eq!(writers, 1);
    assert_eq!(trail.events(push.push_id).await.unwrap().len(), 1);
}

/// A push keeps its number, the next push has a higher one, and each number is at least the time in milliseconds. The
/// number of the last deletion is kept by the pushes that follow it.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn the_pushes_of_a_ref_are_numbered_upwards(trail: &impl AuditTrail) {
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
    assert_eq!((last.after, last.last_deletion), (again.after, Some(second)));

    // Another push of the ref has come since.
    let late = trail.number(&push).await.unwrap();
    assert!(late > third, "{late} after {third}");
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
pub async fn concurrent_pushes_have_different_numbers(trail: &impl AuditTrail) {
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

/// A writer that has not seen the last push does not replace it.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn a_last_push_is_replaced_only_by_a_writer_that_has_seen_it(trail: &impl AuditTrail) {
    let push = samples::push();
    let key = RefKey::of(&push);
    let first = LastPush {
        sequence: 3,
        push_id: push.push_id,
        before: push.before.clone(),
        after: push.after.clone(),
        last_deletion: Some(2),
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
    assert_eq!(trail.last_push(&key).await.unwrap(), Some(second));
}

/// A writer that has not seen the last version of a destination's record does not replace it.
///
/// # Panics
/// Panics if the trail does not conform.
pub async fn the_record_of_a_destination_is_written_version_by_version(trail: &impl AuditTrail) {
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
pub async fn a_lease_excludes_others_until_it_is_released(trail: &impl AuditTrail) {
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
pub async fn a_lease_that_has_expired_is_taken_over(trail: &impl AuditTrail) {
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
pub async fn two_writers_acquire_the_lease_one_after_the_other(trail: &impl AuditTrail) {
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
