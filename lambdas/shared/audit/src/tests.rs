//! The trail in memory, and writers that meet each other in it.

use std::sync::Mutex;

use chrono::TimeDelta;
use domain::aggregate::SCHEMA;
use domain::contract::Stage;
use domain::error::{Class, Code, Coded};
use domain::order::DeliveredPush;
use domain::state::Status;
use uuid::Uuid;

use super::faulty::{Fault, FaultyTrail};
use super::*;

const ATTEMPTS: usize = MAX_ATTEMPTS as usize;

#[tokio::test(start_paused = true)]
async fn the_trail_in_memory_conforms() {
    conformance::check_all(&MemoryTrail::default()).await;
    conformance::check_events(&MemoryTrail::<samples::Job>::default()).await;
    conformance::check_events(&FaultyTrail::<samples::Job>::default()).await;
    conformance::check_checkpoints(&MemoryTrail::default()).await;
    conformance::check_deliveries(&MemoryTrail::default()).await;
    conformance::check_sources(&MemoryTrail::default()).await;
    conformance::check_deployments(&MemoryTrail::default()).await;
    conformance::check_queries(&MemoryTrail::default()).await;
    conformance::check_index(&MemoryTrail::<samples::Job>::default()).await;
}

#[tokio::test]
async fn the_trail_in_memory_shows_the_events_of_a_push() {
    let trail: MemoryTrail = MemoryTrail::default();
    let push = samples::push();
    trail
        .try_append(None, samples::received(&push, "e1"))
        .await
        .unwrap();
    let events = trail.events_of(push.push_id);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, samples::received(&push, "e1"));
    assert_eq!(events[0].schema, SCHEMA);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_late_chooses_again() {
    let trail: FaultyTrail = FaultyTrail::default();
    let push = samples::push();
    trail
        .try_append(None, samples::received(&push, "e1"))
        .await
        .unwrap();
    trail.inject([Fault::event(samples::push_failed("e1"))]);
    let seen = Mutex::new(vec![]);
    let (state, has_written) = trail
        .append(push.push_id, |state| {
            let state = state.unwrap();
            seen.lock().unwrap().push(state.status);
            Some(if state.status == Status::Failed {
                samples::retried("e2")
            } else {
                samples::attempt_failed(Stage::Validate, "e1")
            })
        })
        .await
        .unwrap();
    assert!(has_written);
    assert_eq!(*seen.lock().unwrap(), [Status::Received, Status::Failed]);
    let names: Vec<_> = trail.trail.events_of(push.push_id);
    let names: Vec<_> = names.iter().map(|recorded| recorded.event.name()).collect();
    assert_eq!(names, ["PushReceived", "PushFailed", "PushRetried"]);
    assert_eq!(trail.load(push.push_id).await.unwrap(), state);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_late_may_choose_to_append_nothing() {
    let trail: FaultyTrail = FaultyTrail::default();
    let push = samples::push();
    trail.inject([Fault::event(samples::received(&push, "e1"))]);
    let (state, has_written) = trail
        .append(push.push_id, |state| {
            state.is_none().then(|| samples::received(&push, "e2"))
        })
        .await
        .unwrap();
    assert!(!has_written);
    assert_eq!(state.unwrap().executions, ["e1"]);
    assert_eq!(trail.trail.events_of(push.push_id).len(), 1);
}

#[tokio::test]
async fn nothing_is_written_if_no_event_is_chosen() {
    let trail: MemoryTrail = MemoryTrail::default();
    let push_id = samples::push().push_id;
    assert_eq!(trail.append(push_id, |_| None).await.unwrap(), (None, false));
    assert_eq!(trail.events_of(push_id), []);
}

#[tokio::test(start_paused = true)]
async fn an_append_gives_up_after_eight_conflicts() {
    let (enough, too_many) = (ATTEMPTS - 1, ATTEMPTS);
    for conflicts in [enough, too_many] {
        let trail: FaultyTrail = FaultyTrail::default();
        let push = samples::push();
        trail
            .try_append(None, samples::received(&push, "e1"))
            .await
            .unwrap();
        trail.inject(vec![
            Fault::event(samples::attempt_failed(Stage::Fetch, "e1"));
            conflicts
        ]);
        let appended = trail
            .append(push.push_id, |_| {
                Some(samples::attempt_failed(Stage::Validate, "e1"))
            })
            .await;
        assert_eq!(trail.faults_left(), 0);
        if conflicts == enough {
            assert_eq!(appended.unwrap().0.unwrap().version, ATTEMPTS as u64 + 1);
            continue;
        }
        let error = appended.unwrap_err();
        assert!(matches!(error, AuditError::Contended { .. }), "{error}");
        assert_eq!(error.code(), Code::AuditContended);
        assert_eq!(error.code().class(), Class::Transient);
        assert!(error.to_string().contains(&push.push_id.to_string()), "{error}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_written_is_an_error() {
    let trail: FaultyTrail = FaultyTrail::default();
    let push = samples::push();
    trail.inject([Fault::Unavailable]);
    let received = trail
        .append(push.push_id, |_| Some(samples::received(&push, "e1")))
        .await;
    assert_eq!(received.unwrap_err().code(), Code::AuditUnavailable);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_another_one_overtakes_has_the_next_number() {
    let trail: FaultyTrail = FaultyTrail::default();
    let push = samples::push();
    let other = samples::next(&push);
    trail.inject([Fault::Number(other.clone())]);
    let number = trail.number(&push).await.unwrap();
    let last = trail.last_push(&RefKey::of(&push)).await.unwrap().unwrap();
    assert_eq!((last.push_id, last.sequence), (push.push_id, number));
    assert!(trail.number(&other).await.unwrap() > number);
}

#[tokio::test(start_paused = true)]
async fn a_number_whose_response_is_lost_is_kept() {
    let trail: FaultyTrail = FaultyTrail::default();
    let push = samples::push();
    trail.inject([Fault::ResponseLost]);
    let number = trail.number(&push).await.unwrap();
    let last = trail.last_push(&RefKey::of(&push)).await.unwrap().unwrap();
    assert_eq!((last.push_id, last.sequence), (push.push_id, number));
}

#[tokio::test(start_paused = true)]
async fn numbering_gives_up_after_eight_conflicts() {
    for conflicts in [ATTEMPTS - 1, ATTEMPTS] {
        let trail: FaultyTrail = FaultyTrail::default();
        let push = samples::push();
        let others = (0..conflicts).map(|_| Fault::Number(samples::next(&push)));
        trail.inject(others);
        let numbered = trail.number(&push).await;
        assert_eq!(trail.faults_left(), 0);
        if conflicts < ATTEMPTS {
            numbered.unwrap();
            continue;
        }
        let error = numbered.unwrap_err();
        assert_eq!(error.code(), Code::AuditContended, "{error}");
        assert!(error.to_string().contains(push.ref_name.as_str()), "{error}");
    }
}

#[test]
fn refs_of_different_sources_and_repositories_have_different_keys() {
    let push = samples::push();
    let of = |source: &str, repository: &str| {
        RefKey::of(&Push {
            source: source.parse().unwrap(),
            repository: repository.parse().unwrap(),
            ..push.clone()
        })
    };
    let key = of("gitlab", "group/project");
    assert_eq!(
        key.to_string(),
        format!("REF#gitlab#group/project#{}", push.ref_name)
    );
    assert_eq!(key, RefKey::of(&push));
    assert_ne!(key, of("other", "group/project"));
    assert_ne!(key, of("gitlab", "group/other"));
    assert_ne!(key, RefKey::of(&samples::push()));
}

#[test]
fn the_backoff_grows_each_time_but_is_only_seconds_in_all() {
    let waits: Vec<_> = (0..MAX_ATTEMPTS).map(backoff).collect();
    assert_eq!(waits[0], Duration::from_millis(20));
    assert!(waits.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{waits:?}");
    assert_eq!(waits.iter().sum::<Duration>(), Duration::from_millis(5_100));
}

fn record(version: u64, lease: Option<Lease>, last: Option<DeliveredPush>) -> DestinationRecord {
    DestinationRecord { version, lease, last }
}

fn lease_for(seconds: i64) -> Lease {
    Lease {
        holder: Uuid::new_v4(),
        until: Utc::now() + TimeDelta::seconds(seconds),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_writer_keeps_is_a_transient_error() {
    let trail: MemoryTrail = MemoryTrail::default();
    let destination = samples::destination();
    trail.acquire(&destination).await.unwrap();
    let began = tokio::time::Instant::now();
    let error = trail.acquire(&destination).await.unwrap_err();
    assert!(matches!(error, AuditError::Leased { .. }), "{error}");
    assert_eq!(error.code(), Code::DestinationContended);
    assert_eq!(error.code().class(), Class::Transient);
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_writer_acquires_right_before_is_waited_for() {
    let trail: FaultyTrail = FaultyTrail::default();
    let destination = samples::destination();
    trail.inject([Fault::Destination(record(1, Some(lease_for(600)), None))]);
    let error = trail.acquire(&destination).await.unwrap_err();
    assert!(matches!(error, AuditError::Leased { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_free_at_each_lost_attempt_is_contended() {
    for conflicts in [ATTEMPTS - 1, ATTEMPTS] {
        let trail: FaultyTrail = FaultyTrail::default();
        let destination = samples::destination();
        let last = Some(samples::delivered_push(&samples::push()));
        let others = (1..=conflicts).map(|version| record(version as u64, None, last.clone()));
        trail.inject(others.map(Fault::Destination));
        let acquired = trail.acquire(&destination).await;
        assert_eq!(trail.faults_left(), 0);
        if conflicts < ATTEMPTS {
            let acquired = acquired.unwrap();
            assert_eq!((acquired.version, acquired.last), (ATTEMPTS as u64, last));
            continue;
        }
        let error = acquired.unwrap_err();
        assert!(matches!(error, AuditError::Contended { .. }), "{error}");
        assert!(error.to_string().contains(destination.key.as_str()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_response_is_lost_is_held() {
    for conflicts in [0, ATTEMPTS - 1] {
        let trail: FaultyTrail = FaultyTrail::default();
        let destination = samples::destination();
        trail.inject(vec![Fault::Conflict; conflicts]);
        trail.inject([Fault::ResponseLost]);
        let acquired = trail.acquire(&destination).await.unwrap();
        assert_eq!(acquired.version, 1);
        assert_eq!(trail.faults_left(), 0);
        assert_eq!(trail.destination(&destination).await.unwrap(), Some(acquired));
    }
}

#[tokio::test]
async fn a_release_whose_response_is_lost_has_succeeded() {
    let trail: FaultyTrail = FaultyTrail::default();
    let destination = samples::destination();
    let mut held = trail.acquire(&destination).await.unwrap();
    held.last = Some(samples::delivered_push(&samples::push()));
    trail.inject([Fault::ResponseLost]);
    trail.release(&destination, held.clone()).await.unwrap();
    let released = trail.destination(&destination).await.unwrap();
    assert_eq!(released, Some(record(2, None, held.last)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_writer_has_acquired_cannot_be_released() {
    let trail: MemoryTrail = MemoryTrail::default();
    let destination = samples::destination();
    let expired = record(1, Some(lease_for(-1)), None);
    trail.put_destination(&destination, &expired).await.unwrap();
    let taken_over = trail.acquire(&destination).await.unwrap();
    let mine = record(1, expired.lease, Some(samples::delivered_push(&samples::push())));
    let error = trail.release(&destination, mine).await.unwrap_err();
    assert!(matches!(error, AuditError::Contended { .. }), "{error}");
    assert_eq!(error.code(), Code::AuditContended);
    assert_eq!(trail.destination(&destination).await.unwrap(), Some(taken_over));
}

#[tokio::test]
async fn a_lease_whose_record_is_gone_cannot_be_released() {
    let trail: MemoryTrail = MemoryTrail::default();
    let destination = samples::destination();
    let error = trail
        .release(&destination, record(1, Some(lease_for(600)), None))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(destination.key.as_str()), "{error}");
}
