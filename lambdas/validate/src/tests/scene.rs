//! A trail, pushes of one ref, and their executions by given settings.

use std::time::Duration;

use audit::{EventStore, LastPush, MemoryTrail, RefKey};
use aws::failure::Failed;
use domain::contract::Stage;
use domain::event::PushEvent;
use domain::push::Push;
use domain::samples;
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
            other => panic!("{other:?}"),
        }
    }

    /// Records that an execution of the push has failed.
    pub async fn fail(&self, execution: &str, push: &Push) {
        self.append(push, samples::push_failed(execution)).await;
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
    let input = ValidateInput {
        settings: settings.to_owned(),
    };
    Envelope {
        execution: samples::execution(execution),
        ..samples::envelope(push.clone(), input)
    }
}

/// Returns a push of a tag.
pub fn push(delivery: &str) -> Push {
    samples::push(delivery, "refs/tags/v1")
}

/// Returns a push that deletes the tag.
pub fn deletion(delivery: &str) -> Push {
    Push {
        before: Some(samples::object_id('a')),
        after: None,
        ..push(delivery)
    }
}
