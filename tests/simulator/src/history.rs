//! One history: a ref that moves, webhooks that report it, people who intervene, faults, and in the end a person who
//! does what the remedies say.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::execution::Execution;
use domain::push::{Push, PushId};
use domain::source::Options;

use crate::checks;
use crate::core::{Core, Meddling};
use crate::definition::Definition;
use crate::destination::Store;
use crate::execution;
use crate::host::{Host, object};
use crate::machine::Machine;
use crate::people::Delivery;
use crate::plan::{Known, Plan};
use crate::scheduler::{self, Tasks, lock};
use crate::staging::Bucket;
use crate::trail::Trail;
use crate::world::{Mistake, Settings, Simulation, World};

/// The result of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The violations that were found, if any.
    pub wrong: Vec<String>,
    /// The steps, which are empty if there is no trace.
    pub trace: Vec<String>,
}

/// Runs the history of `seed`. It may use the file `workspace`.
pub fn run(seed: u64, traced: bool, workspace: &Path) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    match runtime {
        // The budget of tokio's own tasks is for tasks that tokio would wake.
        Ok(runtime) => runtime.block_on(tokio::task::unconstrained(history(seed, traced, workspace))),
        Err(error) => Report {
            wrong: vec![format!("there is no runtime: {error}")],
            trace: Vec::new(),
        },
    }
}

async fn history(seed: u64, traced: bool, workspace: &Path) -> Report {
    let core = Arc::new(Core::new(seed, traced));
    let plan = Arc::new(Plan::new(&core));
    match Definition::read() {
        Ok(definition) => live(&core, &plan, definition, workspace).await,
        Err(error) => core.is_wrong(format!("the definition cannot be read: {error}")),
    }
    Report {
        wrong: core.all_wrong(),
        trace: core.trace(),
    }
}

async fn live(core: &Arc<Core>, plan: &Arc<Plan>, definition: &'static Definition, workspace: &Path) {
    let trail = Arc::new(Trail::new(core.clone()));
    let staging = Arc::new(Bucket::new(core.clone()));
    let world = Arc::new(World {
        core: core.clone(),
        store: Store::new(core.clone(), staging.clone(), trail.clone()),
        trail,
        staging,
        host: Host::new(core.clone(), plan.values[0].and_then(object)),
        machine: Machine::new(core.clone(), definition),
        settings: Mutex::new(Settings {
            watches_paths: plan.watches_paths,
            expires: plan.expires,
            ..Settings::default()
        }),
        announcements: Mutex::default(),
        workspace: workspace.to_owned(),
    });
    let simulation = Simulation {
        world,
        tasks: Tasks::default(),
    };
    core.say(|| {
        format!(
            "{} goes through {:?}; {:?}",
            plan.ref_name, plan.values, core.weather
        )
    });
    simulation.move_ref(plan);
    simulation.edit_settings(plan);
    simulation.meddle(plan);
    if !simulation.drain().await {
        return;
    }
    checks::nothing_is_silent(&simulation.world, plan);
    core.calm_down();
    lock(&simulation.world.settings).mistake = None;
    core.say(|| "NOTHING GOES WRONG ANY MORE".to_owned());
    simulation.repair(plan);
    if simulation.drain().await {
        checks::all_is_well(&simulation.world, plan);
    }
}

impl Simulation {
    /// Runs all tasks until none is left. Returns `false` if they never end.
    async fn drain(&self) -> bool {
        let core = &self.world.core;
        let begin = || {
            let machine = &self.world.machine;
            machine.take_started(|execution| execution::begin(self, execution));
            for meddling in core.take_meddling() {
                match meddling {
                    Meddling::Stop(arn) => self.stop(&arn),
                    Meddling::Rival(arn) => self.begin_otherwise(&arn),
                }
            }
        };
        let drained = scheduler::run(&self.tasks, &core.turn, &core.dice, begin).await;
        drained.map_err(|why| core.is_wrong(why)).is_ok()
    }

    async fn wait(&self, choices: &[u64]) {
        let dice = &self.world.core.dice;
        let seconds = dice.between(0, *dice.pick(choices));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Moves the ref, and reports each movement.
    fn move_ref(&self, plan: &Arc<Plan>) {
        let (simulation, plan) = (self.clone(), plan.clone());
        self.outside("the ref", async move {
            for (number, values) in plan.values.windows(2).enumerate() {
                simulation.wait(plan.pace).await;
                simulation.world.host.move_to(values[1].and_then(object));
                simulation.world.core.say(|| format!("MOVES to {:?}", values[1]));
                let hooks = if simulation.world.core.dice.happens(200) {
                    2
                } else {
                    1
                };
                for hook in 1..=hooks {
                    let name = format!("move{}-hook{hook}", number + 1);
                    let (before, after) = (values[0].and_then(object), values[1].and_then(object));
                    if let Some(delivery) = Delivery::new(name, plan.ref_name, before, after) {
                        simulation.report_move(&plan, delivery);
                    }
                }
            }
        });
    }

    fn report_move(&self, plan: &Arc<Plan>, delivery: Delivery) {
        lock(&plan.known).push(Known {
            delivery: delivery.clone(),
            is_accepted: false,
        });
        let (simulation, plan) = (self.clone(), plan.clone());
        let name = delivery.name.clone();
        self.outside(&name, async move {
            let times = if simulation.world.core.dice.happens(150) {
                2
            } else {
                1
            };
            for _ in 0..times {
                simulation.wait(plan.lateness).await;
                simulation.send(&plan, &delivery).await;
            }
        });
    }

    /// Calls the webhook, and records whether it is accepted.
    async fn send(&self, plan: &Plan, delivery: &Delivery) {
        let is_accepted = self.deliver(delivery).await == 202;
        let mut known = lock(&plan.known);
        if let Some(known) = known
            .iter_mut()
            .find(|known| known.delivery.name == delivery.name)
        {
            known.is_accepted |= is_accepted;
        }
    }

    /// Lets a person edit the settings now and then.
    fn edit_settings(&self, plan: &Arc<Plan>) {
        let (simulation, plan) = (self.clone(), plan.clone());
        let dice = &self.world.core.dice;
        if plan.has_mistakes && dice.happens(500) {
            lock(&self.world.settings).mistake = Some(Mistake::Refs);
        }
        let edits = *dice.pick(&[0, 0, 1, 3]);
        self.outside("settings", async move {
            let (world, dice) = (&simulation.world, &simulation.world.core.dice);
            for _ in 0..edits {
                simulation.wait(&[10, 300, 2_000]).await;
                let mistakes = [Mistake::Refs, Mistake::Hosts, Mistake::Json, Mistake::Limits];
                let settings = Settings {
                    mistake: (plan.has_mistakes && dice.happens(500)).then(|| *dice.pick(&mistakes)),
                    options: Options {
                        build_info: dice.happens(500),
                        attributes: dice.happens(500),
                        ..Options::default()
                    },
                    watches_paths: plan.watches_paths,
                    expires: plan.expires,
                };
                world
                    .core
                    .say(|| format!("edits {:?} {}", settings.mistake, settings.options.build_info));
                *lock(&world.settings) = settings;
            }
        });
    }

    /// Lets a person send webhooks again, and start and redrive executions in the console.
    fn meddle(&self, plan: &Arc<Plan>) {
        let (simulation, plan) = (self.clone(), plan.clone());
        let times = *self.world.core.dice.pick(&[0, 1, 2, 5]);
        self.outside("somebody", async move {
            let dice = &simulation.world.core.dice;
            for _ in 0..times {
                simulation.wait(&[1, 60, 100, 1_000, 5_000]).await;
                let deliveries: Vec<_> = lock(&plan.known)
                    .iter()
                    .map(|known| known.delivery.clone())
                    .collect();
                if deliveries.is_empty() {
                    continue;
                }
                let delivery = dice.pick(&deliveries);
                match dice.between(0, 2) {
                    0 => simulation.send(&plan, delivery).await,
                    1 => drop(simulation.start_again(delivery.push_id)),
                    _ => drop(simulation.redrive(delivery.push_id)),
                }
            }
        });
    }

    /// Lets a person change how zips are made, and start an execution while another one runs.
    fn begin_otherwise(&self, id: &str) {
        {
            let mut settings = lock(&self.world.settings);
            settings.options.build_info = !settings.options.build_info;
        }
        let executions = self.world.machine.executions();
        let arn = Execution::arn(id);
        let execution = executions.iter().find(|execution| execution.arn == arn);
        let push = execution.and_then(|execution| serde_json::from_str::<Push>(&execution.input).ok());
        if let Some(push) = push {
            self.start_again(push.push_id);
        }
    }

    /// Lets a person do what the remedies say, which is to redrive or to send again what has failed, in any order.
    fn repair(&self, plan: &Arc<Plan>) {
        let dice = &self.world.core.dice;
        let mut known = lock(&plan.known).clone();
        dice.shuffle(&mut known);
        for known in known {
            let push_id: PushId = known.delivery.push_id;
            // A webhook that was not answered may have started an execution all the same, and that may have failed,
            // too.
            let has_failed = self
                .world
                .trail
                .model_of(push_id)
                .is_some_and(|state| state.failure.is_some());
            let is_failed = has_failed || (known.is_accepted && checks::needs_a_person(&self.world, push_id));
            if known.is_accepted && !is_failed {
                continue;
            }
            let in_console = is_failed && (dice.happens(300) || self.has_failed_in_console(push_id));
            let redrives = is_failed && dice.happens(300);
            let (simulation, plan) = (self.clone(), plan.clone());
            self.outside("a person", async move {
                simulation.wait(&[0, 1, 300]).await;
                let is_mended = (redrives && simulation.redrive(push_id))
                    || (in_console && simulation.start_again(push_id));
                if !(is_mended && known.is_accepted) {
                    simulation.send(&plan, &known.delivery).await;
                }
            });
        }
    }
}
