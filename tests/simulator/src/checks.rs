//! The guarantees that are checked at the end of a history.

use domain::aggregate::{Aggregate, RecordedEvent};
use domain::contract::{IgnoreReason, Ignored};
use domain::event::PushEvent;
use domain::execution::Execution;
use domain::push::{Push, PushId};
use domain::state::{PushState, Status};
use serde_json::Value;

use crate::destination::Version;
use crate::digest::sha256;
use crate::functions::{short, zip};
use crate::host::{commit_of, is_unchanged, object};
use crate::people::is_of;
use crate::plan::{Known, Plan};
use crate::scheduler::lock;
use crate::world::{Announcement, World};

/// Returns whether a push is complete, by right settings.
pub fn is_well(world: &World, push_id: PushId) -> bool {
    world.trail.model_of(push_id).is_some_and(|state| {
        let is_wrongly_ignored = state.ignored.as_ref().is_some_and(is_by_mistake);
        state.status.is_complete() && state.failure.is_none() && !is_wrongly_ignored
    })
}

/// Returns whether a person has something to do: the push is not complete, or the execution that began last, or that
/// took over the push last, has failed.
pub fn needs_a_person(world: &World, push_id: PushId) -> bool {
    let executions = world.machine.executions();
    let state = world.trail.model_of(push_id);
    let in_charge = state.as_ref().and_then(|state| state.executions.last());
    let is_in_charge = |arn: &str| in_charge.is_some_and(|id| Execution::arn(id) == arn);
    let mine = executions
        .iter()
        .filter(|execution| is_of(&execution.input, push_id));
    let last = mine.clone().next_back().map(|execution| &execution.arn);
    let has_failed = mine
        .filter(|execution| Some(&execution.arn) == last || is_in_charge(&execution.arn))
        .any(|execution| execution.status.is_failed());
    has_failed || !is_well(world, push_id)
}

fn is_by_mistake(ignored: &Ignored) -> bool {
    matches!(
        ignored.reason,
        IgnoreReason::RefNotWanted | IgnoreReason::RepositoryNotAllowed
    )
}

/// Whatever is not complete is reported: a webhook was not accepted, an execution has failed, or the push is shown as
/// ignored. Without faults only wrong settings keep a push from being complete.
pub fn nothing_is_silent(world: &World, plan: &Plan) {
    let executions = world.machine.executions();
    let is_clear = world.core.weather.is_fair && !plan.has_mistakes;
    for failed in executions
        .iter()
        .filter(|execution| is_clear && execution.status.is_failed())
    {
        let name = short(&failed.arn);
        world.core.is_wrong(format!(
            "{name} has failed, though nothing was wrong: {:?}",
            failed.status
        ));
    }
    for known in lock(&plan.known).iter().filter(|known| known.is_accepted) {
        let push_id = known.delivery.push_id;
        if is_well(world, push_id) {
            continue;
        }
        let name = format!("{} (push {})", known.delivery.name, short(&push_id.to_string()));
        let model = world.trail.model_of(push_id);
        let is_ignored = model
            .as_ref()
            .is_some_and(|state| state.status == Status::Ignored);
        let mut mine = executions
            .iter()
            .filter(|execution| is_of(&execution.input, push_id));
        let is_told = mine.any(|execution| execution.status.is_failed());
        if !is_ignored && !is_told {
            world
                .core
                .is_wrong(format!("{name} has not ended well, and no execution says so"));
        }
        if is_clear {
            world
                .core
                .is_wrong(format!("{name} has not ended well, though nothing was wrong"));
        }
    }
}

/// Checks everything that must hold in the end.
pub fn all_is_well(world: &World, plan: &Plan) {
    let known = lock(&plan.known).clone();
    for known in &known {
        let wrong = wrong_with_push(world, known);
        for what in wrong {
            let push_id = short(&known.delivery.push_id.to_string());
            world
                .core
                .is_wrong(format!("{} (push {push_id}) {what}", known.delivery.name));
        }
    }
    check_numbers(world, &known);
    check_destination(world, plan, &known);
}

fn wrong_with_push(world: &World, known: &Known) -> Vec<String> {
    let mut wrong = Vec::new();
    let push_id = known.delivery.push_id;
    if !known.is_accepted {
        wrong.push("is not accepted".to_owned());
    }
    let events = world.trail.events_of(push_id);
    let state = match Push::fold(&events) {
        Ok(Some(state)) => state,
        Ok(None) => {
            wrong.push("is lost: it has no trail".to_owned());
            return wrong;
        }
        Err(error) => {
            wrong.push(format!("has a trail that cannot be: {error}"));
            return wrong;
        }
    };
    if world.trail.model_of(push_id).as_ref() != Some(&state) {
        wrong.push("has a read model that is not what its trail says".to_owned());
    }
    if !is_well(world, push_id) {
        wrong.push(format!(
            "has not ended well: it is {}, {:?}",
            state.status, state.failure
        ));
    }
    let uploads = events
        .iter()
        .filter(|event| matches!(event.event, PushEvent::ArchiveUploaded(_)));
    if uploads.count() > 1 {
        wrong.push("was delivered by two executions".to_owned());
    }
    wrong.extend(wrong_with_announcements(world, &state, &events));
    match state.status {
        Status::Delivered => wrong.extend(wrong_with_delivery(world, &state)),
        Status::Superseded | Status::Ignored => wrong.extend(wrong_with_other(world, &state)),
        _ => {}
    }
    wrong
}

/// The end of a push is published after it was recorded, and without faults once by each execution.
fn wrong_with_announcements(
    world: &World,
    state: &PushState,
    events: &[RecordedEvent<PushEvent>],
) -> Option<String> {
    let announcements = lock(&world.announcements).clone();
    let is_end = |said: &&Announcement| said.push_id == state.push_id() && said.status == state.status;
    let ends: Vec<_> = announcements.iter().filter(is_end).collect();
    let closing = events.iter().rev().find(|event| {
        matches!(
            event.event,
            PushEvent::PushDelivered(_)
                | PushEvent::PushSuperseded(_)
                | PushEvent::PushIgnored(_)
                | PushEvent::PushExpired(_)
        )
    });
    let is_told = ends
        .iter()
        .any(|said| closing.is_some_and(|event| event.version <= said.version));
    if !is_told {
        return Some(format!("is {}, and nobody was told", state.status));
    }
    (world.core.weather.is_fair && ends.len() > state.executions.len())
        .then(|| format!("is {}, and that was told {} times", state.status, ends.len()))
}

/// The zip is as the trail says.
fn wrong_with_delivery(world: &World, state: &PushState) -> Option<String> {
    let (delivered, archive) = (state.delivered.as_ref()?, state.archive.as_ref()?);
    let versions = world.store.versions(delivered.key.as_str());
    let version = versions
        .iter()
        .find(|version| Some(&version.id) == delivered.version_id.as_ref());
    let Some(version) = version else {
        return Some(format!(
            "is delivered as {:?}, which does not exist",
            delivered.version_id
        ));
    };
    if sha256(&version.bytes) != archive.sha256 || version.etag() != delivered.etag {
        return Some(format!("is delivered as {}, which has other bytes", version.id));
    }
    if pushed_by(version) != Some(state.push_id()) {
        return Some(format!("is delivered as {}, which is another push's", version.id));
    }
    if let Some(wrong) = wrong_with_zip(state, version) {
        return Some(wrong);
    }
    let provenance = delivered.provenance.as_ref().map_or("", |key| key.as_str());
    let document = world.store.versions(provenance).pop();
    let document: Value = document
        .and_then(|document| serde_json::from_slice(&document.bytes).ok())
        .unwrap_or_default();
    (document["subject"][0]["digest"]["sha256"] != archive.sha256.as_str())
        .then(|| "has a provenance document of another zip".to_owned())
}

/// The zip is of the pushed commit, made by the options of the trail.
fn wrong_with_zip(state: &PushState, version: &Version) -> Option<String> {
    let commit = commit_of(state.push.after.as_ref()?);
    let expected = zip(&commit, &state.deliver.as_ref()?.options);
    (version.bytes != expected.as_bytes()).then(|| {
        let there = String::from_utf8_lossy(&version.bytes);
        format!("has put {there} there, and by its trail it is {expected}")
    })
}

/// The change that superseded this push, or that it repeats, was delivered, possibly by another push that reported it
/// too.
fn wrong_with_other(world: &World, state: &PushState) -> Option<String> {
    let other = match (&state.superseded, &state.ignored) {
        (Some(superseded), _) => superseded.by,
        (None, Some(ignored)) => ignored.duplicate_of?,
        (None, None) => return None,
    };
    // A deletion, and one that has left a zip where it was, has none of its own.
    let has_no_zip = world
        .trail
        .events_of(other)
        .iter()
        .any(|event| match &event.event {
            PushEvent::PushReceived(received) => received.push.after.is_none(),
            PushEvent::PushIgnored(ignored) => ignored.reason == IgnoreReason::PathsUnchanged,
            _ => false,
        });
    if state.status == Status::Superseded && has_no_zip {
        return None;
    }
    let change_of = |push_id| {
        let push = world.trail.model_of(push_id)?.push;
        Some((push.before, push.after))
    };
    let key = World::destination_of(state.push.ref_name.as_str())?.key;
    let change = change_of(other);
    let mut versions = world.store.versions(key.as_str()).into_iter();
    if !versions.any(|version| pushed_by(&version).and_then(change_of) == change) {
        return Some(format!(
            "is {} by push {other}, which was never there",
            state.status
        ));
    }
    (state.status == Status::Ignored && change_of(state.push_id()) != change)
        .then(|| "is the duplicate of a push that reports another change".to_owned())
}

fn pushed_by(version: &Version) -> Option<PushId> {
    version.metadata.get("push-id")?.parse().ok()
}

/// No two pushes have the same number.
fn check_numbers(world: &World, known: &[Known]) {
    let models = known
        .iter()
        .filter_map(|known| world.trail.model_of(known.delivery.push_id));
    let mut numbers: Vec<_> = models
        .filter_map(|state| state.deliver.map(|deliver| deliver.sequence))
        .collect();
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
        world.core.is_wrong("two pushes have the same number".to_owned());
    }
}

/// The destination has what the ref points to, or what is the same in the watched paths, and the trail of the push
/// whose zip it is, or of a duplicate of that push, says so. (The trail of the push that the metadata names may lack
/// this, because its writer may have died.)
fn check_destination(world: &World, plan: &Plan, known: &[Known]) {
    let newest = plan.values.last().copied().flatten().and_then(object);
    let Some(destination) = World::destination_of(plan.ref_name) else {
        return;
    };
    let newest_version = world.store.newest(destination.key.as_str());
    let Some(after) = newest else {
        if plan.expires && newest_version.is_some() {
            world
                .core
                .is_wrong("the destination has a zip of a ref that was deleted".to_owned());
        }
        return;
    };
    let Some(version) = newest_version else {
        world.core.is_wrong("the destination is empty".to_owned());
        return;
    };
    let there = String::from_utf8_lossy(&version.bytes).into_owned();
    let commit = commit_of(&after);
    // A destination that watches paths has what is the same in them.
    let as_good = ['a', 'b', 'c']
        .into_iter()
        .filter_map(object)
        .map(|object| commit_of(&object));
    let mut as_good =
        as_good.filter(|other| *other == commit || (plan.watches_paths && is_unchanged(other, &commit)));
    if !as_good.any(|commit| there.starts_with(&format!("zip of {} ", commit.short()))) {
        world
            .core
            .is_wrong(format!("the destination has {there}, and the ref is at {after}"));
        return;
    }
    let is_by = |state: &PushState| {
        let delivered = state.delivered.as_ref();
        let is_delivered =
            delivered.is_some_and(|delivered| delivered.version_id.as_ref() == Some(&version.id));
        let repeats = state
            .ignored
            .as_ref()
            .is_some_and(|ignored| ignored.duplicate_of.is_some());
        (is_delivered || repeats) && wrong_with_zip(state, &version).is_none()
    };
    let mut models = known
        .iter()
        .filter_map(|known| world.trail.model_of(known.delivery.push_id));
    if !models.any(|state| is_by(&state)) {
        world
            .core
            .is_wrong(format!("the destination has {there}, and no trail says why"));
    }
}
