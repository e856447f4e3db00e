//! Tests that every [`EventStore`] must pass, whatever its events happen to.

use chrono::Utc;
use domain::aggregate::RecordedEvent;
use domain::error::{Code, Coded};

use crate::EventStore;
use crate::samples::Samples;

/// Runs all tests of a store of events concurrently.
///
/// # Panics
/// Panics if the store does not conform.
pub async fn check_events<A: Samples>(store: &impl EventStore<A>) {
    // The futures of the SDK are large, and would not all fit onto the stack of a thread.
    tokio::join!(
        Box::pin(what_was_never_written_is_missing::<A>(store)),
        Box::pin(events_come_back_as_they_were_written::<A>(store)),
        Box::pin(only_one_of_two_writers_of_a_version_succeeds::<A>(store)),
        Box::pin(a_version_has_to_be_the_next_one::<A>(store)),
        Box::pin(an_event_that_cannot_follow_is_not_written::<A>(store)),
        Box::pin(concurrent_writers_all_succeed::<A>(store)),
        Box::pin(an_event_that_several_writers_choose_is_written_once::<A>(store)),
    );
}

/// Returns a new aggregate, and its first and second event.
fn fresh<A: Samples>() -> (A::Id, A::Event, A::Event) {
    let (id, events) = A::histories().swap_remove(0);
    (id, events[0].clone(), events[1].clone())
}

/// Reading something that was never written is not an error.
async fn what_was_never_written_is_missing<A: Samples>(store: &impl EventStore<A>) {
    let (id, ..) = fresh::<A>();
    assert_eq!(store.events(id).await.unwrap(), []);
    assert_eq!(store.load(id).await.unwrap(), None);
}

/// Events of every kind are read as they were written, in order, and fold to the states that the writer was given.
async fn events_come_back_as_they_were_written<A: Samples>(store: &impl EventStore<A>) {
    for (id, events) in A::histories() {
        let mut state = None;
        for event in &events {
            state = store.try_append(state, event.clone()).await.unwrap();
            assert!(
                state.is_some(),
                "the only writer of {} was told that another one was first",
                A::name(event)
            );
            assert_eq!(store.load(id).await.unwrap(), state);
        }
        let recorded = store.events(id).await.unwrap();
        let (versions, read): (Vec<_>, Vec<_>) = recorded
            .into_iter()
            .map(|recorded| (recorded.version, recorded.event))
            .unzip();
        assert_eq!(versions, (1..=events.len() as u64).collect::<Vec<_>>());
        assert_eq!(read, events);
    }
}

/// Of two writers that have read the same state, the second one gets a conflict and changes nothing.
async fn only_one_of_two_writers_of_a_version_succeeds<A: Samples>(store: &impl EventStore<A>) {
    let (id, begun, next) = fresh::<A>();
    // Nobody has written yet.
    let first = store.try_append(None, begun.clone()).await.unwrap();
    assert!(first.is_some());
    let late = store.try_append(None, begun).await;
    assert_eq!(late.unwrap(), None);
    assert_eq!(store.load(id).await.unwrap(), first);
    // There is a state already.
    let second = store.try_append(first.clone(), next).await.unwrap();
    assert!(second.is_some());
    let late = store.try_append(first, A::at_any_time()).await;
    assert_eq!(late.unwrap(), None);
    assert_eq!(store.load(id).await.unwrap(), second);
    assert_eq!(store.events(id).await.unwrap().len(), 2);
}

/// An event is written neither if the one before it is missing nor if its version exists already.
async fn a_version_has_to_be_the_next_one<A: Samples>(store: &impl EventStore<A>) {
    let (id, begun, next) = fresh::<A>();
    let first = RecordedEvent::new(1, None, Utc::now(), begun).unwrap();
    let after_first = A::follow(None, &first).unwrap();
    let second = RecordedEvent::new(2, Some(first.sha256.clone()), Utc::now(), next).unwrap();
    let after_second = A::follow(Some(after_first.clone()), &second).unwrap();
    assert!(!store.put_event(&second, &after_second).await.unwrap());
    assert_eq!(store.events(id).await.unwrap(), []);
    assert!(store.put_event(&first, &after_first).await.unwrap());
    assert!(!store.put_event(&first, &after_first).await.unwrap());
    assert!(store.put_event(&second, &after_second).await.unwrap());
    assert!(!store.put_event(&second, &after_second).await.unwrap());
    assert_eq!(store.events(id).await.unwrap(), [first, second]);
}

/// An event that cannot happen is an error, and writes nothing.
async fn an_event_that_cannot_follow_is_not_written<A: Samples>(store: &impl EventStore<A>) {
    let (id, begun, next) = fresh::<A>();
    let error = store.try_append(None, next).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    let state = store.try_append(None, begun.clone()).await.unwrap();
    let error = store.try_append(state.clone(), begun.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    let error = store.append(id, |_| Some(begun.clone())).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditInvalid, "{error}");
    assert_eq!(store.load(id).await.unwrap(), state);
}

/// If several writers append at once, each event is in the trail, without a gap between them.
async fn concurrent_writers_all_succeed<A: Samples>(store: &impl EventStore<A>) {
    let (id, begun, _) = fresh::<A>();
    let write = async || {
        let choose = |state: Option<&A::State>| {
            Some(match state {
                None => begun.clone(),
                Some(_) => A::at_any_time(),
            })
        };
        let (state, has_written) = store.append(id, choose).await.unwrap();
        assert!(has_written);
        A::version(&state.unwrap())
    };
    let (first, second, third) = tokio::join!(write(), write(), write());
    let mut versions = [first, second, third];
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3]);
    let recorded = store.events(id).await.unwrap();
    let events: Vec<_> = recorded.into_iter().map(|recorded| recorded.event).collect();
    assert_eq!(events, [begun, A::at_any_time(), A::at_any_time()]);
}

/// If several writers choose to append the same event, one appends it, and all get the state after it.
async fn an_event_that_several_writers_choose_is_written_once<A: Samples>(store: &impl EventStore<A>) {
    let (id, begun, _) = fresh::<A>();
    let begin = || store.append(id, |state| state.is_none().then(|| begun.clone()));
    let (first, second, third) = tokio::join!(begin(), begin(), begin());
    let mut writers = 0;
    for appended in [first, second, third] {
        let (state, has_written) = appended.unwrap();
        writers += usize::from(has_written);
        assert_eq!(A::version(&state.unwrap()), 1);
    }
    assert_eq!(writers, 1);
    assert_eq!(store.events(id).await.unwrap().len(), 1);
}
