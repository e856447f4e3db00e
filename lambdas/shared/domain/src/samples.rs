//! Sample values for tests: a push, and the output of each stage for it. A test sets what it is about and takes the
//! rest from here: `Deliver { options, ..samples::deliver() }`.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use chrono::{DateTime, Utc};

use crate::aggregate::{Aggregate as _, RecordedEvent};
use crate::contract::{
    Archive, Author, Deliver, Delivered, Envelope, Expired, Failure, FetchedCommit, FoundVersion,
    IgnoreReason, Ignored, Stage, StagedObject, Superseded, Version,
};
use crate::destination::{Destination, staging_key};
use crate::event::{PushEvent, PushFailed, PushReceived, PushRetried};
use crate::execution::Execution;
use crate::flow::AttemptFailed;
use crate::git::ObjectId;
use crate::push::{Push, PushId, Trigger};
use crate::source::Options;
use crate::state::PushState;

const URL: &str = "https://git.example.com/group/project.git";

/// Returns the time of all samples.
#[must_use]
pub fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Returns the id that repeats this letter.
#[must_use]
pub fn object_id(letter: char) -> ObjectId {
    letter.to_string().repeat(40).parse().unwrap()
}

/// Returns a push that creates the ref in `group/project`.
#[must_use]
pub fn push(delivery_id: &str, ref_name: &str) -> Push {
    let source = "gitlab".parse().unwrap();
    let delivery_id = delivery_id.parse().unwrap();
    let ref_name = ref_name.parse().unwrap();
    Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: "group/project".parse().unwrap(),
        clone_urls: vec![URL.into()],
        ref_name,
        destination: None,
        before: None,
        after: Some(object_id('a')),
        pusher: None,
        trigger: Trigger::Webhook,
        missed: None,
        rollback_to: None,
    }
}

/// Returns an execution with this ARN.
#[must_use]
pub fn execution(id: &str) -> Execution {
    Execution {
        id: id.into(),
        started_at: time(),
    }
}

/// Returns the envelope of a stage's first attempt in the execution `e1`.
#[must_use]
pub fn envelope<I>(push: Push, input: I) -> Envelope<I> {
    Envelope {
        push,
        execution: execution("e1"),
        attempt: 0,
        input,
    }
}

/// Returns a destination in the bucket `zips`.
#[must_use]
pub fn destination(key: &str) -> Destination {
    Destination {
        bucket: "zips".into(),
        key: key.parse().unwrap(),
    }
}

/// Returns the output of `Validate` for a push that is wanted.
#[must_use]
pub fn deliver() -> Deliver {
    Deliver {
        clone_url: URL.parse().unwrap(),
        destination: destination("gitlab/group/project/heads/main.zip"),
        sequence: 1,
        git_hosts: vec![],
        submodule_repositories: vec![],
        options: Options::default(),
        commit_status: None,
        paths: vec![],
        rollback: None,
        further: vec![],
    }
}

/// Returns the zip that the push `d1` of `refs/heads/main` has delivered.
#[must_use]
pub fn version() -> Version {
    let delivered = delivered();
    Version {
        push_id: push("d1", "refs/heads/main").push_id,
        bucket: delivered.bucket,
        key: delivered.key,
        version_id: delivered.version_id.unwrap(),
    }
}

/// Returns the output of `FindVersion` for that zip.
#[must_use]
pub fn found_version() -> FoundVersion {
    FoundVersion {
        deliver: Deliver {
            sequence: 6,
            rollback: Some(version()),
            ..deliver()
        },
        fetched: fetched(),
        archive: archive(),
    }
}

/// Returns the output of `Validate` for a push that is not wanted.
#[must_use]
pub fn ignored() -> Ignored {
    Ignored {
        reason: IgnoreReason::RefNotWanted,
        detail: "no glob matches".into(),
        duplicate_of: None,
        further: vec![],
    }
}

/// Returns an object in the staging area of the push `d1` of `refs/heads/main`.
#[must_use]
pub fn staged(name: &str) -> StagedObject {
    StagedObject {
        key: staging_key(&push("d1", "refs/heads/main").push_id, name).unwrap(),
        size: 7,
        version_id: Some(format!("version-of-{name}")),
        sha256: Some("f".repeat(64)),
    }
}

/// Returns the output of `Fetch`.
#[must_use]
pub fn fetched() -> FetchedCommit {
    FetchedCommit {
        commit: object_id('a').into_commit(),
        tree: object_id('e'),
        author: Author {
            name: "Jo".into(),
            email: "jo@example.com".into(),
        },
        committed_at: time(),
        subject: "Change it".into(),
        url: URL.into(),
        ref_now: Some(object_id('a')),
        unchanged_since: None,
        pack: staged("commit.pack"),
        index: staged("commit.idx"),
        received_bytes: None,
        base: None,
        submodules: vec![],
        lfs: None,
        signature: None,
    }
}

/// Returns the output of `Package`.
#[must_use]
pub fn archive() -> Archive {
    Archive {
        object: staged("archive.zip"),
        sha256: "c".repeat(64),
        entries: 2,
        format: None,
        taken_entries: None,
        warnings: vec![],
    }
}

/// Returns the output of `Upload`.
#[must_use]
pub fn delivered() -> Delivered {
    let destination = deliver().destination;
    Delivered {
        bucket: destination.bucket,
        key: destination.key,
        version_id: Some("3".into()),
        etag: "\"e\"".into(),
        provenance: None,
    }
}

/// Returns the output of `Expire` for the deletion of `refs/heads/main`.
#[must_use]
pub fn expired() -> Expired {
    let destination = deliver().destination;
    Expired {
        bucket: destination.bucket,
        key: destination.key,
        push_id: push("d1", "refs/heads/main").push_id,
        version_id: Some("3".into()),
    }
}

/// Returns the output of `Upload` for a push that came too late.
#[must_use]
pub fn superseded() -> Superseded {
    Superseded {
        by: push("d2", "refs/heads/main").push_id,
        because: "it is newer".into(),
    }
}

/// Returns the event that an execution has received `push`.
#[must_use]
pub fn received(push: &Push, execution_id: &str) -> PushEvent {
    PushEvent::PushReceived(PushReceived {
        push: push.clone(),
        execution: execution(execution_id),
    })
}

/// Returns the event that an execution has taken the push over.
#[must_use]
pub fn retried(execution_id: &str) -> PushEvent {
    PushEvent::PushRetried(PushRetried {
        execution: execution(execution_id),
    })
}

/// Returns the event that an attempt of a stage has failed.
#[must_use]
pub fn attempt_failed(stage: Stage, execution_id: &str) -> PushEvent {
    PushEvent::AttemptFailed(AttemptFailed {
        stage: stage.to_string(),
        attempt: 0,
        execution_id: execution_id.into(),
        error: "GitHostTimedOut".into(),
        cause: "the host went silent".into(),
        failed_at: None,
    })
}

/// Returns a failure with this name.
#[must_use]
pub fn failure(stage: &str, error: &str) -> Failure {
    Failure {
        stage: stage.into(),
        error: error.into(),
        cause: "it was to be".into(),
    }
}

/// Returns the event that the push has failed in `Fetch`.
#[must_use]
pub fn push_failed(execution_id: &str) -> PushEvent {
    PushEvent::PushFailed(PushFailed {
        execution_id: execution_id.into(),
        failure: failure("Fetch", "CommitNotFound"),
    })
}

/// Returns what these events fold to, all recorded at the time of the samples.
#[must_use]
pub fn folded(events: impl IntoIterator<Item = PushEvent>) -> PushState {
    let state = (1..).zip(events).fold(None, |state, (version, event)| {
        let previous = state.as_ref().and_then(Push::head).cloned();
        let recorded = RecordedEvent::new(version, previous, time(), event).unwrap();
        Some(Push::follow(state, &recorded).unwrap())
    });
    state.unwrap()
}

/// Returns the events of a push that is delivered.
#[must_use]
pub fn delivered_trail(push: &Push) -> [PushEvent; 6] {
    [
        received(push, "e1"),
        PushEvent::PushValidated(deliver()),
        PushEvent::CommitFetched(fetched()),
        PushEvent::ArchivePackaged(archive()),
        PushEvent::ArchiveUploaded(delivered()),
        PushEvent::PushDelivered(delivered()),
    ]
}
