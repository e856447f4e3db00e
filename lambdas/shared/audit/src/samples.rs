//! Pushes and events for tests. Each call makes a new push, so tests can share a table.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use chrono::{DateTime, Utc};
use domain::contract::{
    Archive, Author, Deliver, Delivered, Execution, Failure, FetchedCommit, IgnoreReason, Ignored, Stage,
    StagedObject, Superseded,
};
use domain::destination::Destination;
use domain::event::{AttemptFailed, PushEvent, PushFailed, PushReceived, PushRetried};
use domain::git::{ObjectId, RefName};
use domain::order::DeliveredPush;
use domain::push::{Push, PushId};
use domain::source::Options;
use uuid::Uuid;

fn unique() -> String {
    Uuid::new_v4().simple().to_string()
}

fn object_id() -> ObjectId {
    let unique = unique();
    format!("{unique}{}", &unique[..8]).parse().unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn push_of(ref_name: RefName, before: Option<ObjectId>, after: Option<ObjectId>) -> Push {
    let source = "gitlab".parse().unwrap();
    let delivery_id = unique().parse().unwrap();
    Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: "group/project".parse().unwrap(),
        clone_urls: vec!["https://git.example.com/group/project.git".into()],
        ref_name,
        before,
        after,
        pusher: None,
    }
}

/// Returns the first push of a new ref.
pub fn push() -> Push {
    let ref_name = format!("refs/heads/{}", unique()).parse().unwrap();
    push_of(ref_name, None, Some(object_id()))
}

/// Returns the push that follows `push`.
pub fn next(push: &Push) -> Push {
    push_of(push.ref_name.clone(), push.after.clone(), Some(object_id()))
}

/// Returns the push that deletes the ref of `push`.
pub fn deletion(push: &Push) -> Push {
    push_of(push.ref_name.clone(), push.after.clone(), None)
}

/// Returns a new destination.
pub fn destination() -> Destination {
    Destination {
        bucket: "zips".into(),
        key: format!("gitlab/group/{}.zip", unique()).parse().unwrap(),
    }
}

/// Returns an execution with this ARN.
pub fn execution(id: &str) -> Execution {
    Execution {
        id: id.into(),
        started_at: at(0),
    }
}

/// Returns the event that an execution has received `push`.
pub fn received(push: &Push, execution_id: &str) -> PushEvent {
    PushEvent::PushReceived(PushReceived {
        push: push.clone(),
        execution: execution(execution_id),
    })
}

/// Returns the event that an execution has taken over the push.
pub fn retried(execution_id: &str) -> PushEvent {
    PushEvent::PushRetried(PushRetried {
        execution: execution(execution_id),
    })
}

/// Returns the output of `Validate` for a push that is wanted.
pub fn deliver() -> Deliver {
    Deliver {
        clone_url: "https://git.example.com/group/project.git".parse().unwrap(),
        destination: destination(),
        sequence: 1_700_000_000_000,
        git_hosts: vec!["https://git.example.com".parse().unwrap()],
        submodule_repositories: vec!["group/*".into()],
        options: Options::default(),
    }
}

/// Returns the output of `Validate` for a push that is not wanted.
pub fn ignored() -> Ignored {
    Ignored {
        reason: IgnoreReason::RefNotWanted,
        detail: "no glob matches".into(),
        duplicate_of: None,
    }
}

/// Returns the output of `Upload` for a push that came too late.
pub fn superseded() -> Superseded {
    Superseded {
        by: push().push_id,
        because: "it is newer".into(),
    }
}

fn staged(name: &str, size: u64) -> StagedObject {
    StagedObject {
        key: format!("pushes/1/{name}").parse().unwrap(),
        size,
        version_id: Some(format!("version-of-{name}")),
        sha256: Some("f".repeat(64)),
    }
}

/// Returns an output of `Fetch`. Like `Fetch` itself, each call returns another pack.
pub fn fetched(pack_bytes: u64) -> FetchedCommit {
    FetchedCommit {
        commit: object_id().into_commit(),
        tree: object_id(),
        author: Author {
            name: "Jo Smith".into(),
            email: "jo@example.com".into(),
        },
        committed_at: at(0),
        subject: "Begin".into(),
        url: "https://git.example.com/group/project.git".into(),
        ref_now: None,
        pack: staged("commit.pack", pack_bytes),
        index: staged("commit.idx", 1_072),
        submodules: vec![],
        lfs: None,
        signature: None,
    }
}

/// Returns the output of `Package`.
pub fn archive() -> Archive {
    Archive {
        object: staged("archive.zip", u64::from(u32::MAX) + 1),
        sha256: "c".repeat(64),
        entries: 2,
        warnings: vec!["a link is left out".into()],
    }
}

/// Returns the output of `Upload`.
pub fn delivered() -> Delivered {
    let destination = destination();
    Delivered {
        bucket: destination.bucket,
        key: destination.key,
        version_id: Some("3".into()),
        etag: "\"e\"".into(),
        provenance: None,
    }
}

/// Returns `push` as a destination's record names it.
pub fn delivered_push(push: &Push) -> DeliveredPush {
    DeliveredPush::new(push, 1_700_000_000_000, push.after.clone(), "c".repeat(64))
}

/// Returns the event that an attempt of a stage has failed.
pub fn attempt_failed(stage: Stage, execution_id: &str) -> PushEvent {
    PushEvent::AttemptFailed(AttemptFailed {
        stage,
        attempt: 0,
        execution_id: execution_id.into(),
        error: "GitHostTimedOut".into(),
        cause: "the host went silent".into(),
    })
}

/// Returns the event that the push has failed.
pub fn push_failed(execution_id: &str) -> PushEvent {
    PushEvent::PushFailed(PushFailed {
        execution_id: execution_id.into(),
        failure: Failure {
            stage: "Fetch".into(),
            error: "CommitNotFound".into(),
            cause: "the commit is gone".into(),
        },
    })
}
