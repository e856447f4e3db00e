//! The events, by given / when / then, and their stored form.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "the helpers of tests"
)]

use chrono::{DateTime, Utc};
use domain::aggregate::{Aggregate, Circumstances, RecordedEvent};
use domain::contract::{
    Archive, Author, Deliver, Delivered, Failure, FetchedCommit, FetchedSubmodule, IgnoreReason, Ignored,
    LfsObjects, Stage, StagedObject, Superseded, Uploaded, Validated, VerifiedSignature,
};
use domain::cost::{Attempt, Total, Used};
use domain::event::{PushEvent, PushFailed, PushReceived, PushRetried};
use domain::execution::Execution;
use domain::flow::{AttemptFailed, StageOutput};
use domain::push::{Missed, Push, Trigger};
use domain::samples;
use domain::state::Status;

const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:push-code:1";
const SECOND_EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:push-code:1-2";

fn at(second: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + i64::from(second), 0).unwrap()
}

fn push() -> Push {
    Push {
        pusher: Some("jsmith".into()),
        ..samples::push("d1", "refs/heads/main")
    }
}

fn staged(name: &str) -> StagedObject {
    StagedObject {
        key: format!("pushes/1/{name}").parse().unwrap(),
        size: 7,
        version_id: Some(format!("v-{name}")),
        sha256: Some("f".repeat(64)),
    }
}

fn received() -> PushEvent {
    PushEvent::PushReceived(PushReceived {
        push: push(),
        execution: Execution {
            id: EXECUTION.into(),
            started_at: at(0),
        },
    })
}

fn retried() -> PushEvent {
    PushEvent::PushRetried(PushRetried {
        execution: Execution {
            id: SECOND_EXECUTION.into(),
            started_at: at(50),
        },
    })
}

fn validated() -> PushEvent {
    PushEvent::PushValidated(decision())
}

fn decision() -> Deliver {
    Deliver {
        sequence: 3,
        git_hosts: vec!["https://git.example.com".parse().unwrap()],
        submodule_repositories: vec!["group/*".into()],
        ..samples::deliver()
    }
}

fn ignored() -> PushEvent {
    PushEvent::PushIgnored(Ignored {
        reason: IgnoreReason::Duplicate,
        detail: "said before".into(),
        duplicate_of: Some(push().push_id),
        further: vec![],
    })
}

fn fetched() -> PushEvent {
    PushEvent::CommitFetched(FetchedCommit {
        commit: "a".repeat(40).parse().unwrap(),
        tree: "b".repeat(40).parse().unwrap(),
        author: Author {
            name: "Jo".into(),
            email: "jo@example.com".into(),
        },
        committed_at: at(0),
        subject: "Change it".into(),
        url: "https://git.example.com/group/project.git".into(),
        ref_now: Some("a".repeat(40).parse().unwrap()),
        unchanged_since: None,
        pack: staged("commit.pack"),
        index: staged("commit.idx"),
        received_bytes: None,
        base: None,
        submodules: vec![FetchedSubmodule {
            path: "libs/one".into(),
            url: "https://git.example.com/group/one.git".parse().unwrap(),
            commit: "d".repeat(40).parse().unwrap(),
            tree: "e".repeat(40).parse().unwrap(),
            pack: staged("submodules/1.pack"),
            index: staged("submodules/1.idx"),
            base: None,
        }],
        lfs: Some(LfsObjects {
            objects: 2,
            bytes: 14,
        }),
        signature: Some(VerifiedSignature {
            object: "a".repeat(40).parse().unwrap(),
            signer: "jo@example.com".into(),
            key: "SHA256:x".into(),
        }),
    })
}

fn packaged() -> PushEvent {
    PushEvent::ArchivePackaged(Archive {
        object: staged("archive.zip"),
        sha256: "c".repeat(64),
        entries: 12,
        format: None,
        taken_entries: None,
        warnings: vec![],
    })
}

fn delivered() -> Delivered {
    Delivered {
        bucket: "zips".into(),
        key: "gitlab/group/project/heads/main.zip".parse().unwrap(),
        version_id: Some("v1".into()),
        etag: "\"e-1\"".into(),
        provenance: Some(
            "gitlab/group/project/heads/main.zip.provenance/1.json"
                .parse()
                .unwrap(),
        ),
    }
}

fn uploaded() -> PushEvent {
    PushEvent::ArchiveUploaded(delivered())
}

fn superseded() -> PushEvent {
    PushEvent::PushSuperseded(Superseded {
        by: push().push_id,
        because: "it is newer".into(),
    })
}

fn closed() -> PushEvent {
    PushEvent::PushDelivered(delivered())
}

fn attempt() -> PushEvent {
    PushEvent::AttemptFailed(AttemptFailed {
        stage: Stage::Fetch.to_string(),
        attempt: 0,
        execution_id: EXECUTION.into(),
        error: "GitHostUnreachable".into(),
        cause: "it is down".into(),
        failed_at: None,
    })
}

fn failed() -> PushEvent {
    PushEvent::PushFailed(PushFailed {
        execution_id: EXECUTION.into(),
        failure: Failure {
            stage: "Fetch".into(),
            error: "GitHostUnreachable".into(),
            cause: "it is down".into(),
        },
    })
}

fn trail(events: Vec<PushEvent>) -> Vec<RecordedEvent<PushEvent>> {
    let mut previous = None;
    let numbered = (1..).zip(events);
    numbered
        .map(|(version, event)| {
            let recorded_at = at(u32::try_from(version).unwrap());
            let recorded = RecordedEvent::new(version, previous.take(), recorded_at, event).unwrap();
            previous = Some(recorded.sha256.clone());
            recorded
        })
        .collect()
}

fn status(events: Vec<PushEvent>) -> Status {
    Push::fold(&trail(events)).unwrap().unwrap().status
}

fn is_refused(given: Vec<PushEvent>, when: PushEvent) -> bool {
    let state = Push::fold(&trail(given.clone())).unwrap();
    let version = given.len() as u64 + 1;
    let previous = state.as_ref().and_then(Push::head).cloned();
    let recorded = RecordedEvent::new(version, previous, at(99), when).unwrap();
    Push::follow(state, &recorded).is_err()
}

#[test]
fn a_delivered_push_has_every_stage_in_its_trail() {
    let events = vec![
        received(),
        validated(),
        fetched(),
        packaged(),
        uploaded(),
        closed(),
    ];
    let state = Push::fold(&trail(events)).unwrap().unwrap();
    assert_eq!((state.status, state.version), (Status::Delivered, 6));
    assert_eq!(state.delivered, Some(delivered()));
    assert_eq!((state.received_at, state.updated_at), (at(0), at(6)));
    assert_eq!(state.closing_event(), None);
}

#[test]
fn no_stage_comes_before_its_predecessor_or_twice() {
    for event in [fetched(), packaged(), uploaded(), superseded()] {
        assert!(is_refused(vec![received(), ignored()], event));
    }
    assert!(is_refused(vec![received(), validated(), fetched()], superseded()));
    let packaged_push = || vec![received(), validated(), fetched(), packaged()];
    assert!(is_refused(packaged_push(), packaged()));
    assert!(is_refused(
        [packaged_push(), vec![uploaded()]].concat(),
        uploaded()
    ));
    assert!(is_refused(
        [packaged_push(), vec![uploaded()]].concat(),
        superseded()
    ));
    assert!(is_refused(
        [packaged_push(), vec![superseded()]].concat(),
        superseded()
    ));
    assert!(is_refused(delivered_trail(), closed()));
    assert!(is_refused(vec![], validated()));
    let mut late = trail(vec![received()]).remove(0);
    late.version = 2;
    assert!(Push::apply(None, &late).is_err(), "an event is missing before it");
    assert!(is_refused(vec![received()], received()));
    assert!(is_refused(vec![received()], fetched()));
    assert!(is_refused(vec![received(), validated()], validated()));
    assert!(is_refused(vec![received(), validated()], ignored()));
    assert!(is_refused(vec![received(), validated()], packaged()));
    assert!(is_refused(vec![received(), validated(), fetched()], uploaded()));
    assert!(is_refused(
        vec![received(), validated(), fetched(), packaged()],
        closed()
    ));
    let superseded_push = vec![received(), validated(), fetched(), packaged(), superseded()];
    assert!(is_refused(superseded_push, uploaded()));
    assert!(is_refused(vec![received(), ignored()], validated()));
    assert!(is_refused(vec![received(), ignored()], ignored()));
}

#[test]
fn a_gap_in_the_versions_is_refused() {
    let mut events = trail(vec![received(), validated()]);
    events[1].version = 3;
    assert!(Push::fold(&events).is_err());
}

#[test]
fn an_event_that_names_another_one_as_that_before_it_is_refused() {
    let reason = |change: fn(&mut Vec<RecordedEvent<PushEvent>>)| {
        let mut events = trail(vec![received(), attempt(), attempt(), attempt()]);
        change(&mut events);
        Push::fold(&events).unwrap_err().to_string()
    };
    let removed = reason(|events| {
        events.remove(1);
    });
    assert!(removed.starts_with("event 3 of push "), "{removed}");
    assert!(removed.contains("changed, removed or added"), "{removed}");
    let unnamed = reason(|events| events[2].previous = None);
    assert!(unnamed.contains("names none"), "{unnamed}");
    let first = reason(|events| events[0].previous = Some(events[1].sha256.clone()));
    assert!(first.contains("push that has no trail"), "{first}");
}

/// Functions of the version before may still run while a stack is updated.
#[test]
fn events_of_the_first_schema_and_of_this_one_follow_each_other() {
    let old = include_str!("events-schema-1.json");
    let old: Vec<RecordedEvent<PushEvent>> = serde_json::from_str(old).unwrap();
    let late = RecordedEvent {
        version: 3,
        ..old[9].clone()
    };
    let begun = Push::follow(None, &old[0]).unwrap();
    let previous = begun.head.clone();
    assert_eq!(previous.as_ref(), Some(&old[0].sha256));
    let second = RecordedEvent::new(2, previous, at(2), attempt()).unwrap();
    let state = Push::follow(Some(begun), &second).unwrap();
    let state = Push::follow(Some(state), &late).unwrap();
    let fourth = RecordedEvent::new(4, state.head.clone(), at(4), attempt()).unwrap();
    assert_eq!(Push::follow(Some(state), &fourth).unwrap().version, 4);
}

#[test]
fn a_failed_attempt_changes_nothing_but_its_count() {
    let before = Push::fold(&trail(vec![received(), validated()]))
        .unwrap()
        .unwrap();
    let after = Push::fold(&trail(vec![received(), validated(), attempt()]))
        .unwrap()
        .unwrap();
    assert_eq!(after.failed_attempts, before.failed_attempts + 1);
    assert_eq!(after.status, before.status);
}

#[test]
fn a_failed_push_continues_where_it_stopped() {
    assert_eq!(
        status(vec![received(), validated(), attempt(), failed()]),
        Status::Failed
    );
    let events = vec![
        received(),
        validated(),
        failed(),
        fetched(),
        packaged(),
        uploaded(),
        closed(),
    ];
    let state = Push::fold(&trail(events)).unwrap().unwrap();
    assert_eq!((state.status, state.failure), (Status::Delivered, None));
}

/// Returns the state of a trail.
fn state(events: Vec<PushEvent>) -> domain::state::PushState {
    Push::fold(&trail(events)).unwrap().unwrap()
}

/// Returns the events of a push that was delivered.
fn delivered_trail() -> Vec<PushEvent> {
    vec![
        received(),
        validated(),
        fetched(),
        packaged(),
        uploaded(),
        closed(),
    ]
}

/// Returns the failure of the second execution.
fn failed_again() -> PushEvent {
    let PushEvent::PushFailed(mut failed) = failed() else {
        unreachable!()
    };
    failed.execution_id = SECOND_EXECUTION.into();
    PushEvent::PushFailed(failed)
}

#[test]
fn staged_objects_that_have_expired_are_made_again() {
    let PushEvent::AttemptFailed(mut expired) = attempt() else {
        unreachable!()
    };
    expired.error = "StagedObjectMissing".into();
    let expired = PushEvent::AttemptFailed(expired);
    for given in [vec![], vec![packaged()]] {
        let mut events = vec![received(), validated(), fetched()];
        events.extend(given);
        assert!(is_refused(events.clone(), fetched()));
        events.push(expired.clone());
        let forgotten = state(events.clone());
        assert_eq!((forgotten.fetched, forgotten.archive), (None, None));
        assert!(!is_refused(events, fetched()));
    }
    // The outputs of a delivered push are kept for ever.
    let mut events = delivered_trail();
    events.push(expired);
    assert!(state(events).fetched.is_some());
}

#[test]
fn staged_objects_that_are_missing_by_a_failure_are_made_again() {
    let PushEvent::PushFailed(mut expired) = failed() else {
        unreachable!()
    };
    expired.failure.error = "StagedObjectMissing".into();
    let given = vec![received(), validated(), fetched(), PushEvent::PushFailed(expired)];
    assert!(!is_refused(given, fetched()));
    assert!(is_refused(
        vec![received(), validated(), fetched(), failed()],
        fetched()
    ));
}

#[test]
fn a_closed_push_that_could_not_be_published_stays_and_is_closed_again() {
    let endings = [
        (vec![received(), ignored()], Status::Ignored),
        (
            vec![received(), validated(), fetched(), packaged(), superseded()],
            Status::Superseded,
        ),
        (delivered_trail(), Status::Delivered),
    ];
    for (mut events, ending) in endings {
        assert_eq!(state(events.clone()).closing_event(), None);
        events.push(failed());
        let told = state(events.clone());
        assert_eq!(told.status, ending);
        assert!(told.failure.is_some());
        events.push(told.closing_event().unwrap());
        let closed = state(events);
        assert_eq!((closed.status, closed.failure), (ending, None));
    }
}

#[test]
fn a_push_that_was_uploaded_and_failed_is_closed_by_another_execution() {
    let mut events = delivered_trail();
    events.pop();
    events.push(failed());
    let after = state(events.clone());
    assert_eq!(after.status, Status::Failed);
    assert_eq!(after.delivered, Some(delivered()));
    events.push(retried());
    assert_eq!(state(events.clone()).closing_event(), Some(closed()));
    assert!(
        is_refused(events.clone(), validated()),
        "it was delivered already"
    );
    events.push(closed());
    assert_eq!(status(events), Status::Delivered);
}

#[test]
fn an_execution_that_takes_over_a_failed_push_begins_again_with_the_staged_objects() {
    let mut events = vec![
        received(),
        validated(),
        fetched(),
        packaged(),
        failed(),
        retried(),
    ];
    let retried_push = state(events.clone());
    assert_eq!(retried_push.status, Status::Received);
    assert_eq!(retried_push.failure, None);
    assert_eq!(retried_push.deliver, None);
    assert_eq!(retried_push.decided_before, Some(decision()));
    events.push(validated());
    let validated_push = state(events.clone());
    assert_eq!(validated_push.status, Status::Validated);
    assert!(validated_push.fetched.is_some() && validated_push.archive.is_some());
    events.extend([uploaded(), closed()]);
    assert_eq!(status(events), Status::Delivered);
}

#[test]
fn no_stage_comes_before_the_decision_of_the_execution_that_took_over_the_push() {
    let given = || {
        vec![
            received(),
            validated(),
            fetched(),
            packaged(),
            failed(),
            retried(),
        ]
    };
    for event in [fetched(), packaged(), uploaded(), superseded()] {
        assert!(is_refused(given(), event));
    }
    let before_fetch = vec![received(), validated(), failed(), retried()];
    assert!(is_refused(before_fetch, fetched()));
    let before_package = vec![received(), validated(), fetched(), failed(), retried()];
    assert!(is_refused(before_package, packaged()));
}

#[test]
fn outputs_of_another_decision_are_made_again() {
    let after = |change: fn(&mut Deliver)| {
        let mut deliver = decision();
        change(&mut deliver);
        let decided = PushEvent::PushValidated(deliver);
        state(vec![
            received(),
            validated(),
            fetched(),
            packaged(),
            failed(),
            retried(),
            decided,
        ])
    };
    let changes: [fn(&mut Deliver); 4] = [
        |deliver| deliver.options.build_info = false,
        |deliver| deliver.clone_url = "https://git.example.com/group/moved.git".parse().unwrap(),
        |deliver| deliver.git_hosts = vec![],
        |deliver| deliver.submodule_repositories = vec![],
    ];
    for change in changes {
        let state = after(change);
        assert_eq!((state.fetched, state.archive), (None, None));
    }
    let delivered_otherwise = after(|deliver| {
        deliver.destination.bucket = "other".into();
        deliver.options.overwrite_foreign = true;
    });
    assert!(delivered_otherwise.fetched.is_some() && delivered_otherwise.archive.is_some());
    assert_eq!(delivered_otherwise.deliver.unwrap().destination.bucket, "other");
}

#[test]
fn a_decision_is_kept_over_an_execution_that_made_none() {
    let third = PushEvent::PushRetried(PushRetried {
        execution: Execution {
            id: "third".into(),
            started_at: at(60),
        },
    });
    let events = vec![
        received(),
        validated(),
        failed(),
        retried(),
        failed_again(),
        third,
    ];
    assert_eq!(state(events).decided_before, Some(decision()));
}

#[test]
fn an_ignored_push_is_decided_again_and_fetched_again() {
    let events = vec![received(), ignored(), retried()];
    assert_eq!(state(events.clone()).ignored, None);
    assert!(!is_refused(events.clone(), validated()));
    assert!(!is_refused(events, ignored()));
    // A duplicate had staged objects, which were removed.
    let duplicate = vec![
        received(),
        validated(),
        fetched(),
        packaged(),
        ignored(),
        retried(),
    ];
    let state = state(duplicate);
    assert_eq!((state.fetched, state.archive), (None, None));
    assert_eq!(state.decided_before, Some(decision()));
}

#[test]
fn a_duplicate_is_ignored_after_its_zip_was_made() {
    let events = vec![received(), validated(), fetched(), packaged(), ignored()];
    let state = state(events.clone());
    assert_eq!(state.status, Status::Ignored);
    assert_eq!(state.reason().as_deref(), Some("said before"));
    for event in [uploaded(), superseded(), ignored(), validated()] {
        assert!(is_refused(events.clone(), event));
    }
    assert!(is_refused(vec![received(), validated(), fetched()], ignored()));
}

#[test]
fn a_push_that_was_delivered_stays_so_when_it_is_taken_over() {
    let superseded_trail = vec![received(), validated(), fetched(), packaged(), superseded()];
    for events in [delivered_trail(), superseded_trail] {
        let ending = status(events.clone());
        for has_failed in [false, true] {
            let mut events = events.clone();
            events.extend(has_failed.then(failed));
            events.push(retried());
            let state = state(events);
            assert_eq!(state.status, ending);
            assert!(state.deliver.is_some() && state.is_in_charge(SECOND_EXECUTION));
            // Only a failure in the trail shows that it may not have been published.
            assert_eq!(state.closing_event().is_some(), has_failed);
        }
    }
}

#[test]
fn an_execution_takes_over_a_push_once() {
    assert!(!is_refused(vec![received()], retried()));
    assert!(is_refused(vec![received(), retried()], retried()));
    let PushEvent::PushRetried(mut first) = retried() else {
        unreachable!()
    };
    first.execution.id = EXECUTION.into();
    assert!(is_refused(
        vec![received(), failed()],
        PushEvent::PushRetried(first)
    ));
}

#[test]
fn an_execution_is_over_when_it_has_failed_or_another_has_taken_over_the_push() {
    let who = |events: Vec<PushEvent>| {
        let state = state(events);
        [EXECUTION, SECOND_EXECUTION, "unknown"].map(|id| {
            (
                state.is_in_charge(id),
                state.was_taken_over_from(id),
                state.is_over_for(id),
            )
        })
    };
    let (in_charge, not_heard_of) = ((true, false, false), (false, false, true));
    assert_eq!(who(vec![received()]), [in_charge, not_heard_of, not_heard_of]);
    assert_eq!(
        who(vec![received(), failed()]),
        [(true, false, true), not_heard_of, not_heard_of]
    );
    let taken = (false, true, true);
    assert_eq!(
        who(vec![received(), failed(), retried()]),
        [taken, in_charge, not_heard_of]
    );
    assert_eq!(
        who(vec![received(), retried(), failed_again()]),
        [taken, (true, false, true), not_heard_of]
    );
}

/// Step Functions runs a redriven execution under the same ARN, and the trail knows it by another id.
#[test]
fn a_redriven_execution_takes_the_push_over_like_another_one() {
    let redriven = Execution::redriven(EXECUTION.to_owned(), 1);
    let PushEvent::PushRetried(mut again) = retried() else {
        unreachable!()
    };
    again.execution.id.clone_from(&redriven);
    let failed_trail = vec![received(), validated(), fetched(), failed()];
    let before = state(failed_trail.clone());
    assert!(before.is_over_for(EXECUTION) && before.is_over_for(&redriven));
    assert!(before.may_be_retried_by(&redriven) && !before.may_be_retried_by(EXECUTION));
    let events = [failed_trail, vec![PushEvent::PushRetried(again), validated()]].concat();
    let after = state(events);
    assert!(after.is_over_for(EXECUTION) && !after.is_over_for(&redriven));
    assert_eq!((after.status, after.failure), (Status::Validated, None));
    assert!(after.fetched.is_some(), "it goes on with what was staged");
    assert_eq!(Execution::arn(&redriven), EXECUTION);
    assert_eq!(Execution::redriven(EXECUTION.to_owned(), 0), EXECUTION);
}

#[test]
fn a_push_that_has_failed_stays_so_until_it_is_taken_over_or_closed() {
    // A function of an execution that was stopped may still record its output.
    let events = vec![
        received(),
        validated(),
        failed(),
        fetched(),
        packaged(),
        uploaded(),
    ];
    let state = state(events);
    assert_eq!(state.status, Status::Failed);
    assert_eq!(state.delivered, Some(delivered()));
}

#[test]
fn which_statuses_are_complete() {
    let all = [
        Status::Received,
        Status::Validated,
        Status::Fetched,
        Status::Packaged,
        Status::Uploaded,
        Status::Delivered,
        Status::Ignored,
        Status::Superseded,
        Status::Failed,
    ];
    let closed: Vec<_> = all.into_iter().filter(|status| status.is_closed()).collect();
    let good: Vec<_> = all.into_iter().filter(|status| status.is_complete()).collect();
    assert_eq!(good, [Status::Delivered, Status::Ignored, Status::Superseded]);
    assert_eq!(closed, [&good[..], &[Status::Failed]].concat());
}

/// Checks that an output is recorded by its event, and is found in the state after the event and not before.
fn assert_is_found_again<O>(given: Vec<PushEvent>, output: &O, event: PushEvent)
where
    O: StageOutput<Push> + PartialEq + std::fmt::Debug,
{
    assert_eq!(output.event(), Some(event.clone()));
    assert_eq!(O::recorded(&state(given.clone())), None);
    let after = [given, vec![event]].concat();
    assert_eq!(O::recorded(&state(after)).as_ref(), Some(output));
}

#[test]
fn the_output_of_a_stage_is_found_in_the_state() {
    let (
        PushEvent::PushIgnored(not_for_us),
        PushEvent::CommitFetched(commit),
        PushEvent::ArchivePackaged(archive),
        PushEvent::PushSuperseded(older),
    ) = (ignored(), fetched(), packaged(), superseded())
    else {
        unreachable!()
    };
    let packaged_push = || vec![received(), validated(), fetched(), packaged()];
    assert_is_found_again(vec![received()], &Validated::Deliver(decision()), validated());
    assert_is_found_again(
        vec![received()],
        &Validated::Ignore(not_for_us.clone()),
        ignored(),
    );
    assert_is_found_again(vec![received(), validated()], &commit, fetched());
    assert_is_found_again(vec![received(), validated(), fetched()], &archive, packaged());
    assert_is_found_again(packaged_push(), &Uploaded::Delivered(delivered()), uploaded());
    assert_is_found_again(packaged_push(), &Uploaded::Superseded(older), superseded());
    assert_is_found_again(packaged_push(), &Uploaded::Ignored(not_for_us), ignored());
    // A duplicate was validated all the same.
    let duplicate = state([packaged_push(), vec![ignored()]].concat());
    assert_eq!(
        Validated::recorded(&duplicate),
        Some(Validated::Deliver(decision()))
    );
}

#[test]
fn stages_and_statuses_are_serialized_by_their_names() {
    assert_eq!(Stage::Validate.to_string(), "Validate");
    assert_eq!(Status::Superseded.to_string(), "Superseded");
    let illegal = Push::apply(None, &trail(vec![validated()])[0])
        .unwrap_err()
        .to_string();
    assert!(
        illegal.contains("PushValidated (event 1)") && illegal.contains("no trail"),
        "{illegal}"
    );
}

#[test]
fn a_push_says_why_it_was_not_delivered() {
    let reason = |events| state(events).reason();
    assert_eq!(
        reason(vec![received(), ignored()]).as_deref(),
        Some("said before")
    );
    let older = vec![received(), validated(), fetched(), packaged(), superseded()];
    assert_eq!(reason(older).as_deref(), Some("it is newer"));
    assert_eq!(reason(delivered_trail()), None);
}

#[test]
fn an_event_from_before_there_were_options_for_submodules_is_read() {
    let event: PushEvent = serde_json::from_value(serde_json::json!({
        "type": "PushValidated",
        "data": {
            "clone_url": "https://git.example.com/group/project.git",
            "destination": {"bucket": "zips", "key": "a.zip"},
            "sequence": 3,
            "options": {"build_info": true, "limits": {"pack_bytes": 7}}
        }
    }))
    .unwrap();
    let PushEvent::PushValidated(deliver) = event else {
        panic!("{}", event.name())
    };
    assert_eq!(deliver.git_hosts, []);
    assert_eq!(deliver.options.limits.pack_bytes, 7);
    assert_eq!(deliver.options.limits.submodules, 100);
}

/// The total is that of the whole push, over all of its executions.
#[test]
fn an_event_that_closes_a_push_has_what_everything_has_taken() {
    let events = trail(vec![received(), validated(), failed(), retried(), validated()]);
    let mut state = Push::fold(&events).unwrap().unwrap();
    assert_eq!((state.total, state.used), (None, Used::default()));
    let attempt = Some(Attempt {
        milliseconds: 2000,
        memory_mib: 1024,
    });
    for event in [fetched(), packaged(), uploaded()] {
        assert_eq!(Push::total(Some(&state), &event, attempt, at(60)), None);
        let previous = state.head.clone();
        let next = RecordedEvent::new(state.version + 1, previous, at(60), event).unwrap();
        let circumstances = Circumstances {
            attempt,
            ..Circumstances::default()
        };
        state = Push::follow(Some(state), &next.with(circumstances).unwrap()).unwrap();
    }
    assert_eq!(
        (state.used.attempts, state.used.mib_milliseconds),
        (3, 3 * 2_048_000)
    );
    let total = Push::total(Some(&state), &closed(), None, at(60)).unwrap();
    assert_eq!(total, Total::new(at(0), at(60), state.used, 2, 9));
    assert_eq!(total.milliseconds, 60_000);
    let previous = state.head.clone();
    let last = RecordedEvent::new(9, previous, at(60), closed()).unwrap();
    let circumstances = Circumstances {
        total: Some(total),
        ..Circumstances::default()
    };
    let last = last.with(circumstances).unwrap();
    assert_eq!(Push::follow(Some(state), &last).unwrap().total, Some(total));
}

/// Returns one event of each kind.
fn every_event() -> Vec<PushEvent> {
    vec![
        received(),
        retried(),
        validated(),
        ignored(),
        fetched(),
        packaged(),
        uploaded(),
        superseded(),
        closed(),
        attempt(),
        failed(),
    ]
}

/// Checks that events are read from a golden file, and written as it has them.
fn assert_golden(events: &[RecordedEvent<PushEvent>], golden: &str) {
    let read: Vec<RecordedEvent<PushEvent>> = serde_json::from_str(golden).unwrap();
    assert_eq!(read, events);
    let written = serde_json::to_value(events).unwrap();
    assert_eq!(
        written,
        serde_json::from_str::<serde_json::Value>(golden).unwrap()
    );
}

/// The file has one event of each kind. What it has once pinned was written to tables, and must stay readable for ever.
/// A change needs a new schema version, and a reader for the old one.
#[test]
fn every_event_reads_and_writes_as_the_golden_file_says() {
    let attempt = Attempt {
        milliseconds: 1200,
        memory_mib: 1769,
    };
    let total = Total {
        milliseconds: 3400,
        microdollars: 420,
    };
    let mut previous = None;
    let events: Vec<_> = (1..)
        .zip(every_event())
        .map(|(version, event)| {
            let is_of_stage = !matches!(event.name(), "PushReceived" | "PushRetried");
            let (attempt, total) = (
                is_of_stage.then_some(attempt),
                event.is_closing().then_some(total),
            );
            let recorded_at = at(u32::try_from(version).unwrap());
            let recorded = RecordedEvent::new(version, previous.take(), recorded_at, event).unwrap();
            let circumstances = Circumstances {
                expires_at: Some(1_800_000_000),
                attempt,
                total,
            };
            let recorded = recorded.with(circumstances).unwrap();
            previous = Some(recorded.sha256.clone());
            recorded
        })
        .collect();
    assert_golden(&events, include_str!("events.json"));
}

/// The events of a push that a webhook reported have neither field.
#[test]
fn the_event_of_a_push_that_the_sweep_found_has_its_golden_form() {
    let received = PushEvent::PushReceived(PushReceived {
        push: Push {
            trigger: Trigger::Sweep,
            missed: Some(Missed::PushEventHooksLimit),
            ..samples::push("d1", "refs/heads/main")
        },
        execution: Execution {
            id: EXECUTION.into(),
            started_at: at(0),
        },
    });
    let events = [RecordedEvent::new(1, None, at(1), received).unwrap()];
    assert_golden(&events, include_str!("events-sweep.json"));
}

/// Those of schema 1 do not name the event before them.
#[test]
fn events_of_the_first_schema_are_read() {
    let golden = include_str!("events-schema-1.json");
    let read: Vec<RecordedEvent<PushEvent>> = serde_json::from_str(golden).unwrap();
    let without_previous = read.iter().all(|recorded| recorded.previous.is_none());
    assert!(without_previous && read.iter().all(|recorded| recorded.schema == 1));
    let events: Vec<_> = read.into_iter().map(|recorded| recorded.event).collect();
    assert_eq!(events, every_event());
}
