//! The trail of a push, and a staging area whose removal can fail.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use audit::MemoryTrail;
use aws::AwsFailure;
use aws::failure::Failed;
use aws::staging::{Piece, StorageError};
use aws_sdk_sfn::types::HistoryEvent;
use domain::contract::{Deliver, Stage, StagedObject};
use domain::destination::ObjectKey;
use domain::event::PushEvent;
use domain::push::Push;
use domain::samples;
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
    removed: Mutex<Vec<String>>,
}

impl MemoryStaging {
    pub fn set(&self, removal: Removal) {
        *self.removal.lock().unwrap() = removal;
    }

    /// Returns the objects, and the folders of objects, that were to be removed.
    pub fn removed(&self) -> Vec<String> {
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

    async fn remove(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.removed.lock().unwrap().push(key.to_string());
        Ok(())
    }

    async fn remove_all(&self, prefix: &ObjectKey) -> Result<(), StorageError> {
        self.removed.lock().unwrap().push(prefix.to_string());
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

/// The history of any execution, or `None` if it cannot be read.
#[derive(Debug, Default)]
pub struct MemoryHistories(Mutex<Option<Vec<HistoryEvent>>>);

impl MemoryHistories {
    pub fn set(&self, history: Vec<HistoryEvent>) {
        *self.0.lock().unwrap() = Some(history);
    }
}

impl Histories for MemoryHistories {
    async fn read(&self, _: &str) -> Result<Vec<HistoryEvent>, AwsFailure> {
        let history = self.0.lock().unwrap().clone();
        history.ok_or_else(|| AwsFailure::of_item("states", Some("ThrottlingException"), None))
    }
}

#[derive(Debug)]
pub struct Scene {
    pub trail: MemoryTrail,
    pub staging: MemoryStaging,
    pub histories: MemoryHistories,
    pub push: Push,
}

impl Default for Scene {
    /// A push without a trail.
    fn default() -> Self {
        Self {
            trail: MemoryTrail::default(),
            staging: MemoryStaging::default(),
            histories: MemoryHistories::default(),
            push: push(),
        }
    }
}

impl Scene {
    /// A push whose trail the execution `e1` has begun.
    pub async fn received() -> Self {
        let scene = Self::default();
        let received = samples::received(&scene.push, "e1");
        scene.append_all([received]).await;
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
            execution: samples::execution(execution_id),
            ..samples::envelope(
                self.push.clone(),
                RecordInput {
                    failure,
                    failed_attempts: 0,
                },
            )
        }
    }

    pub async fn record(&self, execution_id: &str, failure: Option<Failure>) -> Result<Closed, Error> {
        self.handle(&self.envelope(execution_id, failure)).await
    }

    pub async fn handle(&self, envelope: &Envelope<RecordInput>) -> Result<Closed, Error> {
        handle(&self.trail, &self.staging, &self.histories, envelope).await
    }

    /// Runs the stage as the function does.
    pub async fn execute(&self, envelope: &Envelope<RecordInput>) -> Result<Closed, Failed> {
        let time_limit = Duration::from_secs(60);
        workflow::execute(
            Stage::Record,
            &self.trail,
            envelope,
            time_limit,
            async |envelope| self.handle(envelope).await,
        )
        .await
    }
}

pub fn push() -> Push {
    samples::push("d1", "refs/tags/v1")
}

pub fn validated() -> PushEvent {
    PushEvent::PushValidated(Deliver {
        sequence: 7,
        ..samples::deliver()
    })
}

/// Returns the events of a push until its zip is at its destination.
pub fn uploaded() -> Vec<PushEvent> {
    vec![
        validated(),
        PushEvent::CommitFetched(samples::fetched()),
        PushEvent::ArchivePackaged(samples::archive()),
        PushEvent::ArchiveUploaded(samples::delivered()),
    ]
}
