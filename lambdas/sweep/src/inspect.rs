//! The inspection of one repository: what never arrived is started, and destinations are compared.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use audit::{AuditError, LastPush, PushTrail, RefKey};
use aws::failure::{Failed, chain};
use chrono::{DateTime, TimeDelta, Utc};
use domain::destination::Destination;
use domain::error::Code;
use domain::git::RefName;
use domain::policy::{self, Decision};
use domain::push::DestinationName;
use domain::remote_url::{Origin, RemoteUrl};
use futures::{StreamExt, stream};
use remote::ListedRef;

use crate::Deps;
use crate::destinations::{self, Destinations};
use crate::executions::{self, Executions};
use crate::hosts::Hosts;
use crate::missed::{self, Listed};
use crate::report::{DifferingDestination, StartedPush};
use crate::watched::{Repository, Source};

/// How long a host may take to list the refs of a repository.
const LIST_TIMEOUT: Duration = Duration::from_secs(15);
/// How many refs of a repository are read from the trail concurrently, and how many destinations from their buckets.
const CONCURRENT_READS: usize = 8;
/// After how many repositories that it has not answered for a host is not asked for others in the same run.
const MAX_UNANSWERED: usize = 3;
/// How many destinations of a repository are looked at in one run. Each run begins with another one.
const MAX_DESTINATIONS: usize = 25;

/// One run of the sweep.
pub struct Run<'a, T, S, H, E, D> {
    pub deps: &'a Deps<'a, T, S, H, E, D>,
    /// When the run has to end.
    pub deadline: Instant,
    /// The time of the run.
    pub now: DateTime<Utc>,
    /// How long a webhook may be on its way.
    pub grace: TimeDelta,
    /// How many more pushes may be started.
    pub starts_left: AtomicUsize,
    /// For how many repositories each host has not answered since it last did.
    pub unanswered: Mutex<HashMap<Origin, usize>>,
}

/// What an inspection has found.
#[derive(Debug, Default)]
pub struct Findings {
    pub started: Vec<StartedPush>,
    pub started_before: usize,
    pub left: usize,
    pub differing: Vec<DifferingDestination>,
    pub failed: Vec<Failed>,
}

impl<T, S, H, E, D> Run<'_, T, S, H, E, D>
where
    T: PushTrail,
    H: Hosts,
    E: Executions,
    D: Destinations,
{
    /// Looks at a repository. Returns `None` if there is no time for it.
    pub async fn inspect(&self, source: &Source<H::Login>, repository: &Repository) -> Option<Findings> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let mut findings = Findings::default();
        let inspected =
            tokio::time::timeout(left, self.inspect_into(source, repository, &mut findings)).await;
        match inspected {
            Ok(Ok(())) => {}
            Ok(Err(failed)) => findings.failed.push(failed),
            // What was started is reported. The others are looked at again.
            Err(_) if findings.started.is_empty() => return None,
            Err(_) => {}
        }
        Some(findings)
    }

    async fn inspect_into(
        &self,
        source: &Source<H::Login>,
        repository: &Repository,
        findings: &mut Findings,
    ) -> Result<(), Failed> {
        let clone_urls = repository.clone_urls(&source.settings);
        let url = repository.url(&source.name, &source.settings, &clone_urls)?;
        let listed = self.list(source, &url).await?;
        let mut changed = BTreeSet::new();
        for destination in source.settings.destinations() {
            let moved = missed::compare(&repository.known, destination, &listed, &source.wanted);
            changed.extend(moved.iter().map(|(name, _)| (destination.cloned(), name.clone())));
            Box::pin(self.start(source, repository, (destination, &clone_urls), moved, findings)).await;
        }
        Box::pin(self.compare_destinations(source, repository, &changed, findings)).await;
        Ok(())
    }

    /// Lists the refs at a URL, unless its host has not answered for some repositories already. It would take all the
    /// time from the others.
    async fn list(&self, source: &Source<H::Login>, url: &RemoteUrl) -> Result<Vec<ListedRef>, Failed> {
        let origin = url.origin();
        let unanswered = || self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered()
            .get(origin)
            .is_some_and(|count| *count >= MAX_UNANSWERED)
        {
            let cause =
                format!("{url} was not asked, because {origin} has not answered for other repositories");
            return Err(Failed::with_cause(Code::GitHostUnreachable, &cause));
        }
        let listed = self.deps.hosts.list(&source.login, url, LIST_TIMEOUT).await;
        match &listed {
            Err(failed) if [Code::GitHostUnreachable, Code::GitHostTimedOut].contains(&failed.code) => {
                *unanswered().entry(origin.clone()).or_default() += 1;
            }
            _ => drop(unanswered().remove(origin)),
        }
        listed
    }

    /// Starts the pushes of the refs that have moved without one to a destination.
    async fn start(
        &self,
        source: &Source<H::Login>,
        repository: &Repository,
        (destination, clone_urls): (Option<&DestinationName>, &[String]),
        moved: Vec<Listed>,
        findings: &mut Findings,
    ) {
        // What the trail has now decides: a push may have been numbered since its refs were read.
        let mut last: Vec<(Listed, Result<Option<LastPush>, AuditError>)> = stream::iter(moved)
            .map(async |listed| {
                let key = RefKey::new(&source.name, &repository.path, &listed.0, destination);
                let last = self.deps.trail.last_push(&key).await;
                (listed, last)
            })
            .buffered(CONCURRENT_READS)
            .collect()
            .await;
        last.retain(|((_, listed), last)| match last {
            Ok(last) => missed::is_missed(last.as_ref(), listed.as_ref(), self.now, self.grace),
            Err(_) => true,
        });
        let all: Vec<Listed> = last.iter().map(|(listed, _)| listed.clone()).collect();
        for (listed, last) in last {
            let last = match last {
                Ok(last) => last,
                Err(error) => {
                    findings.failed.push(Failed::new(&error));
                    continue;
                }
            };
            let take = |left: usize| left.checked_sub(1);
            let order = Ordering::Relaxed;
            if self.starts_left.fetch_update(order, order, take).is_err() {
                findings.left += 1;
                continue;
            }
            let reason = missed::reason(source.settings.provider, &listed.0, &all);
            let path = &repository.path;
            let last = last.as_ref();
            let push = missed::push(&source.name, path, clone_urls, listed, destination, last, reason);
            let input = match serde_json::to_string(&push) {
                Ok(input) => input,
                Err(error) => {
                    findings
                        .failed
                        .push(Failed::with_cause(Code::InputInvalid, &chain(&error)));
                    continue;
                }
            };
            match self
                .deps
                .executions
                .start(&push.push_id.to_string(), &input)
                .await
            {
                Ok(true) => {
                    tracing::info!(push_id = %push.push_id, repository = %path, "started");
                    findings.started.push(StartedPush::of(push));
                }
                Ok(false) => {
                    self.starts_left.fetch_add(1, order);
                    findings.started_before += 1;
                }
                Err(error) => findings.failed.push(executions::failed(&error)),
            }
        }
    }

    /// Compares the destinations of the refs that are as the trail says.
    async fn compare_destinations(
        &self,
        source: &Source<H::Login>,
        repository: &Repository,
        changed: &BTreeSet<(Option<DestinationName>, RefName)>,
        findings: &mut Findings,
    ) {
        let mut refs: Vec<_> = repository
            .known
            .iter()
            .filter(|known| known.last.after.is_some())
            .filter(|known| !changed.contains(&(known.destination.clone(), known.ref_name.clone())))
            .collect();
        if refs.len() > MAX_DESTINATIONS {
            let mut hasher = DefaultHasher::new();
            self.now.timestamp().hash(&mut hasher);
            let begin = usize::try_from(hasher.finish() % refs.len() as u64).unwrap_or_default();
            refs.rotate_left(begin);
            refs.truncate(MAX_DESTINATIONS);
        }
        let mut keys = BTreeSet::new();
        let mut places = Vec::new();
        for known in refs {
            let listed = (known.ref_name.clone(), known.last.after.clone());
            let urls = &known.last.clone_urls;
            let destination = known.destination.as_ref();
            let push = missed::push(
                &source.name,
                &repository.path,
                urls,
                listed,
                destination,
                None,
                None,
            );
            // Settings that cannot be applied were reported, and a push that they do not want has no destination.
            if let Ok(Decision::Deliver(plan)) = policy::decide(&source.settings, &push)
                && keys.insert((plan.destination.bucket.clone(), plan.destination.key.to_string()))
            {
                places.push((push.ref_name, plan.destination));
            }
        }
        let compared: Vec<_> = stream::iter(places)
            .map(async |(ref_name, destination)| {
                let compared = self.compare_destination(&destination).await;
                compared.map(|difference| difference.map(|difference| (ref_name, destination, difference)))
            })
            .buffered(CONCURRENT_READS)
            .collect()
            .await;
        let mut has_failed = false;
        for compared in compared {
            match compared {
                Ok(None) => {}
                Ok(Some((ref_name, destination, (difference, push_id)))) => {
                    findings.differing.push(DifferingDestination {
                        source: source.name.clone(),
                        repository: repository.path.clone(),
                        ref_name,
                        bucket: destination.bucket,
                        key: destination.key.to_string(),
                        difference,
                        push_id,
                    });
                }
                // They most likely fail for one reason.
                Err(_) if has_failed => {}
                Err(failed) => {
                    has_failed = true;
                    findings.failed.push(failed);
                }
            }
        }
    }

    async fn compare_destination(
        &self,
        destination: &Destination,
    ) -> Result<Option<(destinations::Difference, domain::push::PushId)>, Failed> {
        let record = self.deps.trail.destination(destination).await;
        let Some(record) = record.map_err(|error| Failed::new(&error))? else {
            return Ok(None);
        };
        let is_being_written = record.lease.is_some_and(|lease| lease.until > self.now);
        let Some(last) = record.last.filter(|_| !is_being_written) else {
            return Ok(None);
        };
        let metadata = self.deps.destinations.metadata(destination).await;
        let metadata = metadata.map_err(|error| Failed::new(&error))?;
        let difference = destinations::compare(&last, metadata.as_ref());
        Ok(difference.map(|difference| (difference, last.push_id)))
    }
}
