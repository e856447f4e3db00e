//! The trail of a push, and a staging area whose removal can fail.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use audit::MemoryTrail;
use aws::failure::Failed;
use aws::staging::{Piece, StorageError};
use chrono::DateTime;
use domain::contract::{
    Archive, Author, Deliver, Delivered, Execution, FetchedCommit, IgnoreReason, Ignored, Stage,
    StagedObject, Superseded,
};
use domain::destination::{Destination, ObjectKey};
use domain::event::{PushEvent, PushReceived, PushRetried};
use domain::git::ObjectId;
use domain::push::{Push, PushId};
use domain::source::Options;
use tokio::sync::mpsc;

use super::*;

/// What the removal of staged objects does.
#[derive(Debug, Clone, Copy, Default)]
pub enum Removal {
    #[default]
    Ends,
    Fails,
    NeverEnds,
}

/// A staging area that only supports the removal.
#[derive(Debug, Default)]
pub struct MemoryStaging {
    removal: Mutex<Removal>,
    removed: Mutex<Vec<PushId>>,
}

impl MemoryStaging {
    pub fn set(&self, removal: Removal) {
        *self.removal.lock().unwrap() = removal;
    }

    /// Returns the pushes whose objects were to be removed.
    pub fn removed(&self) -> Vec<PushId> {
        self.removed.lock().unwrap().clone()
    }
}

impl Staging for MemoryStaging {
    async fn store(&self, key: &ObjectKey, _: mpsc::Receiver<Piece>) -> Result<StagedObject, StorageError> {
        panic!("{key} was stored")
    }

    async fn load(&self, object: &StagedObject, _: &Path) -> Result<(), StorageError> {
        panic!("{object:?} was loaded")
    }

    async fn remove_all(&self, push_id: &PushId) -> Result<(), StorageError> {
        self.removed.lock().unwrap().push(*push_id);
        let removal = *self.removal.lock().unwrap();
        match removal {
            Removal::Ends => Ok(()),
            Removal::Fails => Err(StorageError::Missing {
                key: "pushes".to_owned(),
            }),
            Removal::NeverEnds => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
pub struct Scene {
    pub trail: MemoryTrail,
    pub staging: MemoryStaging,
    pub push: Push,
}

impl Default for Scene {
    /// A push without a trail.
    fn default() -> Self {
        Self {
            trail: MemoryTrail::default(),
            staging: MemoryStaging::default(),
            push: push(),
        }
    }
}

impl Scene {
    /// A push whose trail the execution `e1` has begun.
    pub async fn received() -> Self {
        let scene = Self::default();
        let received = PushReceived {
            push: scene.push.clone(),
            execution: execution("e1"),
        };
        scene.append_all([PushEvent::PushReceived(received)]).await;
        scene
    }

    pub async fn append_all(&self, events: impl IntoIterator<Item = PushEvent>) {
        for event in events {
            let appended = self.trail.append(self.push.push_id, |_| Some(event.clone()));
            assert!(appended.await.unwrap().1);
        }
    }

    pub fn events(&self) -> Vec<PushEvent> {
        let events = self.trail.events_of(self.push.push_id);
        events.into_iter().map(|recorded| recorded.event).collect()
    }

    pub fn last_event(&self) -> PushEvent {
        self.events().pop().unwrap()
    }

    pub async fn state(&self) -> PushState {
        self.trail.load(self.push.push_id).await.unwrap().unwrap()
    }

    pub fn envelope(&self, execution_id: &str, failure: Option<Failure>) -> Envelope<RecordInput> {
        Envelope {
            push: self.push.clone(),
            execution: execution(execution_id),
            attempt: 0,
            input: RecordInput { failure },
        }
    }

    pub async fn record(&self, execution_id: &str, failure: Option<Failure>) -> Result<Closed, Error> {
        handle(&self.trail, &self.staging, &self.envelope(execution_id, failure)).await
    }

    /// Runs the stage as the function does.
    pub async fn execute(&self, envelope: &Envelope<RecordInput>) -> Result<Closed, Failed> {
        let time_limit = Duration::from_secs(60);
        workflow::execute(
            Stage::Record,
            &self.trail,
            envelope,
            time_limit,
            async |envelope| handle(&self.trail, &self.staging, envelope).await,
        )
        .await
    }
}

pub fn push() -> Push {
    let source = "gitlab".parse().unwrap();
    let delivery_id = "d1".parse().unwrap();
    let ref_name = "refs/tags/v1".parse().unwrap();
    Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: "group/project".parse().unwrap(),
        clone_urls: vec![],
        ref_name,
        before: None,
        after: Some(object_id('a')),
        pusher: None,
    }
}

pub fn execution(id: &str) -> Execution {
    Execution {
        id: id.to_owned(),
        started_at: DateTime::UNIX_EPOCH,
    }
}

pub fn failure(stage: &str, error: &str) -> Failure {
    Failure {
        stage: stage.to_owned(),
        error: error.to_owned(),
        cause: "It was to be.".to_owned(),
    }
}

pub fn retried(execution_id: &str) -> PushEvent {
    PushEvent::PushRetried(PushRetried {
        execution: execution(execution_id),
    })
}

pub fn validated() -> PushEvent {
    PushEvent::PushValidated(Deliver {
        clone_url: fetched().url.parse().unwrap(),
        destination: Destination {
            bucket: delivered().bucket,
            key: delivered().key,
        },
        sequence: 7,
        git_hosts: vec![],
        submodule_repositories: vec![],
        options: Options::default(),
    })
}

/// Returns the events of a push until its zip is at its destination.
pub fn uploaded() -> Vec<PushEvent> {
    vec![
        validated(),
        PushEvent::CommitFetched(fetched()),
        PushEvent::ArchivePackaged(archive()),
        PushEvent::ArchiveUploaded(delivered()),
    ]
}

pub fn fetched() -> FetchedCommit {
    FetchedCommit {
        commit: object_id('a').into_commit(),
        tree: object_id('e'),
        author: Author {
            name: "Jo".to_owned(),
            email: "jo@example.com".to_owned(),
        },
        committed_at: DateTime::UNIX_EPOCH,
        subject: "Say hello".to_owned(),
        url: "https://git.example.com/group/project.git".to_owned(),
        ref_now: Some(object_id('a')),
        pack: staged("commit.pack"),
        index: staged("commit.idx"),
        submodules: vec![],
        lfs: None,
        signature: None,
    }
}

pub fn archive() -> Archive {
    Archive {
        object: staged("archive.zip"),
        sha256: "c".repeat(64),
        entries: 1,
        warnings: vec![],
    }
}

pub fn delivered() -> Delivered {
    Delivered {
        bucket: "zips".to_owned(),
        key: "gitlab/group/project/tags/v1.zip".parse().unwrap(),
        version_id: Some("v1".to_owned()),
        etag: "\"etag-1\"".to_owned(),
        provenance: None,
    }
}

pub fn ignored() -> Ignored {
    Ignored {
        reason: IgnoreReason::RefNotWanted,
        detail: "the ref refs/tags/v1 matches none of []".to_owned(),
        duplicate_of: None,
    }
}

pub fn superseded() -> Superseded {
    Superseded {
        by: push().push_id,
        because: "push x is number 8 of refs/tags/v1, this one is number 7".to_owned(),
    }
}

fn staged(name: &str) -> StagedObject {
    StagedObject {
        key: format!("pushes/1/{name}").parse().unwrap(),
        size: 7,
        version_id: None,
        sha256: None,
    }
}

fn object_id(letter: char) -> ObjectId {
    letter.to_string().repeat(40).parse().unwrap()
}
