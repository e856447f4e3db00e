//! Histories of some deployments of one environment: the functions run as they are deployed, one step of any of them
//! after the other, while executions are stopped, functions die, and events are lost. A history follows from its seed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use audit::{AuditError, DeploymentTrail, EventStore};
use aws::failure::Failed;
use delivery::contract::Stage;
use delivery::deployment::{Deployment, DeploymentId};
use delivery::event::DeploymentEvent;
use delivery::slot::{ApprovalToken, Release, Slot, SlotKey};
use delivery::state::DeploymentState;
use domain::aggregate::RecordedEvent;
use serde_json::{Value, json};
use tasks::{Executions, Tasks, TasksError};

use super::opening::{failed, release};
use super::scene::{Answer, STATE_MACHINE, Scene, deployment, envelope};
use super::stopping::event;
use crate::{Deps, handle};

/// How many histories the test goes through.
const HISTORIES: u64 = 1_000;

/// The most steps of a history.
const MAX_STEPS: u32 = 4_000;

/// Lets others go first, once.
async fn step() {
    let mut has_waited = false;
    std::future::poll_fn(|_| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        Poll::Pending
    })
    .await;
}

/// A generator of numbers (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug)]
struct Dice(Mutex<u64>);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// The trail and the tasks, each of whose calls is a step.
struct Slow<'a>(&'a Scene);

impl EventStore<Deployment> for Slow<'_> {
    async fn events(&self, id: DeploymentId) -> Result<Vec<RecordedEvent<DeploymentEvent>>, AuditError> {
        step().await;
        self.0.deployments.events(id).await
    }

    async fn put_event(
        &self,
        event: &RecordedEvent<DeploymentEvent>,
        next: &DeploymentState,
    ) -> Result<bool, AuditError> {
        step().await;
        let put = self.0.deployments.put_event(event, next).await;
        step().await;
        put
    }
}

impl DeploymentTrail for Slow<'_> {
    async fn slot(&self, key: &SlotKey) -> Result<Slot, AuditError> {
        step().await;
        self.0.deployments.slot(key).await
    }

    async fn put_slot(&self, key: &SlotKey, next: &Slot) -> Result<bool, AuditError> {
        step().await;
        let put = self.0.deployments.put_slot(key, next).await;
        step().await;
        put
    }

    async fn put_release(&self, key: &SlotKey, release: &Release) -> Result<(), AuditError> {
        self.0.deployments.put_release(key, release).await
    }

    async fn releases(&self, key: &SlotKey, limit: i32) -> Result<Vec<Release>, AuditError> {
        self.0.deployments.releases(key, limit).await
    }

    async fn put_approval(&self, token: &ApprovalToken) -> Result<(), AuditError> {
        self.0.deployments.put_approval(token).await
    }

    async fn approval(&self, id: DeploymentId) -> Result<Option<ApprovalToken>, AuditError> {
        self.0.deployments.approval(id).await
    }
}

impl Tasks for Slow<'_> {
    async fn succeed(&self, token: &str, output: &str) -> Result<bool, TasksError> {
        step().await;
        let told = self.0.tasks.succeed(token, output).await;
        step().await;
        told
    }

    async fn fail(&self, token: &str, failed: &Failed) -> Result<bool, TasksError> {
        step().await;
        self.0.tasks.fail(token, failed).await
    }

    async fn is_running(&self, execution_id: &str) -> Result<bool, TasksError> {
        step().await;
        self.0.tasks.is_running(execution_id).await
    }
}

impl Executions for Slow<'_> {
    async fn start(&self, state_machine_arn: &str, name: &str, input: &str) -> Result<(), TasksError> {
        step().await;
        self.0.tasks.start(state_machine_arn, name, input).await
    }
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// What runs, and what has happened.
struct World {
    scene: Scene,
    dice: Dice,
    /// The functions that are to begin.
    called: Mutex<Vec<(u64, Value)>>,
    /// The functions that have ended, and whether they have failed or died.
    returned: Mutex<BTreeMap<u64, bool>>,
    /// The deployments that change the environment, by number.
    working: Mutex<Vec<u64>>,
    /// The numbers of the deployments that had the environment.
    had_it: Mutex<Vec<u64>>,
    /// The numbers of those that were released.
    released: Mutex<Vec<u64>>,
    log: Mutex<Vec<String>>,
}

fn execution_of(number: u64) -> String {
    format!("e{number}")
}

fn delivery_of(number: u64) -> String {
    format!("d{number}")
}

impl World {
    fn say(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn is_wrong(&self, what: &str) -> ! {
        panic!("{what}:\n{}", self.log.lock().unwrap().join("\n"))
    }

    fn is_stopped(&self, number: u64) -> bool {
        self.scene
            .tasks
            .ended
            .lock()
            .unwrap()
            .contains(&execution_of(number))
    }

    /// Calls a function. Returns the number of the call.
    fn call(&self, payload: Value) -> u64 {
        let mut called = self.called.lock().unwrap();
        let id = self.dice.roll(u64::MAX);
        called.push((id, payload));
        id
    }

    fn has_failed(&self, call: u64) -> Option<bool> {
        self.returned.lock().unwrap().get(&call).copied()
    }

    /// Calls a function again until it succeeds, unless the execution is stopped.
    async fn insist(&self, number: Option<u64>, payload: &Value) {
        loop {
            let call = self.call(payload.clone());
            let has_failed = loop {
                if number.is_some_and(|number| self.is_stopped(number)) {
                    return;
                }
                match self.has_failed(call) {
                    Some(has_failed) => break has_failed,
                    None => step().await,
                }
            };
            if !has_failed {
                return;
            }
        }
    }

    /// Runs the execution of a deployment that was accepted.
    async fn execute(&self, number: u64) {
        let answer = self.queue(number).await;
        match answer {
            Some(Answer::Output(output)) if output["decision"] == "Go" => self.work(number).await,
            Some(Answer::Output(output)) => {
                let by = &output["by"];
                self.say(format!("{number} is superseded by {by}"));
                let newer = (number + 1..10).any(|newer| json!(deployment(&delivery_of(newer)).id()) == *by);
                if !newer {
                    self.is_wrong("a deployment was superseded by one that is not newer");
                }
            }
            Some(Answer::Failure(error)) => self.is_wrong(&error),
            None => return,
        }
        let payload = envelope(
            Stage::Release,
            &deployment(&delivery_of(number)),
            &execution_of(number),
            json!({}),
        );
        self.insist(Some(number), &payload).await;
        if !self.is_stopped(number) {
            self.scene.tasks.end(&execution_of(number));
            self.say(format!("{number} has ended"));
        }
    }

    /// Runs the state `Queue`, which is entered again if its function fails. Returns `None` if the execution is
    /// stopped.
    async fn queue(&self, number: u64) -> Option<Answer> {
        for attempt in 0.. {
            let token = format!("{}/{attempt}", execution_of(number));
            let payload = self.scene.queue_payload(&delivery_of(number), &token).await;
            let call = self.call(payload);
            loop {
                if self.is_stopped(number) {
                    return None;
                }
                if let Some(answer) = self.scene.tasks.answer_to(&token) {
                    return Some(answer);
                }
                if self.has_failed(call) == Some(true) {
                    break;
                }
                step().await;
            }
        }
        None
    }

    async fn work(&self, number: u64) {
        self.say(format!("{number} has the environment"));
        {
            let mut working = self.working.lock().unwrap();
            working.retain(|other| !self.is_stopped(*other));
            if !working.is_empty() {
                self.is_wrong("two deployments have the environment");
            }
            working.push(number);
        }
        if self
            .released
            .lock()
            .unwrap()
            .iter()
            .any(|released| *released > number)
        {
            self.is_wrong("an older deployment follows one that was released");
        }
        self.had_it.lock().unwrap().push(number);
        for _ in 0..self.dice.roll(40) {
            step().await;
            if self.is_stopped(number) {
                return;
            }
        }
        // What ends a deployment is not of interest here, and takes no time.
        let delivery = delivery_of(number);
        if self.dice.roll(3) == 0 {
            self.say(format!("{number} fails"));
            self.scene.append(&delivery, failed(&execution_of(number))).await;
        } else {
            self.say(format!("{number} is released"));
            release(&self.scene, &delivery).await;
            self.released.lock().unwrap().push(number);
        }
        self.working.lock().unwrap().retain(|other| *other != number);
    }

    /// Stops an execution now. EventBridge reports it some time later, or never.
    async fn stop(&self, number: u64, is_reported: bool) {
        for _ in 0..self.dice.roll(120) {
            step().await;
        }
        if self.is_stopped(number) {
            return;
        }
        self.scene.tasks.end(&execution_of(number));
        self.say(format!("{number} is stopped"));
        if is_reported {
            for _ in 0..self.dice.roll(20) {
                step().await;
            }
            self.say(format!("the stop of {number} is reported"));
            let payload = event(&delivery_of(number), &execution_of(number), "ABORTED");
            self.insist(None, &payload).await;
        }
    }

    /// Runs a function.
    async fn run(&self, id: u64, payload: Value) {
        let slow = Slow(&self.scene);
        let deps = Deps {
            pushes: &self.scene.pushes,
            deployments: &slow,
            tasks: &slow,
            environment: "dev".parse().unwrap(),
            application: "app".parse().unwrap(),
            state_machine_arn: STATE_MACHINE.to_owned(),
            alarm_rollback_minutes: 0,
        };
        let ended = handle(&deps, payload, Duration::from_secs(3_600)).await;
        self.returned.lock().unwrap().insert(id, ended.is_err());
    }
}

/// What runs: a person, an execution, or a function with its call.
struct Running {
    work: Work,
    call: Option<u64>,
}

/// Goes on with any of those that run, until all have ended. Some functions die. Returns those that wait on.
async fn go_on(world: &Arc<World>, mut running: Vec<Running>, mut deaths: u32) -> Vec<Running> {
    for count in 0..MAX_STEPS {
        let called: Vec<_> = world.called.lock().unwrap().drain(..).collect();
        for (id, payload) in called {
            let world = world.clone();
            running.push(Running {
                work: Box::pin(async move { world.run(id, payload).await }),
                call: Some(id),
            });
        }
        if running.is_empty() {
            break;
        }
        let sides = u64::try_from(running.len()).unwrap();
        let chosen = usize::try_from(world.dice.roll(sides)).unwrap();
        if let (Some(call), true) = (running[chosen].call, deaths > 0 && world.dice.roll(25) == 0) {
            deaths -= 1;
            world.say("a function dies".to_owned());
            running.swap_remove(chosen);
            world.returned.lock().unwrap().insert(call, true);
            continue;
        }
        let mut context = Context::from_waker(Waker::noop());
        if running[chosen].work.as_mut().poll(&mut context).is_ready() {
            running.swap_remove(chosen);
        }
        if count % 8 == 0 {
            // Those that wait after a conflict go on.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    running
}

fn execution(world: &Arc<World>, number: u64) -> Running {
    let world = world.clone();
    Running {
        work: Box::pin(async move { world.execute(number).await }),
        call: None,
    }
}

fn person(world: &Arc<World>, number: u64, is_reported: bool) -> Running {
    let world = world.clone();
    Running {
        work: Box::pin(async move { world.stop(number, is_reported).await }),
        call: None,
    }
}

async fn run_history(seed: u64) {
    let world = Arc::new(World {
        scene: Scene::default(),
        dice: Dice(Mutex::new(seed)),
        called: Mutex::default(),
        returned: Mutex::default(),
        working: Mutex::default(),
        had_it: Mutex::default(),
        released: Mutex::default(),
        log: Mutex::new(vec![format!("history {seed}")]),
    });
    let deployments = 2 + world.dice.roll(3);
    let is_reported = world.dice.roll(3) > 0;
    let mut running = Vec::new();
    let mut stopped = Vec::new();
    for number in 1..=deployments {
        world
            .scene
            .request(&delivery_of(number), number, &execution_of(number))
            .await;
        running.push(execution(&world, number));
        if world.dice.roll(3) == 0 {
            stopped.push(number);
            running.push(person(&world, number, is_reported));
        }
    }
    let deaths = u32::try_from(world.dice.roll(4)).unwrap();
    let mut running = go_on(&world, running, deaths).await;
    let ended = |number: u64| world.is_stopped(number);
    // Nobody knows of an execution whose end was not reported before the next deployment comes.
    if is_reported || stopped.is_empty() {
        if !running.is_empty() || !(1..=deployments).all(ended) {
            world.is_wrong("an execution waits for nobody");
        }
        if world.scene.slot().await.holder.is_some() {
            world.is_wrong("the environment was not given back");
        }
    }
    // The next deployment gets the environment, whatever has happened.
    let next = deployments + 1;
    world
        .scene
        .request(&delivery_of(next), next, &execution_of(next))
        .await;
    running.push(execution(&world, next));
    if !go_on(&world, running, 0).await.is_empty() {
        world.is_wrong("an execution waits on");
    }
    if !world.had_it.lock().unwrap().contains(&next) {
        world.is_wrong("the next deployment does not get the environment");
    }
    if world.scene.slot().await.pending().is_some() {
        world.is_wrong("somebody was told nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn one_deployment_has_the_environment_and_nobody_waits_in_vain() {
    for seed in 0..HISTORIES {
        run_history(seed).await;
    }
}
