//! What every [`AuditTrail`] has to do, whatever it is kept in. The trail in memory, which the tests of the stages use, is
//! held to it and so is the one in DynamoDB: what is tested with the one is true of the other.
//!
//! Each function panics if the trail does not do it. They use pushes, refs and destinations of their own, so they can run
//! on a table that is in use, and side by side.

#![expect(clippy::unwrap_used, reason = "a trail that fails here does not conform")]

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use domain::contract::Stage;
use domain::error::{Code, Coded};
use domain::event::{PushEvent, RecordedEvent, SCHEMA};
use domain::state::{self, PushState, Status};
use uuid::Uuid;

use super::{AuditTrail, DestinationRecord, LastPush, Lease, RefKey, samples};

/// All of them, side by side. It takes about as long as a writer waits for a destination's lease: some seconds.
///
/// # Panics
/// If the trail does not conform.
pub async fn check_all(trail: &impl AuditTrail) {
    tokio::join!(
        what_never_was_is_not_there(trail),
        events_come_back_as_they_were_written(trail),
        of_two_writers_of_a_version_one_is_told_that_it_is_late(trail),
        a_version_has_to_be_the_next_one(trail),
        an_event_that_cannot_follow_is_not_written(trail),
        writers_at_the_same_time_all_come_to_write(trail),
        what_is_said_once_is_written_once(trail),
    );
    tokio::join!(
        the_pushes_of_a_ref_are_numbered_upwards(trail),
        pushes_that_come_at_once_have_numbers_of_their_own(trail),
        a_last_push_is_replaced_only_by_who_has_seen_it(trail),
        what_is_known_of_a_destination_is_written_version_by_version(trail),
        a_lease_excludes_others_until_it_is_released(trail),
        a_lease_that_has_expired_is_taken_over(trail),
        of_two_that_want_the_lease_one_waits(trail),
    );
}

/// Reading something that was never written is no error.
///
/// # Panics
/// If the trail does not conform.
pub async fn what_never_was_is_not_there(trail: &impl AuditTrail) {
    let push = samples::push();
    assert_eq!(trail.events(push.push_id).await.unwrap(), []);
    assert_eq!(trail.load(push.push_id).await.unwrap(), None);
    assert_eq!(trail.last_push(&RefKey::of(&push)).await.unwrap(), None);
    assert_eq!(trail.destination(&samples::destination()).await.unwrap(), None);
}

/// Events of every kind are read as they were written, in order, and fold to the states that the writer was given.
///
/// # Panics
/// If the trail does not conform.
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
                "nobody else has written, not even {}",
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

/// Two writers that have seen the same state: the second one is told so, and changes nothing.
///
/// # Panics
/// If the trail does not conform.
pub async fn of_two_writers_of_a_version_one_is_told_that_it_is_late(trail: &impl AuditTrail) {
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

/// An event is not written where the one before it is not there, nor where it is there already.
///
/// # Panics
/// If the trail does not conform.
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

/// What cannot happen to a push is an error, and leaves no trace.
///
/// # Panics
/// If the trail does not conform.
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

/// Each of several writers has its event in the trail, and there is no gap between them.
///
/// # Panics
/// If the trail does not conform.
pub async fn writers_at_the_same_time_all_come_to_write(trail: &impl AuditTrail) {
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

/// Of several writers that have the same to say, one says it. All are given the state after it.
///
/// # Panics
/// If the trail does not conform.
pub async fn what_is_said_once_is_written_once(trail: &impl AuditTrail) {
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

/// A push keeps its number, the next one's is higher, and all are times in milliseconds at least. The last deletion is
/// not forgotten by the pushes that follow it.
///
/// # Panics
/// If the trail does not conform.
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

/// No two pushes of a ref have one number, and the highest is the last one's.
///
/// # Panics
/// If the trail does not conform.
pub async fn pushes_that_come_at_once_have_numbers_of_their_own(trail: &impl AuditTrail) {
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

/// Whoever has not seen the last push does not replace it.
///
/// # Panics
/// If the trail does not conform.
pub async fn a_last_push_is_replaced_only_by_who_has_seen_it(trail: &impl AuditTrail) {
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

/// Whoever has not seen the last version of a destination's record does not replace it.
///
/// # Panics
/// If the trail does not conform.
pub async fn what_is_known_of_a_destination_is_written_version_by_version(trail: &impl AuditTrail) {
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

/// While one has the lease, another waits in vain, with an error that says until when. What the holder writes down as it
/// gives the lease back is there for the next one.
///
/// # Panics
/// If the trail does not conform.
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

/// A lease whose holder has died is another's once its time is over, with what is known of the destination.
///
/// # Panics
/// If the trail does not conform.
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

/// Two that want the lease at once both get it, one after the other.
///
/// # Panics
/// If the trail does not conform.
pub async fn of_two_that_want_the_lease_one_waits(trail: &impl AuditTrail) {
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
