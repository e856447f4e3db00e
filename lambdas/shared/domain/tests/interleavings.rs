//! Explores all interleavings of up to four pushes of a ref, over the real order guard.
//!
//! A ref has a history of values, and each push moves it from one to the next. A push takes a few steps: it is made,
//! numbered, fetched and uploaded. The steps of all pushes are explored in every order, for every history. The verdicts
//! and the numbers are the crate's own; the steps around them are a model.
//!
//! A push that has failed for good takes no more steps, and one that is sent again is one that has waited. So the
//! properties are checked in every state, as if all pushes that are not done had failed in it. Three pushes are
//! explored with all faults, four only with other copies of their uploads, because more would take minutes.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::fmt::Write;
use std::iter::once;
use std::thread::available_parallelism;

use chrono::DateTime;
use domain::contract::Superseded;
use domain::git::ObjectId;
use domain::order::{DeliveredPush, Known, Verdict, judge, next_sequence};
use domain::push::Trigger;
use domain::samples;
use stateright::{Checker, HasDiscoveries, Model, Property};

const MAX_PUSHES: usize = 4;
/// Each push is numbered at most twice, and numbers begin at 1.
const NUMBERS: u8 = 2 * 4 + 1;
/// A history of four moves has at most five commits, and one value stands for no commit.
const VALUES: u8 = 5 + 1;

/// What a ref points to: the number of a commit, or 0 if there is no ref.
type Value = u8;
/// The place of a push in its ref's history. It moves the ref from the value at this place to the next one.
type Index = u8;

/// How far a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// The host does not have it yet.
    Unmade,
    /// The host has moved the ref.
    Made,
    Numbered,
    Fetched,
    Failed {
        fetched: bool,
    },
    /// It has deleted the ref, so there is nothing to deliver.
    Deletion,
    Delivered,
    Duplicate {
        of: Index,
    },
    Superseded,
    /// It cannot continue, which must not happen.
    Stuck,
}

impl Stage {
    /// Returns whether the push's zip was delivered, or will never be.
    fn is_done(self) -> bool {
        matches!(self, Self::Delivered | Self::Duplicate { .. } | Self::Superseded)
    }
}

/// What the holder of the destination's lease has done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Upload {
    Idle,
    /// It will write if the content is still this one, or if there is still no object for `None`.
    Looked(Option<Value>),
    Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Progress {
    stage: Stage,
    /// 0 if it has none.
    number: u8,
    ref_now: Value,
    upload: Upload,
    renumbered: bool,
}

/// A push as the destination records it. It may have been fetched again since, but not numbered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Zip {
    push: Index,
    ref_now: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    history: u8,
    /// How many pushes were made.
    made: u8,
    last_number: u8,
    last_numbered: Index,
    /// 0 if there was none.
    last_deletion: u8,
    object: Option<Zip>,
    /// The destination's record.
    last: Option<Zip>,
    is_leased: bool,
    pushes: [Progress; MAX_PUSHES],
}

impl World {
    fn of(history: u8) -> Self {
        let unmade = Progress {
            stage: Stage::Unmade,
            number: 0,
            ref_now: 0,
            upload: Upload::Idle,
            renumbered: false,
        };
        Self {
            history,
            made: 0,
            last_number: 0,
            last_numbered: 0,
            last_deletion: 0,
            object: None,
            last: None,
            is_leased: false,
            pushes: [unmade; MAX_PUSHES],
        }
    }

    fn push(&self, push: Index) -> &Progress {
        &self.pushes[usize::from(push)]
    }

    fn push_mut(&mut self, push: Index) -> &mut Progress {
        &mut self.pushes[usize::from(push)]
    }

    fn mine(&self, push: Index) -> Zip {
        Zip {
            push,
            ref_now: self.push(push).ref_now,
        }
    }

    /// Ends the push, unless another copy of its upload has done so before.
    fn end(&mut self, push: Index, stage: Stage) {
        let progress = self.push_mut(push);
        if progress.stage == Stage::Fetched {
            progress.stage = stage;
        }
    }

    fn free(&mut self, push: Index) {
        self.is_leased = false;
        self.push_mut(push).upload = Upload::Idle;
    }

    /// Returns whether the pushes were numbered in the order in which they were made. Some may have no number yet.
    fn is_numbered_in_order(&self) -> bool {
        self.pushes
            .iter()
            .map(|push| push.number)
            .filter(|number| *number > 0)
            .is_sorted()
    }

    /// Returns whether the push is done, even if the response was lost.
    fn is_done(&self, push: Index) -> bool {
        self.push(push).stage.is_done() || self.object.is_some_and(|zip| zip.push == push)
    }

    fn newest_done(&self) -> Option<Index> {
        (0..self.made).rev().find(|push| self.is_done(*push))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// The host moves the ref.
    Make,
    /// `Validate`.
    Number,
    /// `Fetch`.
    Fetch,
    /// `Upload` looks before it has the lease.
    Glance,
    /// `Upload` acquires the lease and looks. It releases the lease if it will not write.
    Look,
    Write,
    Release,
    /// `Upload` releases the lease, and its response is lost.
    ReleaseUnheard,
    /// The holder of the lease is gone, and the lease expires.
    Crash,
    /// [`Step::Look`], [`Step::Write`] and [`Step::Release`] at once.
    Upload,
    /// The same, but [`Step::ReleaseUnheard`].
    UploadUnheard,
    /// The same, but [`Step::Crash`] after the write.
    UploadCrash,
    Fail,
    /// The push continues where it stopped.
    Resend,
    /// The push is sent again after its staged objects have expired.
    FetchAgain,
}

/// The faults that may happen.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    /// Pushes fail, and are sent again.
    fail: bool,
    /// Commits are fetched again.
    fetch_again: bool,
    /// The holder of the lease dies, or its response is lost.
    crash: bool,
    /// Other copies of an upload keep running after one has ended.
    copies: bool,
    /// `Validate` asks for a number twice.
    renumber: bool,
}

const ALL_FAULTS: Faults = Faults {
    fail: true,
    fetch_again: true,
    crash: true,
    copies: true,
    renumber: true,
};

/// How the destination is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writers {
    /// One writer at a time, in separate steps.
    Leased,
    /// One writer at a time, in a single step: whatever others do in between, they may as well do before or after it.
    AtOnce,
    /// Without a lease, only on the condition of the entity tag.
    Unleased,
    /// As [`Writers::Leased`], but every delivery is recorded as the last one, even if the record has a newer one.
    Forgetful,
}

type Rule = fn(&Known<'_>, &DeliveredPush) -> Verdict;

struct Exploration {
    moves: u8,
    histories: Vec<Vec<Value>>,
    /// All possible pushes: see [`Exploration::delivered`].
    pushes: Vec<DeliveredPush>,
    rule: Rule,
    writers: Writers,
    faults: Faults,
    properties: Vec<Property<Self>>,
}

/// Returns all histories of this many moves, without those that only rename commits.
fn histories(moves: u8) -> Vec<Vec<Value>> {
    let mut histories = vec![vec![0], vec![1]];
    for _ in 0..moves {
        let longer = histories.iter().flat_map(|history| {
            let fresh = history.iter().max().unwrap() + 1;
            (0..=fresh)
                .filter(|value| history.last() != Some(value))
                .map(|value| history.iter().copied().chain(once(value)).collect())
        });
        histories = longer.collect();
    }
    histories
}

fn object_id(value: Value) -> Option<ObjectId> {
    (value > 0).then(|| value.to_string().repeat(40).parse().unwrap())
}

fn all_pushes(trigger: Trigger) -> Vec<DeliveredPush> {
    let mut all = Vec::new();
    for push in 0..MAX_PUSHES {
        let mut pushed = samples::push(&format!("d{push}"), "refs/heads/main");
        pushed.trigger = trigger;
        for number in 0..NUMBERS {
            for before in 0..VALUES {
                for after in 0..VALUES {
                    pushed.before = object_id(before);
                    pushed.after = object_id(after);
                    all.extend((0..VALUES).map(|ref_now| {
                        let sha256 = format!("{after:064}");
                        DeliveredPush {
                            // Commits come back to a ref, so the order of pushes is often another one.
                            committed_at: DateTime::from_timestamp(after.into(), 0),
                            ..DeliveredPush::new(&pushed, number.into(), object_id(ref_now), sha256)
                        }
                    }));
                }
            }
        }
    }
    all
}

impl Exploration {
    fn new(moves: u8, rule: Rule, writers: Writers, faults: Faults, properties: Vec<Property<Self>>) -> Self {
        Self {
            moves,
            histories: histories(moves),
            pushes: all_pushes(Trigger::Webhook),
            rule,
            writers,
            faults,
            properties,
        }
    }

    fn history(&self, world: &World) -> &[Value] {
        &self.histories[usize::from(world.history)]
    }

    fn before(&self, world: &World, push: Index) -> Value {
        self.history(world)[usize::from(push)]
    }

    fn after(&self, world: &World, push: Index) -> Value {
        self.before(world, push + 1)
    }

    fn tip(&self, world: &World) -> Value {
        self.before(world, world.made)
    }

    fn content(&self, world: &World) -> Option<Value> {
        world.object.map(|zip| self.after(world, zip.push))
    }

    fn delivered(&self, world: &World, zip: Zip) -> &DeliveredPush {
        let digits = [
            (world.push(zip.push).number, NUMBERS),
            (self.before(world, zip.push), VALUES),
            (self.after(world, zip.push), VALUES),
            (zip.ref_now, VALUES),
        ];
        let index = digits.iter().fold(usize::from(zip.push), |index, (digit, base)| {
            index * usize::from(*base) + usize::from(*digit)
        });
        &self.pushes[index]
    }

    fn verdict(&self, world: &World, push: Index, object: Option<Zip>, last: Option<Zip>) -> Verdict {
        let known = Known {
            object: object.map(|zip| self.delivered(world, zip)),
            last: last.map(|zip| self.delivered(world, zip)),
            last_deletion: (world.last_deletion > 0).then_some(world.last_deletion.into()),
        };
        (self.rule)(&known, self.delivered(world, world.mine(push)))
    }

    fn number(&self, world: &mut World, push: Index) {
        let last = (world.last_number > 0).then_some(world.last_number.into());
        // A clock that stands still helps least.
        let now = DateTime::from_timestamp_millis(1).unwrap();
        let number = u8::try_from(next_sequence(last, now)).unwrap();
        world.last_number = number;
        world.last_numbered = push;
        let is_deletion = self.after(world, push) == 0;
        if is_deletion {
            world.last_deletion = number;
        }
        let progress = world.push_mut(push);
        progress.renumbered = progress.stage != Stage::Made;
        progress.number = number;
        progress.stage = if is_deletion {
            Stage::Deletion
        } else {
            Stage::Numbered
        };
    }

    /// Records the push as the last delivered one, unless the record has a newer one: by the time that another copy of
    /// the upload finds the zip at the destination, a newer push may have been found to be its duplicate.
    fn remember(&self, world: &mut World, push: Index) {
        let is_older = matches!(
            self.verdict(world, push, None, world.last),
            Verdict::Superseded(_)
        );
        if !is_older || self.writers == Writers::Forgetful {
            world.last = Some(world.mine(push));
        }
    }

    fn look(&self, world: &mut World, push: Index) {
        match self.verdict(world, push, world.object, world.last) {
            Verdict::Write => {
                world.is_leased = true;
                world.push_mut(push).upload = Upload::Looked(self.content(world));
            }
            Verdict::AlreadyThere => {
                self.remember(world, push);
                world.end(push, Stage::Delivered);
            }
            Verdict::Duplicate(_) => {
                self.remember(world, push);
                let of = world.object.unwrap().push;
                world.end(push, Stage::Duplicate { of });
            }
            Verdict::Superseded(_) => world.end(push, Stage::Superseded),
            Verdict::Occupied => world.end(push, Stage::Stuck),
        }
    }

    fn write(&self, world: &mut World, push: Index) {
        if world.push(push).upload == Upload::Looked(self.content(world)) {
            world.object = Some(world.mine(push));
            world.push_mut(push).upload = Upload::Written;
        } else {
            world.free(push);
            if self.writers != Writers::Unleased {
                world.end(push, Stage::Stuck);
            }
        }
    }

    fn release(&self, world: &mut World, push: Index) {
        self.remember(world, push);
        world.free(push);
    }

    fn steps(&self, world: &World, push: Index, add: &mut impl FnMut(Step)) {
        let progress = world.push(push);
        let faults = &self.faults;
        let is_idle = progress.upload == Upload::Idle;
        match progress.stage {
            Stage::Unmade if world.made == push => add(Step::Make),
            Stage::Made => add(Step::Number),
            Stage::Numbered => add(Step::Fetch),
            Stage::Fetched if is_idle => add(Step::Glance),
            Stage::Failed { .. } => add(Step::Resend),
            _ => {}
        }
        match progress.stage {
            Stage::Numbered | Stage::Deletion
                if faults.renumber && !progress.renumbered && world.last_numbered != push =>
            {
                add(Step::Number);
            }
            Stage::Fetched | Stage::Failed { fetched: true } if faults.fetch_again && is_idle => {
                add(Step::FetchAgain);
            }
            _ => {}
        }
        if faults.fail && is_idle && matches!(progress.stage, Stage::Numbered | Stage::Fetched) {
            add(Step::Fail);
        }
        let may_upload = progress.stage == Stage::Fetched || (faults.copies && progress.stage.is_done());
        match progress.upload {
            Upload::Idle if !may_upload || world.is_leased && self.writers != Writers::Unleased => {}
            Upload::Idle if self.writers == Writers::AtOnce => {
                add(Step::Upload);
                if faults.crash {
                    add(Step::UploadUnheard);
                    add(Step::UploadCrash);
                }
            }
            Upload::Idle => add(Step::Look),
            Upload::Looked(_) => {
                add(Step::Write);
                if faults.crash {
                    add(Step::Crash);
                }
            }
            Upload::Written => {
                add(Step::Release);
                if faults.crash {
                    add(Step::ReleaseUnheard);
                    add(Step::Crash);
                }
            }
        }
    }

    fn take(&self, world: &mut World, push: Index, step: Step) {
        match step {
            Step::Make => {
                world.made += 1;
                world.push_mut(push).stage = Stage::Made;
            }
            Step::Number => self.number(world, push),
            Step::Fetch | Step::FetchAgain => {
                world.push_mut(push).ref_now = self.tip(world);
                world.push_mut(push).stage = Stage::Fetched;
            }
            Step::Glance => {
                if let Verdict::Superseded(_) = self.verdict(world, push, world.object, None) {
                    world.end(push, Stage::Superseded);
                }
            }
            Step::Look => self.look(world, push),
            Step::Write => self.write(world, push),
            Step::Release => {
                self.release(world, push);
                world.end(push, Stage::Delivered);
            }
            Step::ReleaseUnheard => self.release(world, push),
            Step::Crash => world.free(push),
            Step::Upload | Step::UploadUnheard | Step::UploadCrash => {
                self.look(world, push);
                if world.is_leased {
                    self.write(world, push);
                    self.take(
                        world,
                        push,
                        match step {
                            Step::UploadUnheard => Step::ReleaseUnheard,
                            Step::UploadCrash => Step::Crash,
                            _ => Step::Release,
                        },
                    );
                }
            }
            Step::Fail => {
                let progress = world.push_mut(push);
                let fetched = progress.stage == Stage::Fetched;
                progress.stage = Stage::Failed { fetched };
            }
            Step::Resend => {
                let progress = world.push_mut(push);
                progress.stage = match progress.stage {
                    Stage::Failed { fetched: true } => Stage::Fetched,
                    _ => Stage::Numbered,
                };
            }
        }
    }
}

impl Model for Exploration {
    type State = World;
    type Action = (Index, Step);

    fn init_states(&self) -> Vec<World> {
        (0..).take(self.histories.len()).map(World::of).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Self::Action>) {
        for push in 0..self.moves {
            self.steps(world, push, &mut |step| actions.push((push, step)));
        }
    }

    fn next_state(&self, world: &World, (push, step): Self::Action) -> Option<World> {
        let mut next = world.clone();
        self.take(&mut next, push, step);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.properties.clone()
    }
}

/// Returns the newest push of the whole history, or `None` if it was not made yet: a shorter history covers that state.
fn newest(exploration: &Exploration, world: &World) -> Option<Index> {
    (world.made == exploration.moves).then(|| world.made - 1)
}

fn is_there(exploration: &Exploration, world: &World, push: Index) -> bool {
    exploration.content(world) == Some(exploration.after(world, push))
}

fn newest_done_is_there(exploration: &Exploration, world: &World) -> bool {
    world
        .newest_done()
        .is_none_or(|push| is_there(exploration, world, push))
}

fn has_a_commit_that_comes_back(exploration: &Exploration, world: &World) -> bool {
    let history = exploration.history(world);
    (1..history.len()).any(|at| history[at] > 0 && history[..at].contains(&history[at]))
}

/// Returns whether two pushes are done that are not neighbours, of which the older one has the higher number.
fn was_overtaken_by_more_than_the_next(world: &World) -> bool {
    let is_overtaken = |older: Index, newer: Index| {
        world.is_done(older) && world.is_done(newer) && world.push(older).number > world.push(newer).number
    };
    (2..world.made).any(|newer| (0..newer - 1).any(|older| is_overtaken(older, newer)))
}

/// Holds for any order of webhooks. A push that is superseded by one with the same content counts as delivered.
fn newest_is_delivered(exploration: &Exploration, world: &World) -> bool {
    newest(exploration, world)
        .is_none_or(|push| !world.push(push).stage.is_done() || is_there(exploration, world, push))
}

/// If webhooks come in another order, an older push with the same content may have the higher number.
fn newest_is_not_superseded(exploration: &Exploration, world: &World) -> bool {
    newest(exploration, world)
        .is_none_or(|push| world.push(push).stage != Stage::Superseded || !world.is_numbered_in_order())
}

/// Holds for any order of webhooks, and whichever pushes fail. So the newest push that has not failed is at the
/// destination if webhooks come in order and each push is fetched before the next one is made, which is the usual case.
/// If one of four pushes fails after its write, it may have superseded others without being done, and nothing is
/// promised.
fn highest_number_is_there_if_found(exploration: &Exploration, world: &World) -> bool {
    let numbered = |push: Index| world.push(push).number;
    (0..world.made)
        .filter(|push| world.push(*push).stage.is_done())
        .max_by_key(|push| numbered(*push))
        .is_none_or(|push| {
            let was_found = world.push(push).ref_now == exploration.after(world, push);
            // The response of a later push may have been lost after its write.
            let is_later = world
                .object
                .is_some_and(|zip| numbered(zip.push) > numbered(push));
            !was_found || is_later || is_there(exploration, world, push)
        })
}

/// Holds whichever pushes fail.
fn newest_done_is_there_in_order(exploration: &Exploration, world: &World) -> bool {
    newest_done_is_there(exploration, world)
        || !world.is_numbered_in_order()
        || has_a_commit_that_comes_back(exploration, world)
}

/// Holds whichever pushes fail, but not if one of four fails after its write, as above.
fn newest_done_is_there_if_only_the_next_overtakes(exploration: &Exploration, world: &World) -> bool {
    newest_done_is_there(exploration, world)
        || was_overtaken_by_more_than_the_next(world)
        || has_a_commit_that_comes_back(exploration, world)
}

fn duplicates_repeat(exploration: &Exploration, world: &World) -> bool {
    (0..world.made).all(|push| {
        let Stage::Duplicate { of } = world.push(push).stage else {
            return true;
        };
        let between = world.push(of).number..world.push(push).number;
        let deleted_between = (0..world.made)
            .map(|other| world.push(other))
            .any(|other| other.stage == Stage::Deletion && between.contains(&other.number));
        // What the sweep has found repeats whatever has led to the same object.
        let is_swept = exploration
            .pushes
            .iter()
            .all(|push| push.trigger == Trigger::Sweep);
        (is_swept || exploration.before(world, of) == exploration.before(world, push))
            && exploration.after(world, of) == exploration.after(world, push)
            && !deleted_between
    })
}

/// A look ends a push or lets it write, and a write ends it, so no push is ever stuck.
fn nothing_is_stuck(_: &Exploration, world: &World) -> bool {
    world.pushes.iter().all(|push| push.stage != Stage::Stuck)
}

/// Three pushes are done, and the fourth, which is the newest, has failed, but the ref was at it when the others were
/// fetched. So none of them found the ref at its own `after`. If nothing is known of the times of their commits, the
/// number decides between two that are not neighbours. Sending the newest again repairs it.
fn older_is_there_after_webhooks_out_of_order(exploration: &Exploration, world: &World) -> bool {
    !newest_done_is_there(exploration, world)
        && !has_a_commit_that_comes_back(exploration, world)
        && exploration.content(world) != Some(exploration.tip(world))
}

/// The same happens with webhooks in order if a commit has come back to the ref: an older push then seems to follow a
/// newer one, or to be what the ref pointed to when the newer one was fetched.
fn older_is_there_after_a_commit_came_back(exploration: &Exploration, world: &World) -> bool {
    !newest_done_is_there(exploration, world)
        && world.is_numbered_in_order()
        && exploration.content(world) != Some(exploration.tip(world))
}

fn promises() -> Vec<Property<Exploration>> {
    vec![
        Property::always("the newest push is delivered", newest_is_delivered),
        Property::always("the newest push is not superseded", newest_is_not_superseded),
        Property::always(
            "the highest number is there if it was found",
            highest_number_is_there_if_found,
        ),
        Property::always(
            "the newest that has not failed is there",
            newest_done_is_there_in_order,
        ),
        Property::always(
            "the newest that has not failed is there if only the next one overtakes it",
            newest_done_is_there_if_only_the_next_overtakes,
        ),
        Property::always("a duplicate repeats", duplicates_repeat),
        Property::always("nothing is stuck", nothing_is_stuck),
    ]
}

/// The result of an exploration.
struct Explored {
    histories: usize,
    states: usize,
    /// The properties for which something was found: a counterexample, or an example for one that holds sometimes.
    found: Vec<String>,
}

fn explore(exploration: Exploration, finish_when: HasDiscoveries) -> Explored {
    let checker = exploration
        .checker()
        .threads(available_parallelism().map_or(1, usize::from))
        .finish_when(finish_when)
        .spawn_bfs()
        .join();
    let exploration = checker.model();
    let found = checker.discoveries().into_iter().map(|(name, path)| {
        let world = path.last_state().clone();
        let history = exploration.history(&world);
        let mut told = format!("{name}: {history:?}");
        for (push, step) in path.into_actions() {
            let _ = write!(told, "; {push} {step:?}");
        }
        let _ = write!(told, "; then {world:?}");
        told
    });
    Explored {
        histories: exploration.histories.len(),
        states: checker.unique_state_count(),
        found: found.collect(),
    }
}

/// Explores everything. Returns the numbers of histories and of states.
fn assert_promises(moves: u8, writers: Writers, faults: Faults) -> (usize, usize) {
    let exploration = Exploration::new(moves, judge, writers, faults, promises());
    let explored = explore(exploration, HasDiscoveries::All);
    assert!(explored.found.is_empty(), "{}", explored.found.join("\n"));
    (explored.histories, explored.states)
}

/// Returns counterexamples for the newest of three pushes, by another rule or other writers.
fn counterexamples(rule: Rule, writers: Writers, faults: Faults) -> Vec<String> {
    let promise = Property::always("the newest push is delivered", newest_is_delivered);
    let exploration = Exploration::new(3, rule, writers, faults, vec![promise]);
    explore(exploration, HasDiscoveries::Any).found
}

#[test]
fn of_up_to_three_pushes_the_newest_is_delivered() {
    for (moves, histories) in [(1, 3), (2, 7), (3, 20)] {
        let (explored, states) = assert_promises(moves, Writers::Leased, Faults::default());
        println!("{moves} pushes: {explored} histories, {states} states");
        assert_eq!(explored, histories);
        assert!(states > 5 * histories, "{states}");
    }
}

#[test]
fn of_three_pushes_the_newest_is_delivered_whatever_goes_wrong() {
    let faults = Faults {
        renumber: false,
        ..ALL_FAULTS
    };
    let (histories, states) = assert_promises(3, Writers::Leased, faults);
    println!("three pushes with faults: {histories} histories, {states} states");
    assert_eq!(histories, 20);
    assert!(states > 100_000, "{states}");
}

/// Of these, more are duplicates: whichever of the three the sweep has found, fewer pushes repeat others than here.
#[test]
fn of_three_pushes_that_the_sweep_found_the_newest_is_delivered_whatever_goes_wrong() {
    let faults = Faults {
        renumber: false,
        ..ALL_FAULTS
    };
    let mut exploration = Exploration::new(3, judge, Writers::AtOnce, faults, promises());
    exploration.pushes = all_pushes(Trigger::Sweep);
    let explored = explore(exploration, HasDiscoveries::All);
    assert!(explored.found.is_empty(), "{}", explored.found.join("\n"));
    println!("three swept pushes: {} states", explored.states);
    assert!(explored.states > 10_000, "{}", explored.states);
}

#[test]
fn of_three_pushes_that_are_numbered_twice_the_newest_is_delivered() {
    let faults = Faults {
        fail: false,
        ..ALL_FAULTS
    };
    let (histories, states) = assert_promises(3, Writers::AtOnce, faults);
    println!("three pushes numbered twice: {histories} histories, {states} states");
    assert_eq!(histories, 20);
    assert!(states > 100_000, "{states}");
}

#[test]
fn of_four_pushes_the_newest_is_delivered_and_if_it_fails_an_older_one_may_stay() {
    let faults = Faults {
        copies: true,
        ..Faults::default()
    };
    let mut properties = promises();
    // The later a commit is first on the ref, the later it was made.
    properties.push(Property::always(
        "no older one after webhooks out of order",
        |exploration, world| !older_is_there_after_webhooks_out_of_order(exploration, world),
    ));
    properties.push(Property::sometimes(
        "older after a commit came back",
        older_is_there_after_a_commit_came_back,
    ));
    let exploration = Exploration::new(4, judge, Writers::AtOnce, faults, properties);
    let explored = explore(exploration, HasDiscoveries::All);
    let (histories, states) = (explored.histories, explored.states);
    println!("four pushes: {histories} histories, {states} states");
    let (examples, counterexamples): (Vec<_>, Vec<_>) = explored
        .found
        .into_iter()
        .partition(|found| found.starts_with("older after"));
    assert!(counterexamples.is_empty(), "{}", counterexamples.join("\n"));
    assert_eq!(examples.len(), 1, "{}", examples.join("\n"));
    assert_eq!(histories, 67);
    assert!(states > 400_000, "{states}");
}

#[test]
fn without_the_times_of_commits_an_older_one_may_stay_after_webhooks_out_of_order() {
    fn without_times(known: &Known<'_>, mine: &DeliveredPush) -> Verdict {
        let without = |push: &DeliveredPush| DeliveredPush {
            committed_at: None,
            ..push.clone()
        };
        let (object, last) = (known.object.map(without), known.last.map(without));
        let known = Known {
            object: object.as_ref(),
            last: last.as_ref(),
            ..*known
        };
        judge(&known, &without(mine))
    }
    let older = Property::sometimes(
        "older after webhooks out of order",
        older_is_there_after_webhooks_out_of_order,
    );
    let faults = Faults::default();
    let exploration = Exploration::new(4, without_times, Writers::AtOnce, faults, vec![older]);
    assert_eq!(explore(exploration, HasDiscoveries::Any).found.len(), 1);
}

#[test]
fn if_lineage_went_first_the_newest_would_be_lost() {
    fn lineage_first(known: &Known<'_>, mine: &DeliveredPush) -> Verdict {
        let Some(object) = known.object else {
            return Verdict::Write;
        };
        let follows = |newer: &DeliveredPush, older: &DeliveredPush| {
            newer.before.is_some() && newer.before == older.after
        };
        match (follows(mine, object), follows(object, mine)) {
            (true, false) => Verdict::Write,
            (false, true) => Verdict::Superseded(Superseded {
                by: object.push_id,
                because: "lineage".to_owned(),
            }),
            _ => judge(known, mine),
        }
    }
    let found = counterexamples(lineage_first, Writers::AtOnce, Faults::default());
    assert_eq!(found.len(), 1);
}

#[test]
fn without_the_lease_the_newest_would_be_lost_because_equal_content_has_equal_entity_tags() {
    let found = counterexamples(judge, Writers::Unleased, Faults::default());
    assert_eq!(found.len(), 1);
}

#[test]
fn if_an_older_delivery_replaced_the_record_of_a_newer_one_the_newest_would_be_lost() {
    let crash = Faults {
        crash: true,
        ..Faults::default()
    };
    let copies = Faults {
        copies: true,
        ..Faults::default()
    };
    for faults in [crash, copies] {
        let found = counterexamples(judge, Writers::Forgetful, faults);
        assert_eq!(found.len(), 1, "{faults:?}");
    }
}
