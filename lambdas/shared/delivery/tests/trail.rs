//! The stored form of the events, and what they fold to.

#![expect(
    clippy::unwrap_used,
    reason = "an event that cannot be read has failed the test"
)]

use std::collections::BTreeSet;

use delivery::deployment::Deployment;
use delivery::event::DeploymentEvent;
use delivery::state::{DeploymentState, DeploymentStatus};
use domain::aggregate::{Aggregate, RecordedEvent};
use serde_json::Value;

type Recorded = RecordedEvent<DeploymentEvent>;

/// Histories as an earlier version of the code has stored them. An event that was ever written must stay readable.
const EVENTS: &str = include_str!("events.json");

fn histories() -> Vec<Vec<Recorded>> {
    serde_json::from_str(EVENTS).unwrap()
}

fn fold(events: &[Recorded]) -> DeploymentState {
    Deployment::fold(events).unwrap().unwrap()
}

/// Returns the state after the first history's event of this name, the last one if there are several.
fn after(name: &str) -> DeploymentState {
    let events = histories().swap_remove(0);
    let place = events.iter().rposition(|recorded| recorded.event.name() == name);
    fold(&events[..=place.unwrap()])
}

#[test]
fn stored_events_of_every_kind_are_read_and_written_alike() {
    let stored: Value = serde_json::from_str(EVENTS).unwrap();
    assert_eq!(serde_json::to_value(histories()).unwrap(), stored);
    let names: BTreeSet<_> = histories()
        .iter()
        .flatten()
        .map(|recorded| recorded.event.name())
        .collect();
    // The names of all variants are in the source, each once as a text.
    let source = include_str!("../src/event.rs");
    let all: BTreeSet<_> = source
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(names, all);
}

#[test]
fn each_history_folds_to_its_ending() {
    let endings: Vec<_> = histories().iter().map(|events| fold(events).status).collect();
    assert_eq!(
        endings,
        [
            DeploymentStatus::Released,
            DeploymentStatus::Ignored,
            DeploymentStatus::Superseded,
            DeploymentStatus::Unchanged
        ]
    );
}

#[test]
fn no_event_happens_twice_in_a_row_except_looks_and_failures() {
    for events in histories() {
        for place in 0..events.len() {
            let mut again = events[..=place].to_vec();
            again.push(Recorded {
                version: again.len() as u64 + 1,
                ..events[place].clone()
            });
            let may_repeat = matches!(
                events[place].event,
                DeploymentEvent::AttemptFailed(_)
                    | DeploymentEvent::ProbePassed(_)
                    | DeploymentEvent::CanaryJudged(_)
                    | DeploymentEvent::TrafficRolledBack(_)
            );
            let name = events[place].event.name();
            assert_eq!(Deployment::fold(&again).is_ok(), may_repeat, "{name}");
        }
    }
}

#[test]
fn a_version_that_is_missing_is_illegal() {
    let mut events = histories().swap_remove(0);
    events.remove(3);
    let illegal = Deployment::fold(&events).unwrap_err().to_string();
    assert!(illegal.contains("cannot happen to deployment"), "{illegal}");
    let illegal = Deployment::fold(&events[1..]).unwrap_err().to_string();
    assert!(illegal.contains("deployment that has no trail"), "{illegal}");
}

#[test]
fn another_execution_begins_again_with_nothing_but_what_has_failed() {
    let failed = after("DeploymentFailed");
    assert_eq!((failed.status, failed.percent), (DeploymentStatus::Failed, 0));
    assert!(failed.artifact.is_some());
    let retried = after("DeploymentRetried");
    assert_eq!(retried.status, DeploymentStatus::Requested);
    assert_eq!(
        (retried.request, retried.artifact, retried.failure),
        (None, None, None)
    );
    assert_eq!((retried.failed_attempts, retried.executions.len()), (1, 2));
    let (first, second) = (&retried.executions[0], &retried.executions[1]);
    let released = after("DeploymentReleased");
    assert!(released.is_over_for(first) && !released.is_over_for(second));
    assert!(!released.may_be_retried_by("e3"), "it is complete");
    assert!(failed.may_be_retried_by("e3") && !failed.may_be_retried_by(first));
}

#[test]
fn the_share_of_the_traffic_is_that_of_the_last_event() {
    let shares = [
        "ChangesApplied",
        "TrafficShifted",
        "TrafficRolledBack",
        "TrafficPromoted",
    ];
    let shares = shares.map(|name| after(name).percent);
    assert_eq!(shares, [0, 10, 0, 100]);
}
