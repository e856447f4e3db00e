//! Which refs have moved without a push in the trail.

use std::collections::{BTreeMap, BTreeSet};

use audit::{LastPush, SourceRef};
use chrono::{DateTime, TimeDelta, Utc};
use domain::git::{ObjectId, RefName, RepositoryPath};
use domain::glob::Globs;
use domain::push::{DeliveryId, DestinationName, Missed, Push, PushId, SourceName, Trigger};
use domain::source::Provider;
use remote::ListedRef;

/// GitLab's limit `push_event_hooks_limit`, as it is by default and on gitlab.com. It counts the branches of a push and
/// its tags each for themselves.
const PUSH_EVENT_HOOKS_LIMIT: usize = 3;

/// A ref, and what the git host lists for it: `None` if it lists no such ref.
pub type Listed = (RefName, Option<ObjectId>);

/// Returns the wanted refs that are not what the trail says of a destination. A ref is missing from `known` if no push
/// of it to this destination was ever numbered.
pub fn compare(
    known: &[SourceRef],
    destination: Option<&DestinationName>,
    listed: &[ListedRef],
    wanted: &Globs,
) -> Vec<Listed> {
    let of_destination = known
        .iter()
        .filter(|known| known.destination.as_ref() == destination);
    let mut last: BTreeMap<&RefName, Option<&ObjectId>> = of_destination
        .map(|known| (&known.ref_name, known.last.after.as_ref()))
        .collect();
    let mut moved: Vec<Listed> = listed
        .iter()
        .filter(|listed| wanted.match_any(listed.name.as_str()))
        .filter(|listed| {
            let last = last.remove(&listed.name).flatten();
            last != Some(listed.as_reported(last))
        })
        .map(|listed| (listed.name.clone(), Some(listed.object.clone())))
        .collect();
    let deleted = last
        .into_iter()
        .filter(|(name, after)| after.is_some() && wanted.match_any(name.as_str()));
    moved.extend(deleted.map(|(name, _)| (name.clone(), None)));
    // A hostile host may list a ref twice.
    let mut seen = BTreeSet::new();
    moved.retain(|(name, _)| seen.insert(name.clone()));
    moved
}

/// Returns whether a ref that the host lists as `listed` has moved without a push. It has not if its last push was
/// numbered less than `grace` ago, because the webhook of a push that has followed may be on its way.
#[must_use]
pub fn is_missed(
    last: Option<&LastPush>,
    listed: Option<&ObjectId>,
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> bool {
    let Some(last) = last else {
        return listed.is_some();
    };
    // A number is at least the time at which it was given, in milliseconds.
    let numbered_at = i64::try_from(last.sequence)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    let is_old = numbered_at.is_none_or(|numbered_at| now - numbered_at >= grace);
    last.after.as_ref() != listed && is_old
}

/// Returns why the git host has sent no webhook, for each of the refs of a repository that have moved without one.
#[must_use]
pub fn reason(provider: Provider, ref_name: &RefName, all: &[Listed]) -> Option<Missed> {
    let kind = kind(ref_name)?;
    let of_kind = all.iter().filter(|(name, _)| self::kind(name) == Some(kind));
    match provider {
        Provider::GitLab => (of_kind.count() > PUSH_EVENT_HOOKS_LIMIT).then_some(Missed::PushEventHooksLimit),
        // The trail has no reason for what is missed of any other host.
        _ => None,
    }
}

/// Returns whether a ref is a branch or a tag.
fn kind(ref_name: &RefName) -> Option<&'static str> {
    ["refs/heads/", "refs/tags/"]
        .into_iter()
        .find(|prefix| ref_name.as_str().starts_with(prefix))
}

/// Returns the push that has moved a ref from what its last push left to what the git host lists.
///
/// It has the same id as long as no other push of the ref is numbered, so two sweeps start one execution for it. The
/// number of the last push is part of the id, because a ref may be moved between the same commits again and again.
#[must_use]
pub fn push(
    source: &SourceName,
    repository: &RepositoryPath,
    clone_urls: &[String],
    (ref_name, after): Listed,
    destination: Option<&DestinationName>,
    last: Option<&LastPush>,
    missed: Option<Missed>,
) -> Push {
    let before = last.and_then(|last| last.after.clone());
    let text = |object: &Option<ObjectId>| object.as_ref().map_or_else(String::new, ToString::to_string);
    let (from, to) = (text(&before), text(&after));
    let sequence = last.map_or(0, |last| last.sequence);
    // No part can contain a line feed, so the content is unambiguous.
    let content = format!("sweep\n{source}\n{repository}\n{ref_name}\n{sequence}\n{from}\n{to}");
    let delivery_id = DeliveryId::of_content(content.as_bytes());
    Push {
        push_id: PushId::at(source, &delivery_id, &ref_name, destination),
        source: source.clone(),
        delivery_id,
        repository: repository.clone(),
        clone_urls: clone_urls.to_vec(),
        ref_name,
        destination: destination.cloned(),
        before,
        after,
        pusher: None,
        trigger: Trigger::Sweep,
        missed,
        rollback_to: None,
    }
}
