//! That a change of a trail is found, whatever its events are and whatever was changed.

#![expect(
    clippy::unwrap_used,
    reason = "an event that cannot be read has failed the test"
)]

use domain::aggregate::{Aggregate, RecordedEvent};
use domain::digest::Digest;
use domain::event::PushEvent;
use domain::push::Push;
use domain::state::PushState;
use proptest::prelude::*;
use serde_json::{Value, json};

type Recorded = RecordedEvent<PushEvent>;

/// Returns at least one event of each kind.
fn every_event() -> Vec<PushEvent> {
    let golden = [
        include_str!("events.json"),
        include_str!("events-rollback.json"),
        include_str!("events-commit-status.json"),
    ];
    let read = |golden: &str| serde_json::from_str::<Vec<Recorded>>(golden).unwrap();
    let events = golden.into_iter().flat_map(read);
    events.map(|recorded| recorded.event).collect()
}

/// Returns the trail of those events of which each can follow the ones before it, and its state after each.
fn trail(picks: &[prop::sample::Index]) -> (Vec<Recorded>, Vec<PushState>) {
    let events = every_event();
    let picked = picks.iter().map(|pick| pick.get(&events));
    let (mut recorded, mut states): (Vec<Recorded>, Vec<PushState>) = (vec![], vec![]);
    for (event, seconds) in events.iter().take(1).chain(picked).zip(1_700_000_000..) {
        let state = states.last().cloned();
        let version = recorded.len() as u64 + 1;
        let previous = state.as_ref().and_then(Push::head).cloned();
        let at = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let next = RecordedEvent::new(version, previous, at, event.clone()).unwrap();
        if let Ok(state) = Push::follow(state, &next) {
            recorded.push(next);
            states.push(state);
        }
    }
    (recorded, states)
}

/// Returns the digest of the last event of what is stored, or `None` if it cannot be the trail of a push.
fn head(stored: &[Value]) -> Option<Digest> {
    let events: Result<Vec<Recorded>, _> = stored.iter().cloned().map(serde_json::from_value).collect();
    let state = Push::fold(&events.ok()?).ok()??;
    state.head
}

/// Returns the places of all values that are neither objects nor lists.
fn leaves(value: &Value, place: &str) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => return vec![place.to_owned()],
    };
    let inner = inner.into_iter();
    inner
        .flat_map(|(name, value)| leaves(value, &format!("{place}/{name}")))
        .collect()
}

/// Returns another value of the same type, which may well be valid.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!(!flag),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(text) if text.ends_with('Z') => json!("2001-02-03T04:05:06Z"),
        Value::String(text) => json!(text.replace(['a', 'e', 'm'], "f") + "0"),
        _ => json!("0"),
    }
}

proptest! {
    #[test]
    fn any_trail_folds_to_the_states_that_its_writers_saw(picks: Vec<prop::sample::Index>) {
        let (events, states) = trail(&picks);
        for (number, state) in (1..).zip(&states) {
            prop_assert_eq!(&Push::fold(&events[..number]).unwrap().unwrap(), state);
            let stored = serde_json::to_value(state).unwrap();
            prop_assert_eq!(&serde_json::from_value::<PushState>(stored).unwrap(), state);
        }
        let stored = serde_json::to_value(&events).unwrap();
        prop_assert_eq!(serde_json::from_value::<Vec<Recorded>>(stored).unwrap(), events);
    }

    #[test]
    fn a_trail_that_was_changed_does_not_fold_or_has_another_head(
        picks: Vec<prop::sample::Index>,
        place: prop::sample::Index,
        leaf: prop::sample::Index,
        change in 0..5,
    ) {
        let (events, _) = trail(&picks);
        let stored: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
        let mut changed = stored.clone();
        let place = place.index(stored.len());
        match change {
            0 => {
                changed.remove(place);
            }
            1 => changed.insert(place, stored[place].clone()),
            2 => changed.swap(0, place),
            3 => changed[place]["added"] = json!(true),
            _ => {
                let leaves = leaves(&stored[place], "");
                let leaf = changed[place].pointer_mut(&leaves[leaf.index(leaves.len())]).unwrap();
                *leaf = other(leaf);
            }
        }
        prop_assume!(changed != stored);
        prop_assert_ne!(head(&changed), head(&stored));
    }

    /// Neither the order of the fields nor the white space is part of the digest, but every value is.
    #[test]
    fn the_digest_is_of_the_values_alone(picks: Vec<prop::sample::Index>) {
        let (events, _) = trail(&picks);
        for event in events {
            let pretty = serde_json::to_string_pretty(&event).unwrap();
            let read: Recorded = serde_json::from_str(&pretty).unwrap();
            prop_assert_eq!(&read.sha256, &event.sha256);
            let Value::Object(fields) = serde_json::to_value(&event).unwrap() else { unreachable!() };
            let fields: Vec<String> = fields.iter().rev().map(|(name, value)| format!("{name:?}: {value}")).collect();
            let read: Recorded = serde_json::from_str(&format!("{{{}}}", fields.join(","))).unwrap();
            prop_assert_eq!(&read.sha256, &event.sha256);
        }
    }
}
