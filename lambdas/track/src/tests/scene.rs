//! A trail in memory, and a deployment on it.

use std::sync::Mutex;
use std::time::Duration;

use audit::{EventStore, MemoryTrail};
use aws::AwsFailure;
use aws::failure::Failed;
use delivery::contract::{Envelope, Stage};
use delivery::deployment::{Cause, Deployment};
use delivery::event::DeploymentEvent;
use delivery::slot::SlotKey;
use delivery::state::DeploymentState;
use domain::samples;
use serde::Serialize;
use serde_json::{Value, json};
use tasks::{Tasks, TasksError};

use crate::{Deps, handle};

/// Tasks that only keep the failures that they are answered.
#[derive(Debug, Default)]
pub struct MemoryTasks(pub Mutex<Vec<(String, String)>>);

impl Tasks for MemoryTasks {
    async fn succeed(&self, token: &str, _: &str) -> Result<bool, TasksError> {
        panic!("{token} is answered by a person")
    }

    async fn fail(&self, token: &str, failed: &Failed) -> Result<bool, TasksError> {
        let mut failures = self.0.lock().unwrap();
        failures.push((token.to_owned(), failed.code.to_string()));
        Ok(true)
    }

    async fn is_running(&self, _: &str) -> Result<bool, TasksError> {
        Err(AwsFailure::interrupted("states:Simulated", &std::io::Error::other("reset")).into())
    }
}

#[derive(Debug, Default)]
pub struct Scene {
    pub trail: MemoryTrail<Deployment>,
    pub tasks: MemoryTasks,
}

pub fn deployment() -> Deployment {
    Deployment {
        environment: "dev".parse().unwrap(),
        application: "app".parse().unwrap(),
        cause: Cause::Push {
            push_id: samples::push("d1", "refs/heads/main").push_id,
        },
    }
}

pub fn key() -> SlotKey {
    SlotKey::of(&deployment())
}

pub fn artifact() -> Value {
    let digest = "a".repeat(64);
    json!({
        "application": "app", "tree": "e".repeat(40), "commit": "a".repeat(40), "directory": "",
        "template": digest, "objects": [], "provenance": digest,
        "tests": {"passed": 1, "skipped": 0},
        "zip": {"bucket": "zips", "key": "k", "version_id": "v", "sha256": digest},
        "buildspec": digest, "build_id": "b:1",
        "built_by": deployment().id(), "built_at": "2023-11-14T22:13:20Z"
    })
}

fn request() -> Value {
    let push = samples::push("d1", "refs/heads/main");
    json!({
        "deployment_id": deployment().id(),
        "order": 7,
        "settings": {
            "application": "app", "environment": "dev", "source": "gitlab",
            "repository": "group/project", "ref": "refs/heads/main", "directory": "",
            "stack": "app", "functions": {"Ask": {}}
        },
        "push": {
            "push_id": push.push_id, "repository": "group/project", "ref": "refs/heads/main",
            "sequence": 7, "commit": "a".repeat(40), "tree": "e".repeat(40),
            "subject": "Change it", "author": "Jo", "pusher": null
        },
        "zip": {"bucket": "zips", "key": "k", "version_id": "v", "sha256": "a".repeat(64)},
        "rollback": null
    })
}

/// Returns the events of the execution `e1` until its plan is known.
pub fn planned() -> Vec<Value> {
    let execution = samples::execution("e1");
    vec![
        json!({"type": "DeploymentRequested", "data": {"deployment": deployment(), "execution": execution}}),
        json!({"type": "DeploymentAccepted", "data": request()}),
        json!({"type": "DeploymentAdmitted"}),
        json!({"type": "ArtifactReused", "data": {"artifact": artifact(), "from": "own"}}),
        json!({
            "type": "ChangesPlanned",
            "data": {"complete": true, "changes": [], "drift": [], "risks": [], "canary": true}
        }),
    ]
}

/// Returns the events until the stack is as the template says.
pub fn applied() -> Vec<Value> {
    let mut events = planned();
    events.push(json!({
        "type": "ChangesApplied",
        "data": {"complete": true, "status": "UPDATE_COMPLETE", "functions": [], "outputs": {}}
    }));
    events
}

pub fn shifted(percent: u8) -> Value {
    json!({"type": "TrafficShifted", "data": {"percent": percent, "functions": []}})
}

pub fn promoted() -> Value {
    json!({"type": "TrafficPromoted", "data": {"percent": 100, "functions": []}})
}

pub fn failure() -> Value {
    json!({"stage": "Build", "error": "TestsFailed", "cause": "one test", "clean": true})
}

impl Scene {
    pub async fn after(events: Vec<Value>) -> Self {
        let scene = Self::default();
        for event in events {
            scene.append(event).await;
        }
        scene
    }

    pub async fn append(&self, event: Value) {
        let event: DeploymentEvent = serde_json::from_value(event).unwrap();
        let appended = self.trail.append(deployment().id(), |_| Some(event.clone()));
        assert!(appended.await.unwrap().1);
    }

    pub async fn call(&self, stage: Stage, execution: &str, input: impl Serialize) -> Result<Value, Failed> {
        let envelope = Envelope {
            stage,
            deployment: deployment(),
            execution: samples::execution(execution),
            attempt: 0,
            input,
        };
        self.call_with(serde_json::to_value(envelope).unwrap()).await
    }

    pub async fn call_with(&self, payload: Value) -> Result<Value, Failed> {
        let deps = Deps {
            deployments: &self.trail,
            tasks: &self.tasks,
        };
        handle(&deps, payload, Duration::from_secs(60)).await
    }

    pub async fn state(&self) -> DeploymentState {
        self.trail.load(deployment().id()).await.unwrap().unwrap()
    }

    pub fn names(&self) -> Vec<&'static str> {
        let events = self.trail.events_of(deployment().id());
        events.iter().map(|recorded| recorded.event.name()).collect()
    }
}
