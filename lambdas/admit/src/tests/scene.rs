//! Trails in memory, tasks that wait in memory, and deployments of delivered pushes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use audit::{DeploymentTrail as _, EventStore, MemoryTrail};
use aws::AwsFailure;
use aws::failure::Failed;
use delivery::contract::{AdmitInput, Admitted, Envelope, QueueInput, Queued, Request, Stage};
use delivery::deployment::{Cause, Deployment, DeploymentId};
use delivery::event::DeploymentEvent;
use delivery::slot::{Release, Slot, SlotKey};
use delivery::state::DeploymentState;
use domain::contract::{Deliver, Delivered, Stage as PushStage};
use domain::event::PushEvent;
use domain::push::{Push, PushId};
use domain::samples;
use serde_json::{Value, json};
use tasks::{Executions, Tasks, TasksError};

use crate::{Deps, handle};

pub const SETTINGS: &str = r#"{
    "application": "app",
    "environment": "dev",
    "source": "gitlab",
    "repository": "group/project",
    "ref": "refs/heads/main",
    "directory": "",
    "stack": "app",
    "functions": {"Ask": {}}
}"#;

pub const STATE_MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:app-deploy";

/// What a task was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Output(Value),
    Failure(String),
}

/// Tasks that wait. The token of a task is the name of its execution, `/` and a number.
#[derive(Debug, Default)]
pub struct MemoryTasks {
    pub answers: Mutex<BTreeMap<String, Answer>>,
    /// The executions that have ended.
    pub ended: Mutex<BTreeSet<String>>,
    /// How many calls are to fail.
    pub failures: Mutex<u32>,
    /// The inputs of the executions that were started, by their names.
    pub started: Mutex<BTreeMap<String, Value>>,
}

impl MemoryTasks {
    pub fn answer_to(&self, token: &str) -> Option<Answer> {
        self.answers.lock().unwrap().get(token).cloned()
    }

    pub fn end(&self, execution: &str) {
        self.ended.lock().unwrap().insert(execution.to_owned());
    }

    fn call(&self) -> Result<(), TasksError> {
        let mut failures = self.failures.lock().unwrap();
        if *failures == 0 {
            return Ok(());
        }
        *failures -= 1;
        Err(AwsFailure::interrupted("states:Simulated", &io::Error::other("reset")).into())
    }

    fn put(&self, token: &str, answer: Answer) -> Result<bool, TasksError> {
        self.call()?;
        let execution = token.split('/').next().unwrap();
        let mut answers = self.answers.lock().unwrap();
        if answers.contains_key(token) || self.ended.lock().unwrap().contains(execution) {
            return Ok(false);
        }
        answers.insert(token.to_owned(), answer);
        Ok(true)
    }
}

impl Tasks for MemoryTasks {
    async fn succeed(&self, token: &str, output: &str) -> Result<bool, TasksError> {
        self.put(token, Answer::Output(serde_json::from_str(output).unwrap()))
    }

    async fn fail(&self, token: &str, failed: &Failed) -> Result<bool, TasksError> {
        self.put(token, Answer::Failure(failed.code.to_string()))
    }

    async fn is_running(&self, execution_id: &str) -> Result<bool, TasksError> {
        self.call()?;
        Ok(!self.ended.lock().unwrap().contains(execution_id))
    }
}

impl Executions for MemoryTasks {
    async fn start(&self, state_machine_arn: &str, name: &str, input: &str) -> Result<(), TasksError> {
        self.call()?;
        assert_eq!(state_machine_arn, STATE_MACHINE);
        let input = serde_json::from_str(input).unwrap();
        self.started
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_insert(input);
        Ok(())
    }
}

pub fn deployment_of(push_id: PushId) -> Deployment {
    Deployment {
        environment: "dev".parse().unwrap(),
        application: "app".parse().unwrap(),
        cause: Cause::Push { push_id },
    }
}

pub fn push(delivery: &str) -> Push {
    samples::push(delivery, "refs/heads/main")
}

pub fn deployment(delivery: &str) -> Deployment {
    deployment_of(push(delivery).push_id)
}

pub fn key() -> SlotKey {
    SlotKey::of(&deployment("d1"))
}

#[derive(Debug, Default)]
pub struct Scene {
    pub pushes: MemoryTrail<Push>,
    pub deployments: MemoryTrail<Deployment>,
    pub tasks: MemoryTasks,
}

impl Scene {
    pub async fn call(&self, payload: Value) -> Result<Value, Failed> {
        let deps = Deps {
            pushes: &self.pushes,
            deployments: &self.deployments,
            tasks: &self.tasks,
            environment: "dev".parse().unwrap(),
            application: "app".parse().unwrap(),
            state_machine_arn: STATE_MACHINE.to_owned(),
            alarm_rollback_minutes: 30,
        };
        handle(&deps, payload, Duration::from_secs(20)).await
    }

    /// Delivers a push with this number. Its zip has this version.
    pub async fn deliver(&self, push: &Push, sequence: u64, version_id: Option<&str>) {
        let delivered = self.upload(push, sequence, version_id).await;
        self.append_of_push(push, PushEvent::PushDelivered(delivered))
            .await;
    }

    /// Uploads the zip of a push, which is not closed.
    pub async fn upload(&self, push: &Push, sequence: u64, version_id: Option<&str>) -> Delivered {
        let delivered = Delivered {
            version_id: version_id.map(str::to_owned),
            ..samples::delivered()
        };
        let deliver = Deliver {
            sequence,
            ..samples::deliver()
        };
        let events = [
            samples::received(push, "p1"),
            samples::attempt_failed(PushStage::Fetch, "p1"),
            PushEvent::PushValidated(deliver),
            PushEvent::CommitFetched(samples::fetched()),
            PushEvent::ArchivePackaged(samples::archive()),
            PushEvent::ArchiveUploaded(delivered.clone()),
        ];
        for event in events {
            self.append_of_push(push, event).await;
        }
        delivered
    }

    async fn append_of_push(&self, push: &Push, event: PushEvent) {
        let appended = self.pushes.append(push.push_id, |_| Some(event.clone()));
        assert!(appended.await.unwrap().1);
    }

    pub async fn admit(&self, deployment: &Deployment, execution: &str) -> Result<Admitted, Failed> {
        self.admit_by(deployment, execution, SETTINGS).await
    }

    pub async fn admit_by(
        &self,
        deployment: &Deployment,
        execution: &str,
        settings: &str,
    ) -> Result<Admitted, Failed> {
        let input = AdmitInput {
            settings: settings.to_owned(),
        };
        let payload = envelope(Stage::Admit, deployment, execution, input);
        let output = self.call(payload).await?;
        Ok(serde_json::from_value(output).unwrap())
    }

    /// Delivers a push with this number, and admits its deployment.
    pub async fn request(&self, delivery: &str, sequence: u64, execution: &str) -> Request {
        self.deliver(&push(delivery), sequence, Some("v1")).await;
        match self.admit(&deployment(delivery), execution).await.unwrap() {
            Admitted::Deploy(request) => request,
            Admitted::Ignore(ignored) => panic!("{ignored:?}"),
        }
    }

    /// Runs `Queue` with this token. Returns what the task was answered, if it was.
    pub async fn queue(&self, delivery: &str, token: &str) -> Option<Answer> {
        let payload = self.queue_payload(delivery, token).await;
        assert_eq!(self.call(payload).await.unwrap(), json!({}));
        self.tasks.answer_to(token)
    }

    pub async fn queue_payload(&self, delivery: &str, token: &str) -> Value {
        let input = QueueInput {
            request: self.state(delivery).await.request.unwrap(),
            task_token: token.to_owned(),
        };
        let execution = token.split('/').next().unwrap();
        envelope(Stage::Queue, &deployment(delivery), execution, input)
    }

    pub async fn release(&self, delivery: &str, execution: &str) -> Result<Value, Failed> {
        let payload = envelope(Stage::Release, &deployment(delivery), execution, json!({}));
        self.call(payload).await
    }

    /// Returns the state of the deployment of a delivery.
    pub async fn state(&self, delivery: &str) -> DeploymentState {
        self.load(deployment(delivery).id()).await
    }

    pub async fn load(&self, id: DeploymentId) -> DeploymentState {
        self.deployments.load(id).await.unwrap().unwrap()
    }

    /// Keeps the release of a deployment, which has the time of its last event.
    pub async fn keep_release(&self, id: DeploymentId, rollback_to: Option<DeploymentId>) -> Release {
        let state = self.load(id).await;
        let push = state.request.unwrap().push;
        let release = Release {
            deployment_id: id,
            released_at: state.updated_at,
            push_id: push.push_id,
            commit: push.commit,
            subject: push.subject,
            rollback_to,
        };
        self.deployments.put_release(&key(), &release).await.unwrap();
        release
    }

    /// Returns the executions that were started: their names and inputs.
    pub fn started(&self) -> Vec<(String, Cause)> {
        let started = self.tasks.started.lock().unwrap();
        started
            .iter()
            .map(|(name, input)| (name.clone(), serde_json::from_value(input.clone()).unwrap()))
            .collect()
    }

    pub async fn append(&self, delivery: &str, event: DeploymentEvent) {
        let id = deployment(delivery).id();
        let appended = self.deployments.append(id, |_| Some(event.clone()));
        assert!(appended.await.unwrap().1);
    }

    pub fn names(&self, delivery: &str) -> Vec<&'static str> {
        let events = self.deployments.events_of(deployment(delivery).id());
        events.iter().map(|recorded| recorded.event.name()).collect()
    }

    pub async fn slot(&self) -> Slot {
        self.deployments.slot(&key()).await.unwrap()
    }
}

/// Returns what a rollback that nobody has asked for goes back to, what it takes back, and what has happened.
pub fn taken_back(cause: &Cause) -> (DeploymentId, DeploymentId, &str) {
    match cause {
        Cause::Rollback {
            rollback_to,
            by,
            takes_back: Some(taken_back),
            ..
        } => (*rollback_to, *taken_back, by),
        other => panic!("{other:?}"),
    }
}

/// Returns the payload of a state.
pub fn envelope(
    stage: Stage,
    deployment: &Deployment,
    execution: &str,
    input: impl serde::Serialize,
) -> Value {
    serde_json::to_value(Envelope {
        stage,
        deployment: deployment.clone(),
        execution: samples::execution(execution),
        attempt: 0,
        input,
    })
    .unwrap()
}

pub fn go() -> Option<Answer> {
    Some(Answer::Output(json!({ "decision": "Go" })))
}

/// Asserts that a task was answered that this deployment is newer.
pub fn assert_superseded(answer: Option<Answer>, by: &str) {
    let Some(Answer::Output(output)) = answer else {
        panic!("{answer:?}")
    };
    let Queued::Superseded(superseded) = serde_json::from_value(output).unwrap() else {
        panic!("the environment was given")
    };
    assert_eq!(superseded.by, deployment(by).id());
}
