//! The events, given / when / then, and their form on disk.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "the helpers of tests"
)]

use chrono::{DateTime, Utc};
use domain::contract::{
    Archive, Author, Deliver, Delivered, Execution, Failure, FetchedCommit, FetchedSubmodule, IgnoreReason,
    Ignored, LfsObjects, Stage, StagedObject, Superseded, VerifiedSignature,
};
use domain::destination::Destination;
use domain::event::{AttemptFailed, PushEvent, PushFailed, PushReceived, RecordedEvent, SCHEMA};
use domain::push::{Push, PushId};
use domain::source::Options;
use domain::state::{Status, apply, fold};

const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:push-code:1";

fn at(second: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + i64::from(second), 0).unwrap()
}

fn push() -> Push {
    let source = "gitlab".parse().unwrap();
    let delivery_id = "d1".parse().unwrap();
    let ref_name = "refs/heads/main".parse().unwrap();
    Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: "group/project".parse().unwrap(),
        clone_urls: vec!["https://git.example.com/group/project.git".into()],
        ref_name,
        before: None,
        after: Some("a".repeat(40).parse().unwrap()),
        pusher: Some("jsmith".into()),
    }
}

fn staged(name: &str) -> StagedObject {
    StagedObject {
        key: format!("pushes/1/{name}").parse().unwrap(),
        size: 7,
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

fn validated() -> PushEvent {
    PushEvent::PushValidated(Deliver {
        clone_url: "https://git.example.com/group/project.git".into(),
        destination: Destination {
            bucket: "zips".into(),
            key: "gitlab/group/project/heads/main.zip".parse().unwrap(),
        },
        sequence: 3,
        git_hosts: vec!["https://git.example.com".parse().unwrap()],
        submodule_repositories: vec!["group/*".into()],
        options: Options::default(),
    })
}

fn ignored() -> PushEvent {
    PushEvent::PushIgnored(Ignored {
        reason: IgnoreReason::Duplicate,
        detail: "said before".into(),
        duplicate_of: Some(push().push_id),
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
        pack: staged("commit.pack"),
        index: staged("commit.idx"),
        submodules: vec![FetchedSubmodule {
            path: "libs/one".into(),
            url: "https://git.example.com/group/one.git".into(),
            commit: "d".repeat(40).parse().unwrap(),
            tree: "e".repeat(40).parse().unwrap(),
            pack: staged("submodules/1.pack"),
            index: staged("submodules/1.idx"),
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
        stage: Stage::Fetch,
        attempt: 0,
        execution_id: EXECUTION.into(),
        error: "GitHostUnreachable".into(),
        cause: "it is down".into(),
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

fn trail(events: Vec<PushEvent>) -> Vec<RecordedEvent> {
    (1..)
        .zip(events)
        .map(|(version, event)| RecordedEvent {
            version,
            schema: SCHEMA,
            recorded_at: at(u32::try_from(version).unwrap()),
            event,
        })
        .collect()
}

fn status(events: Vec<PushEvent>) -> Status {
    fold(&trail(events)).unwrap().unwrap().status
}

fn is_refused(given: Vec<PushEvent>, when: PushEvent) -> bool {
    let state = fold(&trail(given.clone())).unwrap();
    let version = given.len() as u64 + 1;
    let recorded = RecordedEvent {
        version,
        schema: SCHEMA,
        recorded_at: at(99),
        event: when,
    };
    apply(state, &recorded).is_err()
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
    let state = fold(&trail(events)).unwrap().unwrap();
    assert_eq!((state.status, state.version), (Status::Delivered, 6));
    assert_eq!(state.delivered, Some(delivered()));
    assert_eq!((state.received_at, state.updated_at), (at(0), at(6)));
    assert_eq!(state.closing_event(), None);
}

#[test]
fn no_stage_comes_before_its_predecessor_or_twice() {
    assert!(is_refused(vec![], validated()));
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
    assert!(fold(&events).is_err());
}

#[test]
fn a_failed_attempt_changes_nothing_but_its_count() {
    let before = fold(&trail(vec![received(), validated()])).unwrap().unwrap();
    let after = fold(&trail(vec![received(), validated(), attempt()]))
        .unwrap()
        .unwrap();
    assert_eq!(after.failed_attempts, before.failed_attempts + 1);
    assert_eq!(after.status, before.status);
}

#[test]
fn a_failed_push_goes_on_where_it_stopped() {
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
    let state = fold(&trail(events)).unwrap().unwrap();
    assert_eq!((state.status, state.failure), (Status::Delivered, None));
}

#[test]
fn what_has_expired_is_fetched_again() {
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
fn an_ending_that_could_not_be_announced_is_closed_again() {
    let endings = [
        (vec![received(), ignored()], Status::Ignored),
        (
            vec![received(), validated(), fetched(), packaged(), superseded()],
            Status::Superseded,
        ),
        (
            vec![
                received(),
                validated(),
                fetched(),
                packaged(),
                uploaded(),
                closed(),
            ],
            Status::Delivered,
        ),
    ];
    for (mut events, ending) in endings {
        events.push(failed());
        let state = fold(&trail(events.clone())).unwrap().unwrap();
        assert_eq!(state.status, Status::Failed);
        events.push(state.closing_event().unwrap());
        assert_eq!(status(events), ending);
    }
}

/// One of each. What this file has once pinned was written to tables: it must stay readable for ever. A change to it
/// needs a new schema version, and a reader for the old one.
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

#[test]
fn every_event_reads_and_writes_as_the_golden_file_says() {
    let events = trail(vec![
        received(),
        validated(),
        ignored(),
        fetched(),
        packaged(),
        uploaded(),
        superseded(),
        closed(),
        attempt(),
        failed(),
    ]);
    let golden = include_str!("events.json");
    let read: Vec<RecordedEvent> = serde_json::from_str(golden).unwrap();
    assert_eq!(read, events);
    let written = serde_json::to_value(&events).unwrap();
    assert_eq!(
        written,
        serde_json::from_str::<serde_json::Value>(golden).unwrap()
    );
}
