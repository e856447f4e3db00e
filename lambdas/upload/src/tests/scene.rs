//! A trail and a destination in memory, and pushes whose zips are to be delivered.

use attestation::MemorySigner;
use audit::{EventStore, MemoryTrail};
use domain::contract::{Archive, Deliver, FetchedCommit, StagedObject};
use domain::event::PushEvent;
use domain::push::{Push, PushId};
use domain::samples;

use super::store::MemoryStore;
use super::*;

pub use domain::samples::{execution, object_id};

/// The execution of the envelopes.
pub const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:stack-push:8751";

#[derive(Debug, Default)]
pub struct Scene {
    pub trail: MemoryTrail,
    pub store: MemoryStore,
    pub signer: MemorySigner,
}

impl Scene {
    pub async fn upload(&self, envelope: &Envelope<UploadInput>) -> Result<Uploaded, Error> {
        let deps = Deps {
            trail: &self.trail,
            store: &self.store,
            signer: &self.signer,
        };
        handle(&deps, envelope).await
    }

    /// Uploads a zip that must be delivered.
    pub async fn deliver(&self, envelope: &Envelope<UploadInput>) -> Delivered {
        match self.upload(envelope).await.unwrap() {
            Uploaded::Delivered(delivered) => delivered,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the push whose zip is at the destination, by its metadata.
    pub fn delivered(&self) -> Option<DeliveredPush> {
        metadata::read(&self.store.object(&destination())?.metadata)
    }

    pub async fn record(&self) -> Option<DestinationRecord> {
        self.trail.destination(&destination()).await.unwrap()
    }

    /// Returns the last delivered push, by the destination's record.
    pub async fn last(&self) -> Option<DeliveredPush> {
        self.record().await?.last
    }

    /// Checks that the lease is free, and that no unfinished copy is left.
    pub async fn assert_tidy(&self) {
        assert_eq!(self.record().await.and_then(|record| record.lease), None);
        assert_eq!(self.store.copies(), 0);
    }

    /// Begins the push's trail with the execution of its envelope.
    pub async fn receive(&self, push: &Push) {
        self.append(push.push_id, samples::received(push, EXECUTION))
            .await;
    }

    /// Lets another execution take the push over.
    pub async fn replace(&self, push_id: PushId) {
        self.append(push_id, samples::retried("another-execution")).await;
    }

    pub async fn append(&self, push_id: PushId, event: PushEvent) {
        let (_, written) = self.trail.append(push_id, |_| Some(event.clone())).await.unwrap();
        assert!(written);
    }
}

pub fn destination() -> Destination {
    samples::destination("gitlab/group/project/tags/v1.zip")
}

/// Returns the destination of the provenance document of a push's zip.
pub fn document_of(push: &Push) -> Destination {
    samples::destination(&format!(
        "gitlab/group/project/tags/v1.zip.provenance/{}.json",
        push.push_id
    ))
}

/// Returns a push that moved the ref from `before` to `after`.
pub fn push(delivery: &str, before: Option<char>, after: Option<char>) -> Push {
    Push {
        before: before.map(object_id),
        after: after.map(object_id),
        pusher: Some("jo".to_owned()),
        ..samples::push(delivery, "refs/tags/v1")
    }
}

/// Returns the envelope of `push`, which has found the ref where it had moved it to. Zips of equal commits are equal.
pub fn envelope(push: Push, sequence: u64) -> Envelope<UploadInput> {
    let commit = push.after.clone().unwrap();
    let sha256 = commit.as_str()[..1].repeat(64);
    let staged = |name: &str| StagedObject {
        key: format!("pushes/{}/{name}", push.push_id).parse().unwrap(),
        size: 7,
        version_id: Some("s1".to_owned()),
        sha256: Some(sha256.clone()),
    };
    let input = UploadInput {
        deliver: Deliver {
            destination: destination(),
            sequence,
            ..samples::deliver()
        },
        fetched: FetchedCommit {
            commit: commit.clone().into_commit(),
            ref_now: Some(commit),
            pack: staged("commit.pack"),
            index: staged("commit.idx"),
            ..samples::fetched()
        },
        archive: Archive {
            object: staged("archive.zip"),
            sha256,
            ..samples::archive()
        },
    };
    Envelope {
        execution: execution(EXECUTION),
        ..samples::envelope(push, input)
    }
}

/// Returns what the metadata and the record say of an envelope's push.
pub fn delivered_push(envelope: &Envelope<UploadInput>) -> DeliveredPush {
    let input = &envelope.input;
    DeliveredPush {
        committed_at: Some(input.fetched.committed_at),
        ..DeliveredPush::new(
            &envelope.push,
            input.deliver.sequence,
            input.fetched.ref_now.clone(),
            input.archive.sha256.clone(),
        )
    }
}
