//! What is recorded of a commit's status changes nothing else about the push.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use chrono::{DateTime, Utc};
use domain::aggregate::{Aggregate, RecordedEvent};
use domain::commit_status::{CommitStatus, CommitStatusSet, CommitStatusTarget, StatusApi};
use domain::contract::{Deliver, Stage};
use domain::event::PushEvent;
use domain::push::Push;
use domain::samples;
use domain::state::PushState;
use proptest::prelude::*;

fn at(second: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + i64::try_from(second).unwrap(), 0).unwrap()
}

fn target() -> CommitStatusTarget {
    CommitStatusTarget {
        api: StatusApi::GitLab,
        url: "https://git.example.com/api/v4".to_owned().try_into().unwrap(),
        context: "push-code".to_owned(),
    }
}

fn set(status: CommitStatus) -> PushEvent {
    PushEvent::CommitStatusSet(CommitStatusSet {
        status,
        commit: samples::object_id('a').into_commit(),
        url: target().url,
        execution_id: "e1".to_owned(),
    })
}

/// The events of a push that had to be tried twice, and those with which another one ends.
fn trails() -> Vec<Vec<PushEvent>> {
    let push = samples::push("d1", "refs/heads/main");
    let delivered = samples::delivered_trail(&push).to_vec();
    let again = vec![samples::push_failed("e1"), samples::retried("e2")];
    let failed = [&delivered[..3], &again, &delivered[1..2], &delivered[3..]].concat();
    let superseded = PushEvent::PushSuperseded(samples::superseded());
    let ignored = PushEvent::PushIgnored(samples::ignored());
    vec![
        failed,
        [&delivered[..4], &[superseded]].concat(),
        [&delivered[..1], &[ignored]].concat(),
        [&delivered[..4], &[samples::push_failed("e1")]].concat(),
        delivered,
    ]
}

fn fold(events: Vec<PushEvent>) -> PushState {
    let state = (1..).zip(events).fold(None, |state, (version, event)| {
        let previous = state.as_ref().and_then(Push::head).cloned();
        let recorded = RecordedEvent::new(version, previous, at(version), event).unwrap();
        Some(Push::follow(state, &recorded).unwrap())
    });
    state.unwrap()
}

/// A state without what any event changes, and what the events of a commit's status are for.
fn rest(state: PushState) -> PushState {
    PushState {
        version: 0,
        head: None,
        updated_at: at(0),
        failed_attempts: 0,
        commit_status: None,
        ..state
    }
}

proptest! {
    /// They may come at any time, also after the push was closed.
    #[test]
    fn a_push_ends_as_it_does_without_a_status(
        trail in prop::sample::select(trails()),
        reports in prop::collection::vec((any::<prop::sample::Index>(), 0..5_usize), 0..6),
    ) {
        let mut with = trail.clone();
        for (place, report) in reports {
            let event = match report {
                0 => set(CommitStatus::Pending),
                1 => set(CommitStatus::Success),
                2 => set(CommitStatus::Failed),
                3 => set(CommitStatus::Canceled),
                _ => samples::attempt_failed(Stage::Report, "e1"),
            };
            with.insert(1 + place.index(with.len()), event);
        }
        let last = with.iter().rev().find_map(|event| match event {
            PushEvent::CommitStatusSet(set) => Some(set.clone()),
            _ => None,
        });
        let state = fold(with);
        prop_assert_eq!(&state.commit_status, &last);
        prop_assert_eq!(state.closing_event(), fold(trail.clone()).closing_event());
        prop_assert_eq!(rest(state), rest(fold(trail)));
    }
}

/// What the file has once pinned was written to tables, and must stay readable for ever.
#[test]
fn the_events_of_a_status_have_their_golden_form() {
    let validated = PushEvent::PushValidated(Deliver {
        commit_status: Some(target()),
        ..samples::deliver()
    });
    let mut previous = None;
    let events: Vec<_> = (1..)
        .zip([validated, set(CommitStatus::Pending), set(CommitStatus::Canceled)])
        .map(|(version, event)| {
            let recorded = RecordedEvent::new(version, previous.take(), at(version), event).unwrap();
            previous = Some(recorded.sha256.clone());
            recorded
        })
        .collect();
    let golden = include_str!("events-commit-status.json");
    let written = serde_json::to_string_pretty(&events).unwrap();
    assert_eq!(written, golden.trim_end());
    let read: Vec<RecordedEvent<PushEvent>> = serde_json::from_str(golden).unwrap();
    assert_eq!(read, events);
}

#[test]
fn a_change_of_the_status_settings_makes_the_same_zip() {
    let with = Deliver {
        commit_status: Some(target()),
        ..samples::deliver()
    };
    assert!(with.makes_same_zip_as(&samples::deliver()));
}
