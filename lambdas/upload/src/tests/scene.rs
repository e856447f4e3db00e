//! A trail and a destination in memory, and pushes whose zips are to be delivered.

use audit::MemoryTrail;
use chrono::DateTime;
use domain::contract::{Archive, Author, Deliver, Execution, FetchedCommit, StagedObject};
use domain::event::{PushEvent, PushReceived, PushRetried};
use domain::git::ObjectId;
use domain::push::{Push, PushId};

use super::store::MemoryStore;
use super::*;

/// The execution of the envelopes.
pub const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:stack-push:8751";

#[derive(Debug, Default)]
pub struct Scene {
    pub trail: MemoryTrail,
    pub store: MemoryStore,
}

impl Scene {
    pub async fn upload(&self, envelope: &Envelope<UploadInput>) -> Result<Uploaded, Error> {
        let deps = Deps {
            trail: &self.trail,
            store: &self.store,
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
    pub fn placed(&self) -> Option<DeliveredPush> {
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
        let received = PushReceived {
            push: push.clone(),
            execution: execution(EXECUTION),
        };
        self.append(push.push_id, PushEvent::PushReceived(received)).await;
    }

    /// Lets another execution take the push over.
    pub async fn replace(&self, push_id: PushId) {
        let execution = execution("another-execution");
        self.append(push_id, PushEvent::PushRetried(PushRetried { execution }))
            .await;
    }

    pub async fn append(&self, push_id: PushId, event: PushEvent) {
        let (_, written) = self.trail.append(push_id, |_| Some(event.clone())).await.unwrap();
        assert!(written);
    }
}

pub fn destination() -> Destination {
    Destination {
        bucket: "zips".to_owned(),
        key: "gitlab/group/project/tags/v1.zip".parse().unwrap(),
    }
}

/// Returns the destination of the provenance document of a push's zip.
pub fn document_of(push: &Push) -> Destination {
    Destination {
        bucket: "zips".to_owned(),
        key: format!(
            "gitlab/group/project/tags/v1.zip.provenance/{}.json",
            push.push_id
        )
        .parse()
        .unwrap(),
    }
}

pub fn execution(id: &str) -> Execution {
    Execution {
        id: id.to_owned(),
        started_at: DateTime::UNIX_EPOCH,
    }
}

pub fn object_id(letter: char) -> ObjectId {
    letter.to_string().repeat(40).parse().unwrap()
}

/// Returns a push that moved the ref from `before` to `after`.
pub fn push(delivery: &str, before: Option<char>, after: Option<char>) -> Push {
    let source = "gitlab".parse().unwrap();
    let delivery_id = delivery.parse().unwrap();
    let ref_name = "refs/tags/v1".parse().unwrap();
    Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: "group/project".parse().unwrap(),
        clone_urls: vec![],
        ref_name,
        before: before.map(object_id),
        after: after.map(object_id),
        pusher: Some("jo".to_owned()),
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
    let fetched = FetchedCommit {
        commit: commit.clone().into_commit(),
        tree: object_id('e'),
        author: Author {
            name: "Jo".to_owned(),
            email: "jo@example.com".to_owned(),
        },
        committed_at: DateTime::UNIX_EPOCH,
        subject: "Say hello".to_owned(),
        url: "https://git.example.com/group/project.git".to_owned(),
        ref_now: Some(commit),
        pack: staged("commit.pack"),
        index: staged("commit.idx"),
        submodules: vec![],
        lfs: None,
        signature: None,
    };
    let archive = Archive {
        object: staged("archive.zip"),
        sha256,
        entries: 1,
        warnings: vec![],
    };
    Envelope {
        execution: execution(EXECUTION),
        attempt: 0,
        input: UploadInput {
            deliver: Deliver {
                clone_url: fetched.url.parse().unwrap(),
                destination: destination(),
                sequence,
                git_hosts: vec![],
                submodule_repositories: vec![],
                options: domain::source::Options::default(),
            },
            fetched,
            archive,
        },
        push,
    }
}

/// Returns what the metadata and the record say of an envelope's push.
pub fn delivered_push(envelope: &Envelope<UploadInput>) -> DeliveredPush {
    let input = &envelope.input;
    DeliveredPush::new(
        &envelope.push,
        input.deliver.sequence,
        input.fetched.ref_now.clone(),
        input.archive.sha256.clone(),
    )
}
