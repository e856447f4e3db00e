//! Rollbacks: their trail, and which pushes replace the zip that was delivered again.

#![expect(clippy::panic, clippy::unwrap_used, reason = "the helpers of tests")]

use std::collections::BTreeMap;

use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::contract::Deliver;
use domain::event::PushEvent;
use domain::git::ObjectId;
use domain::order::{DeliveredPush, Known, Verdict, judge};
use domain::push::Push;
use domain::samples::{self, object_id};
use domain::state::{PushState, Status};
use uuid::Uuid;

fn to() -> Push {
    samples::push("d1", "refs/heads/main")
}

fn rollback() -> Push {
    to().rolled_back_to(
        Uuid::from_u128(1),
        Some("arn:aws:iam::123456789012:user/jo".to_owned()),
    )
}

fn decision() -> PushEvent {
    PushEvent::PushValidated(Deliver {
        sequence: 4,
        rollback: Some(samples::version()),
        ..samples::deliver()
    })
}

fn found() -> PushEvent {
    PushEvent::VersionFound(Box::new(samples::found_version()))
}

fn begun() -> Vec<PushEvent> {
    vec![samples::received(&rollback(), "e1"), decision()]
}

fn follows(given: Vec<PushEvent>, when: PushEvent) -> bool {
    let version = given.len() as u64 + 1;
    let state = samples::folded(given);
    let recorded = RecordedEvent::new(version, state.head.clone(), samples::time(), when).unwrap();
    Push::follow(Some(state), &recorded).is_ok()
}

#[test]
fn a_rollback_is_a_push_of_its_own_that_does_not_move_the_ref() {
    let (to, rollback) = (to(), rollback());
    rollback.check_identity().unwrap();
    assert_ne!(rollback.push_id, to.push_id);
    assert_ne!(
        rollback.push_id,
        to.rolled_back_to(Uuid::from_u128(2), None).push_id
    );
    assert_eq!((&rollback.before, &rollback.after), (&to.after, &to.after));
    let says = format!("rollback to push {}", to.push_id);
    assert_eq!(rollback.started_by(), Some(says));
    // Whoever rolls back to a rollback gets the same zip.
    let again = rollback.rolled_back_to(Uuid::from_u128(3), None);
    assert_eq!(
        (again.after, again.rollback_to),
        (to.after, Some(rollback.push_id))
    );
}

#[test]
fn a_rollback_finds_a_version_and_neither_fetches_nor_packages() {
    assert!(follows(begun(), found()));
    assert!(!follows(begun(), PushEvent::CommitFetched(samples::fetched())));
    let mut events = begun();
    events.push(found());
    assert!(!follows(events.clone(), found()));
    assert!(!follows(
        events.clone(),
        PushEvent::ArchivePackaged(samples::archive())
    ));
    assert_eq!(samples::folded(events.clone()).status, Status::Packaged);
    let zip = samples::delivered();
    events.extend([
        PushEvent::ArchiveUploaded(zip.clone()),
        PushEvent::PushDelivered(zip),
    ]);
    assert_eq!(samples::folded(events).status, Status::Delivered);
    // No other push does.
    let validated = PushEvent::PushValidated(samples::deliver());
    assert!(!follows(vec![samples::received(&to(), "e1"), validated], found()));
    assert!(!follows(vec![samples::received(&rollback(), "e1")], found()));
}

#[test]
fn a_rollback_that_is_taken_over_keeps_what_the_ref_pointed_to() {
    let mut events = begun();
    events.extend([found(), samples::push_failed("e1"), samples::retried("e2")]);
    let PushEvent::PushValidated(mut other) = decision() else {
        unreachable!()
    };
    let again = |deliver: PushEvent| -> PushState {
        let mut events = events.clone();
        events.push(deliver);
        samples::folded(events)
    };
    assert_eq!(again(decision()).fetched, Some(samples::fetched()));
    other.rollback.as_mut().unwrap().version_id = "4".to_owned();
    assert_eq!(again(PushEvent::PushValidated(other)).fetched, None);
}

#[test]
fn the_events_of_a_rollback_have_their_golden_form() {
    let mut previous = None;
    let mut events = begun();
    events.push(found());
    let events: Vec<_> = (1..)
        .zip(events)
        .map(|(version, event)| {
            let recorded = RecordedEvent::new(version, previous.take(), samples::time(), event).unwrap();
            previous = Some(recorded.sha256.clone());
            recorded
        })
        .collect();
    let golden = include_str!("events-rollback.json");
    let written = serde_json::to_string_pretty(&events).unwrap();
    assert_eq!(written.trim(), golden.trim());
    let read: Vec<RecordedEvent<PushEvent>> = serde_json::from_str(golden).unwrap();
    assert_eq!(read, events);
}

/// What happens to a push, or to the rollback, in this order: the ref moves, the push is numbered, the git host is
/// asked what the ref points to, and the zip is delivered. The rollback does not move the ref, and looks whether
/// another push was numbered while it has asked: then it is numbered and asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Move,
    Number,
    Ask,
    Look,
    Deliver,
}

/// The pushes after the one at the beginning, each with what it moves the ref to.
const MOVES: [char; 2] = ['b', 'c'];
/// The place of the rollback, behind the pushes.
const ROLLBACK: usize = MOVES.len();

/// The ref, and the destination. At the beginning both have `a`, whose push was the second one: the rollback leads to
/// the push of `f` before it.
#[derive(Debug, Clone)]
struct World {
    host_answers: bool,
    at: char,
    last: (u64, usize),
    next: [Option<Step>; ROLLBACK + 1],
    /// The steps so far, each with whose it is.
    history: Vec<(usize, Step)>,
    begun: BTreeMap<usize, DeliveredPush>,
    there: DeliveredPush,
}

impl World {
    fn new(host_answers: bool) -> Self {
        let mut next = [Some(Step::Move); ROLLBACK + 1];
        next[ROLLBACK] = Some(Step::Number);
        Self {
            host_answers,
            at: 'a',
            last: (2, usize::MAX),
            next,
            history: Vec::new(),
            begun: BTreeMap::new(),
            there: delivered("p1", Some('f'), 'a', 2),
        }
    }

    /// Returns whether a step may come now: pushes move the ref one after another.
    fn may(&self, who: usize, step: Step) -> bool {
        step != Step::Move || who == 0 || self.last_place(who - 1, Step::Move).is_some()
    }

    fn last_place(&self, who: usize, step: Step) -> Option<usize> {
        self.history.iter().rposition(|done| *done == (who, step))
    }

    fn step(&mut self, who: usize, step: Step) {
        self.history.push((who, step));
        self.next[who] = match step {
            Step::Move => {
                self.at = MOVES[who];
                Some(Step::Number)
            }
            Step::Number => {
                self.last = (self.last.0 + 1, who);
                self.begun.insert(who, self.numbered(who));
                Some(Step::Ask)
            }
            Step::Ask if who == ROLLBACK && !self.host_answers => Some(Step::Deliver),
            Step::Ask => {
                self.begun.get_mut(&who).unwrap().ref_now = Some(object_id(self.at));
                Some(if who == ROLLBACK {
                    Step::Look
                } else {
                    Step::Deliver
                })
            }
            Step::Look if self.last.1 == ROLLBACK => Some(Step::Deliver),
            Step::Look => Some(Step::Number),
            Step::Deliver => {
                self.deliver(who);
                None
            }
        };
    }

    fn numbered(&self, who: usize) -> DeliveredPush {
        let number = self.last.0;
        if who == ROLLBACK {
            let rollback = push("p0", None, 'f').rolled_back_to(Uuid::nil(), None);
            return DeliveredPush::new(&rollback, number, None, "f".repeat(64));
        }
        let before = who.checked_sub(1).map_or('a', |before| MOVES[before]);
        delivered(&format!("p{}", who + 2), Some(before), MOVES[who], number)
    }

    fn deliver(&mut self, who: usize) {
        let mine = self.begun[&who].clone();
        let known = Known {
            object: Some(&self.there),
            last: Some(&self.there),
            last_deletion: None,
        };
        match judge(&known, &mine) {
            Verdict::Write => self.there = mine,
            Verdict::Superseded(superseded) => assert_eq!(superseded.by, self.there.push_id),
            other => panic!("{other:?}: {:?}", self.history),
        }
    }

    /// Checks what is at the destination in the end.
    fn check(&self) {
        let last = ROLLBACK - 1;
        let place = |who, step| self.last_place(who, step).unwrap();
        let is_newest = self.there.after == Some(object_id(MOVES[last]));
        let is_rollback = self.there.after == Some(object_id('f'));
        let why = || format!("{:?}\n{:?}", self.there.after, self.history);
        let asked = place(
            ROLLBACK,
            if self.host_answers {
                Step::Ask
            } else {
                Step::Number
            },
        );
        if place(last, Step::Move) > asked {
            assert!(is_newest, "the next push was kept out: {}", why());
        } else if self.host_answers || place(last, Step::Number) < asked {
            assert!(is_rollback, "an earlier push has undone the rollback: {}", why());
        } else {
            // It is not known whether the last push is late, so it is delivered.
            assert!(is_newest, "{}", why());
        }
    }
}

fn push(id: &str, before: Option<char>, after: char) -> Push {
    Push {
        before: before.map(object_id),
        after: Some(object_id(after)),
        ..samples::push(id, "refs/heads/main")
    }
}

fn delivered(id: &str, before: Option<char>, after: char, number: u64) -> DeliveredPush {
    let after_id: ObjectId = object_id(after);
    DeliveredPush::new(
        &push(id, before, after),
        number,
        Some(after_id),
        after.to_string().repeat(64),
    )
}

/// Goes through all orders of the steps that are possible. Returns how many there are.
fn explore(world: &World) -> u64 {
    let mut orders = 0;
    for (who, step) in world.next.iter().enumerate() {
        if let Some(step) = step.filter(|step| world.may(who, *step)) {
            let mut next = world.clone();
            next.step(who, step);
            orders += explore(&next);
        }
    }
    if orders == 0 {
        world.check();
        return 1;
    }
    orders
}

#[test]
fn in_any_order_only_a_push_that_moves_the_ref_afterwards_replaces_the_zip_of_a_rollback() {
    assert!(explore(&World::new(true)) > 200_000);
    assert!(explore(&World::new(false)) > 5_000);
}

/// What was deleted and made again has moved, though the ref points to what it pointed to.
#[test]
fn a_push_that_makes_a_deleted_ref_again_replaces_the_zip_of_a_rollback() {
    let to = push("p0", None, 'f').rolled_back_to(Uuid::nil(), None);
    let rollback = DeliveredPush::new(&to, 3, Some(object_id('a')), "f".repeat(64));
    let again = delivered("p2", None, 'a', 5);
    let verdict = |last_deletion| {
        let known = Known {
            object: Some(&rollback),
            last: Some(&rollback),
            last_deletion,
        };
        judge(&known, &again)
    };
    assert_eq!(verdict(Some(4)), Verdict::Write);
    for before in [None, Some(2)] {
        assert!(matches!(verdict(before), Verdict::Superseded(_)), "{before:?}");
    }
}
