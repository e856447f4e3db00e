//! Runs one execution of the state machine: its states one after another, with the definition's own rules for failures.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::closed::Closed;
use domain::contract::{
    Archive, Envelope, ExpireInput, Failure, FetchInput, FetchedCommit, FetchedInput, FindRefInput, FoundRef,
    RecordInput, UploadInput, ValidateInput, Validated,
};
use domain::execution::Execution;
use domain::push::{Push, PushId};
use domain::state::Status as PushStatus;

use crate::core::Trouble;
use crate::functions::{Error, Invocation, short};
use crate::machine::{self, Status};
use crate::place::Place;
use crate::scheduler::{Label, TaskId, lock};
use crate::weather::{Fault, Port};
use crate::world::Simulation;

/// Begins an execution that was started, or goes on with one that was redriven.
pub fn begin(simulation: &Simulation, execution: &machine::Execution) -> TaskId {
    let label = Label {
        name: short(&execution.arn),
        execution: Some(execution.arn.clone()),
        slowness: 0,
    };
    let (simulation, execution) = (simulation.clone(), execution.clone());
    simulation.tasks.clone().begin(label, async move {
        let ended = match serde_json::from_str(&execution.input) {
            Ok(push) => Run::new(&simulation, &execution, push).go().await,
            Err(_) => Status::Failed("States.Runtime".to_owned()),
        };
        simulation.world.core.say(|| format!("END {ended:?}"));
        simulation
            .world
            .machine
            .change(&execution.arn, |execution| execution.status = ended);
    })
}

/// A run of an execution, from its start or from a redrive to its end.
struct Run<'a> {
    simulation: &'a Simulation,
    push: Push,
    arn: String,
    execution: Execution,
    redrive_count: u64,
    at: Place,
}

/// Where an error leads.
struct Caught {
    next: String,
    failure: Failure,
}

/// Returns the time in a history, which begins at the start of 1970.
pub fn time_of(now: Duration) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(now.as_millis().try_into().unwrap_or(i64::MAX))
}

impl<'a> Run<'a> {
    fn new(simulation: &'a Simulation, execution: &machine::Execution, push: Push) -> Self {
        Self {
            simulation,
            push,
            arn: execution.arn.clone(),
            execution: Execution {
                id: Execution::redriven(execution.arn.clone(), execution.redrive_count),
                started_at: time_of(execution.begun),
            },
            redrive_count: execution.redrive_count,
            at: execution.at.clone(),
        }
    }

    async fn go(mut self) -> Status {
        loop {
            let at = self.at.clone();
            let machine = &self.simulation.world.machine;
            machine.change(&self.arn, |execution| execution.at = at);
            let state = self.at.state.clone();
            self.at.state = match self.step(&state).await {
                Ok(Next::State(next)) => next.to_owned(),
                Ok(Next::End(status)) => return status,
                Err(caught) => {
                    if caught.next == "NormalizeFailure" || caught.next == "FetchAgain" {
                        self.at.failure = caught.failure;
                    }
                    caught.next
                }
            };
        }
    }

    /// Returns the id of the redrive that has begun, which is an earlier one until the execution is led back.
    fn begun(&self) -> String {
        Execution::redriven(self.arn.clone(), self.at.redrive_count)
    }

    /// Returns whether the execution was redriven since it began.
    fn is_redriven(&self) -> bool {
        self.redrive_count > self.at.redrive_count
    }

    /// Runs one state.
    async fn step(&mut self, state: &str) -> Result<Next, Caught> {
        let next = match state {
            "Begin" => {
                self.at.redrive_count = self.redrive_count;
                self.at.was_fetched_again = false;
                "ReadSource"
            }
            "ReadSource" => {
                self.at.settings = self.task(state, async |_| self.read_source().await).await?;
                "Validate"
            }
            "Validate" => {
                let validated = self.validate(state).await?;
                match validated {
                    Validated::Deliver(deliver) => {
                        self.at.deliver = Some(deliver);
                        "Fetch"
                    }
                    Validated::Expire(expire) => {
                        self.at.expire = Some(expire);
                        "FindRef"
                    }
                    Validated::Ignore(_) => "Record",
                }
            }
            "Fetch" => {
                self.at.fetched = Some(self.fetch(state).await?);
                "IsChanged"
            }
            "IsChanged" => match &self.at.fetched {
                Some(fetched) if fetched.unchanged_since.is_some() => "Keep",
                _ => "Package",
            },
            "FindRef" => {
                self.at.found = Some(self.find_ref(state).await?);
                "Expire"
            }
            "Expire" => {
                self.expire(state).await?;
                "Record"
            }
            "Keep" => {
                self.keep(state).await?;
                "Record"
            }
            "Package" => {
                self.at.archive = Some(self.package(state).await?);
                "Upload"
            }
            "Upload" => {
                self.upload(state).await?;
                "Record"
            }
            "FetchAgain" if self.at.was_fetched_again => "NormalizeFailure",
            "FetchAgain" => {
                self.at.was_fetched_again = true;
                "Fetch"
            }
            "Record" => {
                self.at.closed = Some(self.record(state, None).await?);
                "Publish"
            }
            "Publish" => {
                let status = self
                    .at
                    .closed
                    .as_ref()
                    .map_or(PushStatus::Failed, |closed| closed.status);
                self.task(state, async |_| self.publish(status).await).await?;
                "Close"
            }
            "PublishLater" => {
                let status = self
                    .at
                    .closed
                    .as_ref()
                    .map_or(PushStatus::Failed, |closed| closed.status);
                self.task(state, async |_| self.publish_later(status).await)
                    .await?;
                "Close"
            }
            "Close" if self.is_redriven() => "Begin",
            "Close" => match self.at.closed.as_ref().map(|closed| closed.status) {
                Some(status) if status.is_complete() => {
                    return Ok(Next::End(Status::Succeeded(status.to_string())));
                }
                status => {
                    self.at.failure = Failure {
                        stage: state.to_owned(),
                        error: "AuditInvalid".to_owned(),
                        cause: format!("Record closed the push as {status:?}"),
                    };
                    "NormalizeFailure"
                }
            },
            "IsRedriven" if self.is_redriven() => "Begin",
            "IsRedriven" => "Replaced",
            "Replaced" => {
                return Ok(Next::End(Status::Succeeded("Replaced".to_owned())));
            }
            "NormalizeFailure" => "RecordFailure",
            "RecordFailure" => {
                let failure = self.at.failure.clone();
                self.record(state, Some(failure)).await?;
                "PublishFailure"
            }
            "PublishFailure" => {
                self.task(state, async |_| self.publish(PushStatus::Failed).await)
                    .await?;
                "Notify"
            }
            "PublishFailureLater" => {
                self.task(state, async |_| self.publish_later(PushStatus::Failed).await)
                    .await?;
                "Notify"
            }
            "Notify" => "Failed",
            "Failed" if self.is_redriven() => "Begin",
            _ => return Ok(Next::End(Status::Failed(self.at.failure.error.clone()))),
        };
        Ok(Next::State(next))
    }

    /// Runs a task with its retries, until it succeeds or the definition's rules lead to another state.
    async fn task<T>(&self, name: &str, work: impl AsyncFn(u32) -> Result<T, Error>) -> Result<T, Caught> {
        let core = &self.simulation.world.core;
        let state = self.simulation.world.machine.definition.state(name);
        let mut failures = vec![0; state.map_or(0, |state| state.retry.len())];
        let mut attempt = 0;
        loop {
            core.say(|| format!("{name}, attempt {attempt}"));
            let error = match work(attempt).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            core.say(|| format!("{name} has failed: {}", error.name));
            let index = state.and_then(|state| state.retrier(&error.name));
            if let (Some(state), Some(index)) = (state, index)
                && failures[index] < state.retry[index].max_attempts
            {
                let wait = state.retry[index].wait(&core.dice, failures[index]);
                failures[index] += 1;
                attempt += 1;
                tokio::time::sleep(wait).await;
                continue;
            }
            let next = state
                .and_then(|state| state.caught(&error.name))
                .unwrap_or("Uncaught");
            return Err(Caught {
                next: next.to_owned(),
                failure: Failure {
                    stage: name.to_owned(),
                    error: error.name,
                    cause: error.cause,
                },
            });
        }
    }

    /// Calls a function, and waits for it until the timeout of the state `name`.
    async fn lambda<O>(&self, name: &str, begin: impl FnOnce() -> Invocation<O>) -> Result<O, Error> {
        let world = &self.simulation.world;
        let core = &world.core;
        let what = || format!("calls {name}");
        let lost = |_: Trouble| Error::new("Lambda.SdkClientException");
        let fate = core
            .call(Port::Lambda, &[Fault::NoAnswer], what)
            .await
            .map_err(lost)?;
        core.answer(fate).await.map_err(lost)?;
        if core.goes_wrong(core.weather.unreached) {
            let names = ["Lambda.TooManyRequestsException", "Lambda.ServiceException"];
            return Err(Error::new(core.dice.pick::<&str>(&names)));
        }
        let invocation = begin();
        let function = invocation.task;
        world
            .machine
            .change(&self.arn, |execution| execution.functions.push(function));
        let is_lost = core.goes_wrong(core.weather.lost_answers);
        let limit = world
            .machine
            .definition
            .state(name)
            .map_or(60, |state| state.timeout_seconds);
        let seconds = match is_lost {
            true => core.dice.between(0, *core.dice.pick(&[1, 30, limit])),
            false => limit,
        };
        match tokio::time::timeout(Duration::from_secs(seconds), invocation.answer()).await {
            Ok(Some(_)) | Err(_) if is_lost => Err(Error::new("Lambda.SdkClientException")),
            Ok(Some(answer)) => answer,
            Ok(None) => {
                let names = [
                    "Runtime.ExitError",
                    "Lambda.ServiceException",
                    "Lambda.SdkClientException",
                ];
                Err(Error::new(core.dice.pick::<&str>(&names)))
            }
            Err(_) => Err(Error::new("States.Timeout")),
        }
    }

    fn envelope<I>(&self, attempt: u32, input: I) -> Envelope<I> {
        Envelope {
            push: self.push.clone(),
            execution: self.execution.clone(),
            attempt,
            input,
        }
    }

    async fn read_source(&self) -> Result<String, Error> {
        let world = &self.simulation.world;
        let failed = |trouble: Trouble| match trouble.transient {
            true => Error::new("Ssm.SdkClientException"),
            false => Error::new("Ssm.AccessDeniedException"),
        };
        let what = || "reads the settings".to_owned();
        let possible = &[Fault::NoAnswer, Fault::Refused];
        let fate = world
            .core
            .call(Port::Parameters, possible, what)
            .await
            .map_err(failed)?;
        let text = lock(&world.settings).text();
        world.core.answer(fate).await.map_err(failed)?;
        Ok(text)
    }

    async fn publish(&self, status: PushStatus) -> Result<(), Error> {
        publish(self.simulation, self.push.push_id, status).await
    }

    /// Starts an execution of the other state machine, which publishes how the push ended as soon as the bus responds.
    async fn publish_later(&self, status: PushStatus) -> Result<(), Error> {
        let core = &self.simulation.world.core;
        let failed = |trouble: Trouble| match trouble.transient {
            true => Error::new("StepFunctions.SdkClientException"),
            false => Error::new("StepFunctions.AccessDeniedException"),
        };
        let what = || "hands the event on".to_owned();
        let possible = &[Fault::NoAnswer, Fault::AnswerLost, Fault::Refused];
        let fate = core
            .call(Port::Executions, possible, what)
            .await
            .map_err(failed)?;
        let (simulation, push_id) = (self.simulation.clone(), self.push.push_id);
        self.simulation.outside("an event", async move {
            while publish(&simulation, push_id, status).await.is_err() {
                tokio::time::sleep(Duration::from_secs(1_800)).await;
            }
        });
        core.answer(fate).await.map_err(failed)
    }

    async fn validate(&self, state: &str) -> Result<Validated, Caught> {
        let work = async |attempt| {
            let settings = self.at.settings.clone();
            let mut envelope = self.envelope(attempt, ValidateInput { settings });
            envelope.execution.id = self.begun();
            self.lambda(state, || self.simulation.validate(envelope)).await
        };
        self.task(state, work).await
    }

    async fn fetch(&self, state: &str) -> Result<FetchedCommit, Caught> {
        let work = async |attempt| {
            let input = FetchInput {
                deliver: self.at.deliver.clone().ok_or_else(runtime)?,
            };
            let envelope = self.envelope(attempt, input);
            self.lambda(state, || self.simulation.fetch(envelope)).await
        };
        self.task(state, work).await
    }

    async fn package(&self, state: &str) -> Result<Archive, Caught> {
        let work = async |attempt| {
            let input = FetchedInput {
                deliver: self.at.deliver.clone().ok_or_else(runtime)?,
                fetched: self.at.fetched.clone().ok_or_else(runtime)?,
            };
            let envelope = self.envelope(attempt, input);
            self.lambda(state, || self.simulation.package(envelope)).await
        };
        self.task(state, work).await
    }

    async fn upload(&self, state: &str) -> Result<(), Caught> {
        let work = async |attempt| {
            let input = UploadInput {
                deliver: self.at.deliver.clone().ok_or_else(runtime)?,
                fetched: self.at.fetched.clone().ok_or_else(runtime)?,
                archive: self.at.archive.clone().ok_or_else(runtime)?,
            };
            let envelope = self.envelope(attempt, input);
            self.lambda(state, || self.simulation.upload(envelope)).await
        };
        self.task(state, work).await.map(drop)
    }

    async fn find_ref(&self, state: &str) -> Result<FoundRef, Caught> {
        let work = async |attempt| {
            let input = FindRefInput {
                expire: self.at.expire.clone().ok_or_else(runtime)?,
            };
            let envelope = self.envelope(attempt, input);
            self.lambda(state, || self.simulation.find_ref(envelope)).await
        };
        self.task(state, work).await
    }

    async fn expire(&self, state: &str) -> Result<(), Caught> {
        let work = async |attempt| {
            let input = ExpireInput {
                expire: self.at.expire.clone().ok_or_else(runtime)?,
                found: self.at.found.clone().ok_or_else(runtime)?,
            };
            let envelope = self.envelope(attempt, input);
            self.lambda(state, || self.simulation.expire(envelope)).await
        };
        self.task(state, work).await.map(drop)
    }

    async fn keep(&self, state: &str) -> Result<(), Caught> {
        let work = async |attempt| {
            let input = FetchedInput {
                deliver: self.at.deliver.clone().ok_or_else(runtime)?,
                fetched: self.at.fetched.clone().ok_or_else(runtime)?,
            };
            let envelope = self.envelope(attempt, input);
            self.lambda(state, || self.simulation.keep(envelope)).await
        };
        self.task(state, work).await.map(drop)
    }

    async fn record(&self, state: &str, failure: Option<Failure>) -> Result<Closed, Caught> {
        let work = async |attempt| {
            let input = RecordInput {
                failure: failure.clone(),
                failed_attempts: 0,
            };
            let mut envelope = self.envelope(attempt, input);
            if failure.is_some() {
                envelope.execution.id = self.begun();
            }
            self.lambda(state, || self.simulation.record(envelope)).await
        };
        self.task(state, work).await
    }
}

/// Sends the event of how a push ended.
async fn publish(simulation: &Simulation, push_id: PushId, status: PushStatus) -> Result<(), Error> {
    let world = &simulation.world;
    let failed = |trouble: Trouble| match trouble.transient {
        true => Error::new("EventBridge.SdkClientException"),
        false => Error::new("EventBridge.AccessDeniedException"),
    };
    let what = || "tells the event bus".to_owned();
    let possible = &[Fault::NoAnswer, Fault::AnswerLost, Fault::Refused];
    let fate = world.core.call(Port::Bus, possible, what).await.map_err(failed)?;
    world.announce(push_id, status);
    world.core.answer(fate).await.map_err(failed)
}

/// Returns the error of Step Functions for a variable without a value.
fn runtime() -> Error {
    Error::new("States.QueryEvaluationError")
}

/// What follows a state.
enum Next {
    State(&'static str),
    End(Status),
}
