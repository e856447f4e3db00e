//! A trail, pushes of one ref, and their executions by given settings.

use std::time::Duration;

use audit::{LastPush, MemoryTrail, RefKey};
use aws::failure::Failed;
use domain::contract::{Author, Execution, Failure, FetchedCommit, Stage, StagedObject};
use domain::event::{PushEvent, PushFailed};
use domain::git::ObjectId;
use domain::push::{Push, PushId};
use domain::state::PushState;

use super::*;

/// Settings that want the pushes.
pub const SETTINGS: &str = r#"{
    "provider":"gitlab",
    "repositories":["group/*"],
    "submodule_repositories":["third/party"],
    "refs":["refs/tags/*"],
    "git_hosts":["https://git.example.com"],
    "destination":{"bucket":"zips"},
    "options":{"build_info":false}
}"#;

/// Returns the settings with `from` replaced by `to`.
pub fn changed(from: &str, to: &str) -> String {
    assert!(SETTINGS.contains(from), "{from}");
    SETTINGS.replace(from, to)
}

#[derive(Debug, Default)]
pub struct Scene {
    trail: MemoryTrail,
}

impl Scene {
    pub async fn handle(&self, push: &Push, settings: &str) -> Result<Validated, Error> {
        handle(&self.trail, &envelope("e1", push, settings)).await
    }

    /// Runs the stage as the function does.
    pub async fn validate(&self, execution: &str, push: &Push, settings: &str) -> Result<Validated, Failed> {
        let envelope = envelope(execution, push, settings);
        let time_limit = Duration::from_secs(60);
        workflow::execute(
            Stage::Validate,
            &self.trail,
            &envelope,
            time_limit,
            async |envelope| handle(&self.trail, envelope).await,
        )
        .await
    }

    /// Validates a push that must be wanted.
    pub async fn deliver(&self, execution: &str, push: &Push, settings: &str) -> Deliver {
        match self.validate(execution, push, settings).await.unwrap() {
            Validated::Deliver(deliver) => deliver,
            Validated::Ignore(ignored) => panic!("{ignored:?}"),
        }
    }

    /// Records that an execution of the push has failed.
    pub async fn fail(&self, execution: &str, push: &Push) {
        let failed = PushFailed {
            execution_id: execution.to_owned(),
            failure: Failure {
                stage: "Fetch".to_owned(),
                error: "LimitExceeded".to_owned(),
                cause: "It was to be.".to_owned(),
            },
        };
        self.append(push, PushEvent::PushFailed(failed)).await;
    }

    pub async fn append(&self, push: &Push, event: PushEvent) {
        let appended = self.trail.append(push.push_id, |_| Some(event.clone()));
        assert!(appended.await.unwrap().1);
    }

    pub async fn state(&self, push: &Push) -> PushState {
        self.trail.load(push.push_id).await.unwrap().unwrap()
    }

    /// Returns the last push of the ref that has a number.
    pub async fn last_push(&self) -> Option<LastPush> {
        self.trail.last_push(&RefKey::of(&push("d1"))).await.unwrap()
    }

    pub async fn last_number(&self) -> Option<u64> {
        self.last_push().await.map(|last| last.sequence)
    }
}

fn envelope(execution: &str, push: &Push, settings: &str) -> Envelope<ValidateInput> {
    Envelope {
        push: push.clone(),
        execution: Execution {
            id: execution.to_owned(),
            started_at: "2026-01-03T21:36:30Z".parse().unwrap(),
        },
        attempt: 0,
        input: ValidateInput {
            settings: settings.to_owned(),
        },
    }
}

/// Returns a push of a tag.
pub fn push(delivery: &str) -> Push {
    let source = "gitlab".parse().unwrap();
    let delivery_id = delivery.parse().unwrap();
    let ref_name = "refs/tags/v1".parse().unwrap();
    Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: "group/project".parse().unwrap(),
        clone_urls: vec!["https://git.example.com/group/project.git".to_owned()],
        ref_name,
        before: None,
        after: Some(object_id('a')),
        pusher: None,
    }
}

/// Returns a push that deletes the tag.
pub fn deletion(delivery: &str) -> Push {
    Push {
        before: Some(object_id('a')),
        after: None,
        ..push(delivery)
    }
}

pub fn fetched() -> FetchedCommit {
    let staged = |name: &str| StagedObject {
        key: format!("pushes/1/{name}").parse().unwrap(),
        size: 7,
        version_id: None,
        sha256: None,
    };
    FetchedCommit {
        commit: object_id('a').into_commit(),
        tree: object_id('e'),
        author: Author {
            name: "Jo".to_owned(),
            email: "jo@example.com".to_owned(),
        },
        committed_at: "2026-01-03T21:36:30Z".parse().unwrap(),
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

fn object_id(letter: char) -> ObjectId {
    letter.to_string().repeat(40).parse().unwrap()
}
