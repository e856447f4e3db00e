//! Pushes and events for tests. Each call makes a new push, so tests can share a table.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use domain::contract::{Archive, Deliver, FetchedCommit, StagedObject};
use domain::destination::Destination;
use domain::git::ObjectId;
use domain::order::DeliveredPush;
use domain::push::Push;
use domain::samples;
use uuid::Uuid;

pub use domain::samples::{
    attempt_failed, delivered, execution, ignored, push_failed, received, retried, superseded,
};

fn unique() -> String {
    Uuid::new_v4().simple().to_string()
}

fn object_id() -> ObjectId {
    let unique = unique();
    format!("{unique}{}", &unique[..8]).parse().unwrap()
}

fn push_of(ref_name: &str, before: Option<ObjectId>, after: Option<ObjectId>) -> Push {
    Push {
        before,
        after,
        ..samples::push(&unique(), ref_name)
    }
}

/// Returns the first push of a new ref.
pub fn push() -> Push {
    push_of(&format!("refs/heads/{}", unique()), None, Some(object_id()))
}

/// Returns the push that follows `push`.
pub fn next(push: &Push) -> Push {
    push_of(push.ref_name.as_str(), push.after.clone(), Some(object_id()))
}

/// Returns the push that deletes the ref of `push`.
pub fn deletion(push: &Push) -> Push {
    push_of(push.ref_name.as_str(), push.after.clone(), None)
}

/// Returns a new destination.
pub fn destination() -> Destination {
    samples::destination(&format!("gitlab/group/{}.zip", unique()))
}

/// Returns the output of `Validate` for a push that is wanted.
pub fn deliver() -> Deliver {
    Deliver {
        destination: destination(),
        sequence: 1_700_000_000_000,
        git_hosts: vec!["https://git.example.com".parse().unwrap()],
        submodule_repositories: vec!["group/*".into()],
        ..samples::deliver()
    }
}

/// Returns an output of `Fetch`. Like `Fetch` itself, each call returns another pack.
pub fn fetched(pack_bytes: u64) -> FetchedCommit {
    let fetched = samples::fetched();
    FetchedCommit {
        commit: object_id().into_commit(),
        tree: object_id(),
        pack: StagedObject {
            size: pack_bytes,
            ..fetched.pack
        },
        ..fetched
    }
}

/// Returns the output of `Package`.
pub fn archive() -> Archive {
    Archive {
        warnings: vec!["a link is left out".into()],
        ..samples::archive()
    }
}

/// Returns `push` as a destination's record names it.
pub fn delivered_push(push: &Push) -> DeliveredPush {
    DeliveredPush::new(push, 1_700_000_000_000, push.after.clone(), "c".repeat(64))
}
