//! Pushes that are open although their execution has ended, or that take long.
//!
//! An execution closes its push, and a rule closes those of executions that were stopped or reached their time limit. A
//! push stays open only if neither could write to the trail. (A push without an execution cannot be: a webhook is
//! accepted only after its execution was started, and a push is in the trail only after its execution has run.)

use audit::{AuditError, EventStore, SortKeys, StateIndex};
use aws::failure::Failed;
use chrono::{DateTime, TimeDelta, Utc};
use domain::event::{PushEvent, PushFailed};
use domain::execution::Execution;
use domain::index::Index;
use domain::push::Push;
use domain::push_index::{Category, category_partition, days_back};
use domain::state::PushState;
use futures::future::try_join_all;
use futures::{StreamExt, stream};

use crate::executions::{self, Executions};
use crate::report::{Report, SlowPush, StuckPush, Trouble};

/// How far back open pushes are looked for.
const SINCE: TimeDelta = TimeDelta::days(31);
/// How many open pushes of one day are looked at in one run.
const MAX_OF_A_DAY: usize = 100;
/// How many executions are read concurrently.
const CONCURRENT_READS: usize = 8;

/// How long a push may be open before it is reported. Retries at a host that does not answer take less.
const SLOW: TimeDelta = TimeDelta::hours(1);

/// What was found of an open push.
enum Finding {
    /// Its execution has ended, and it was closed.
    Stuck(StuckPush),
    /// Its execution has been running for long.
    Slow(SlowPush),
}

/// Reports the open pushes that take long, and closes the open pushes whose execution has ended, as far as they are
/// `concerned`. They are closed as failed, as the rule for stopped executions does it, so that they can be started
/// again.
pub async fn close<T, E>(
    trail: &T,
    executions: &E,
    concerned: impl Fn(&Push) -> bool,
    (now, grace): (DateTime<Utc>, TimeDelta),
    report: &mut Report,
) where
    T: EventStore<Push> + StateIndex<Push>,
    E: Executions,
{
    let open = match open(trail, now).await {
        Ok(open) => open,
        Err(error) => return report.failed.push(Trouble::of_sweep(&Failed::new(&error))),
    };
    // The event of an end may be on its way.
    let is_old = |push: &PushState| now - push.updated_at >= grace && concerned(&push.push);
    let mut closed = stream::iter(open.into_iter().filter(is_old))
        .map(async |push| {
            let closed = close_one(trail, executions, &push, now).await;
            closed.map_err(|failed| Trouble::of_push(&push.push, &failed))
        })
        .buffered(CONCURRENT_READS);
    while let Some(closed) = closed.next().await {
        match closed {
            Ok(Some(Finding::Stuck(stuck))) => report.stuck.push(stuck),
            Ok(Some(Finding::Slow(slow))) => report.slow.push(slow),
            Ok(None) => {}
            Err(trouble) => report.failed.push(trouble),
        }
    }
}

/// Returns the open pushes, as far as the index knows.
async fn open(trail: &impl StateIndex<Push>, now: DateTime<Utc>) -> Result<Vec<PushState>, AuditError> {
    let partitions: Vec<_> = days_back(now, now - SINCE)
        .map(|day| category_partition(Category::Open, day))
        .collect();
    let days = partitions
        .iter()
        .map(|partition| trail.find(Index::Status, partition, SortKeys::All, MAX_OF_A_DAY));
    Ok(try_join_all(days).await?.into_iter().flatten().collect())
}

async fn close_one(
    trail: &impl EventStore<Push>,
    executions: &impl Executions,
    push: &PushState,
    now: DateTime<Utc>,
) -> Result<Option<Finding>, Failed> {
    let Some(execution) = push.executions.last() else {
        return Ok(None);
    };
    let arn = Execution::arn(execution);
    let ended = executions.ended(arn).await;
    let Some(ended) = ended.map_err(|error| executions::failed(&error))? else {
        // When a later execution has begun is not known. It has recorded its last event since.
        let began = match push.executions[..] {
            [_] => push.received_at,
            _ => push.updated_at,
        };
        return Ok((now - began >= SLOW).then(|| Finding::Slow(SlowPush::of(push, arn))));
    };
    let failed = PushFailed {
        execution_id: execution.clone(),
        failure: ended.clone().failure(),
    };
    // The index may be behind the trail.
    let appended = trail
        .append(push.push_id(), |state| {
            let is_stuck = state
                .is_some_and(|state| Category::of(state) == Category::Open && state.is_in_charge(execution));
            is_stuck.then(|| PushEvent::PushFailed(failed.clone()))
        })
        .await;
    let (_, is_closed) = appended.map_err(|error| Failed::new(&error))?;
    Ok(is_closed.then(|| {
        Finding::Stuck(StuckPush {
            push_id: push.push_id(),
            source: push.push.source.clone(),
            repository: push.push.repository.clone(),
            ref_name: push.push.ref_name.clone(),
            execution: arn.to_owned(),
            error: ended.error,
            cause: ended.cause,
        })
    }))
}
