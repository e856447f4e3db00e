//! `Sweep`: finds the pushes that never arrived, those that are stuck, and destinations that are not what the trail
//! says.
//!
//! It compares what the git hosts list of each watched repository with the trail, and starts the state machine for what
//! no webhook has reported. An execution is named after the change, so two sweeps start it once, and a webhook that
//! comes late for it delivers nothing a second time.

mod destinations;
mod executions;
mod hosts;
mod inspect;
mod missed;
mod report;
mod stuck;
mod watched;

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use audit::{PushTrail, SourceRefs, StateIndex};
use aws::failure::{Failed, chain};
use chrono::{TimeDelta, Utc};
use domain::error::Code;
use domain::git::RepositoryPath;
use domain::push::{Push, SourceName};
use futures::{StreamExt, stream};
use serde::Deserialize;

pub use aws::sources::{Sources, StoredSource, StoredSources};
pub use destinations::{Destinations, Difference};
pub use executions::{Executions, StateMachine};
pub use hosts::{GitHosts, Hosts};
pub use remote::{ListedRef, transfer_if_asked};
pub use report::{
    DifferingDestination, ExpiringLogin, Listing, Report, SkippedRepository, SlowPush, StartedPush,
    StuckPush, Trouble,
};
pub use workflow::Ended;

use inspect::{Findings, Run};
use watched::{Repository, Source};

/// How many repositories are read concurrently. Each read is a process that lists refs.
const CONCURRENCY: usize = 16;
/// How many pushes one run may start. A source that is new, or a host that lists what it likes, does not start more.
const MAX_STARTS: usize = 100;
/// How long a webhook may be on its way.
const GRACE: TimeDelta = TimeDelta::minutes(5);
/// How long before the end of a function's time no repository is looked at any more, so that the report can be written.
const REPORT_MARGIN: Duration = Duration::from_secs(3);

/// The fields of the log's line that an alarm counts. It is raised if any of them is not 0.
pub const ALARM_FIELDS: [&str; 5] = ["skipped", "failed", "stuck", "differing", "slow"];
/// The fields of the same line that have alarms of their own.
pub const SEPARATE_ALARM_FIELDS: [&str; 2] = ["started", "expiring"];

/// What the sweep needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, T, S, H, E, D> {
    /// The audit trail.
    pub trail: &'a T,
    /// The sources of the stack.
    pub sources: &'a S,
    /// The git hosts.
    pub hosts: &'a H,
    /// The executions of the state machine.
    pub executions: &'a E,
    /// The buckets of the zips.
    pub destinations: &'a D,
}

/// What to sweep. A schedule asks for everything, with `{}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The sources, or `None` for all of them.
    pub sources: Option<Vec<SourceName>>,
    /// How long a webhook may be on its way, and the event of an execution that has ended. By default it is five
    /// minutes.
    pub grace_seconds: Option<u32>,
}

impl Request {
    fn is_about(&self, source: &StoredSource) -> bool {
        let names = self.sources.as_ref();
        names.is_none_or(|names| names.iter().any(|name| source.is(name)))
    }

    fn is_of(&self, push: &Push) -> bool {
        let names = self.sources.as_ref();
        names.is_none_or(|names| names.contains(&push.source))
    }

    fn grace(&self) -> TimeDelta {
        self.grace_seconds
            .map_or(GRACE, |seconds| TimeDelta::seconds(seconds.into()))
    }
}

/// Sweeps as `payload` asks for, and writes the report to the log.
///
/// # Errors
/// Returns [`Failed`] if the payload cannot be read, or the sources cannot be listed.
pub async fn run<T, S, H, E, D>(
    deps: &Deps<'_, T, S, H, E, D>,
    payload: serde_json::Value,
    time_limit: Duration,
) -> Result<Report, Failed>
where
    T: PushTrail + SourceRefs + StateIndex<Push>,
    S: Sources,
    H: Hosts,
    E: Executions,
    D: Destinations,
{
    let malformed = |error: serde_json::Error| {
        Failed::with_cause(
            Code::InputInvalid,
            &format!("the input of Sweep is malformed: {error}"),
        )
    };
    let request: Request = serde_json::from_value(payload).map_err(malformed)?;
    let report = Box::pin(handle(deps, &request, time_limit)).await?;
    log(&report);
    Ok(report)
}

/// Writes the report to the log. The alarms count the fields of [`ALARM_FIELDS`] and [`SEPARATE_ALARM_FIELDS`].
fn log(report: &Report) {
    tracing::info!(
        repositories = report.repositories,
        skipped = report.skipped.count,
        failed = report.failed.count,
        started = report.started.count,
        stuck = report.stuck.count,
        differing = report.differing.count,
        slow = report.slow.count,
        expiring = report.expiring.count,
        report = serde_json::to_string(report).unwrap_or_default(),
        "swept"
    );
}

/// Sweeps as it is asked to.
///
/// A source, a repository or a push that cannot be looked at is reported, and does not stop the others.
///
/// # Errors
/// Returns [`Failed`] if the sources cannot be listed.
pub async fn handle<T, S, H, E, D>(
    deps: &Deps<'_, T, S, H, E, D>,
    request: &Request,
    time_limit: Duration,
) -> Result<Report, Failed>
where
    T: PushTrail + SourceRefs + StateIndex<Push>,
    S: Sources,
    H: Hosts,
    E: Executions,
    D: Destinations,
{
    let began = Instant::now();
    let run = Run {
        deps,
        deadline: began + time_limit.saturating_sub(REPORT_MARGIN),
        now: Utc::now(),
        grace: request.grace(),
        starts_left: AtomicUsize::new(MAX_STARTS),
        unanswered: Mutex::default(),
    };
    let mut report = Report::default();
    let sources = Box::pin(read_sources(deps, request, &mut report)).await?;
    for source in &sources {
        let expiring = deps.hosts.expiring(&source.login).into_iter();
        report.expiring.extend(expiring.map(|login| ExpiringLogin {
            source: source.name.clone(),
            login,
        }));
    }
    let concerned = |push: &Push| request.is_of(push);
    // The SDK's futures are nested deeply. Boxing them keeps the type of this one within rustc's recursion limit.
    Box::pin(stuck::close(
        deps.trail,
        deps.executions,
        concerned,
        (run.now, run.grace),
        &mut report,
    ))
    .await;
    let mut inspected: Vec<_> = stream::iter(in_turn(&sources).into_iter().enumerate())
        .map(async |(turn, (source, repository))| {
            let findings = Box::pin(run.inspect(source, repository)).await;
            (turn, source, repository, findings)
        })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    inspected.sort_by_key(|(turn, ..)| *turn);
    let mut first_skipped: Vec<(&SourceName, &RepositoryPath)> = Vec::new();
    for (_, source, repository, findings) in inspected {
        let Some(findings) = findings else {
            if !first_skipped.iter().any(|(name, _)| *name == &source.name) {
                first_skipped.push((&source.name, &repository.path));
            }
            report.skipped.push(SkippedRepository {
                source: source.name.clone(),
                repository: repository.path.clone(),
            });
            continue;
        };
        report.repositories += 1;
        add(&mut report, source, repository, findings);
    }
    for source in &sources {
        let skipped = first_skipped.iter().find(|(name, _)| *name == &source.name);
        let next = skipped.map(|(_, path)| *path);
        if next != source.begins_with.as_ref()
            && let Err(error) = deps.trail.put_sweep_begins_with(&source.name, next).await
        {
            let failed = Failed::new(&error);
            report
                .failed
                .push(Trouble::of_source(source.name.as_str(), &failed));
        }
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

async fn read_sources<T, S, H, E, D>(
    deps: &Deps<'_, T, S, H, E, D>,
    request: &Request,
    report: &mut Report,
) -> Result<Vec<Source<H::Login>>, Failed>
where
    T: SourceRefs,
    S: Sources,
    H: Hosts,
{
    let stored = deps.sources.list().await;
    let stored = stored.map_err(|error| Failed::with_cause(Code::SourcesUnreadable, &chain(&error)))?;
    for name in request.sources.iter().flatten() {
        if !stored.iter().any(|stored| stored.is(name)) {
            let failed = Failed::with_cause(Code::SourceInvalid, &format!("there is no source {name}"));
            report.failed.push(Trouble::of_source(name.as_str(), &failed));
        }
    }
    let mut sources = Vec::new();
    for stored in stored.iter().filter(|stored| request.is_about(stored)) {
        let login = async |name: &SourceName| deps.hosts.login(name).await;
        match Source::read(stored, deps.trail, login).await {
            Ok(source) => sources.extend(source),
            Err(failed) => report.failed.push(Trouble::of_source(&stored.name, &failed)),
        }
    }
    Ok(sources)
}

/// Returns the repositories of all sources in turn, one of each, so that a large source does not take all the time.
fn in_turn<L>(sources: &[Source<L>]) -> Vec<(&Source<L>, &Repository)> {
    let longest = sources.iter().map(|source| source.repositories.len()).max();
    let rounds = 0..longest.unwrap_or_default();
    rounds
        .flat_map(|round| {
            let of_round = sources.iter();
            of_round.filter_map(move |source| Some((source, source.repositories.get(round)?)))
        })
        .collect()
}

fn add<L>(report: &mut Report, source: &Source<L>, repository: &Repository, findings: Findings) {
    report.started.extend(findings.started);
    report.started_before += findings.started_before;
    report.left += findings.left;
    report.differing.extend(findings.differing);
    let failed = findings.failed.iter();
    let of_repository = |failed| Trouble::of_repository(&source.name, &repository.path, failed);
    report.failed.extend(failed.map(of_repository));
}

#[cfg(test)]
mod tests;
