//! A board without a stack: pushes in memory, which tests make and which are made up for the picture in the README.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use audit::{AuditError, EventStore as _, Filter, MemoryTrail, Page, PushQueries as _};
use chrono::{DateTime, TimeDelta, Utc};
use delivery::state::DeploymentState;
use deployed_stack::Error;
use deployed_stack::console::Console;
use deployed_stack::trail::Trail;
use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::contract::{
    Archive, Author, Deliver, Delivered, Failure, FetchedCommit, IgnoreReason, Ignored, Stage, StagedObject,
    Superseded,
};
use domain::event::{PushEvent, PushFailed, PushReceived, PushRetried};
use domain::execution::Execution;
use domain::flow::AttemptFailed;
use domain::push::{Push, PushId};
use domain::push_index::CommitPrefix;
use domain::samples;
use domain::state::PushState;
use uuid::Uuid;

use crate::Pushes;

const MACHINE: &str = "arn:aws:states:eu-central-1:123456789012:execution:push-code";

/// Pushes in memory.
#[derive(Debug, Default)]
pub struct MemoryPushes {
    trail: MemoryTrail<Push>,
    replayed: Mutex<Vec<PushId>>,
    is_down: AtomicBool,
}

impl MemoryPushes {
    /// Records an event of a push.
    ///
    /// # Errors
    /// Returns an error if the event cannot follow those that there are.
    pub async fn record(
        &self,
        id: PushId,
        at: DateTime<Utc>,
        event: PushEvent,
    ) -> Result<PushState, AuditError> {
        let state = self.trail.load(id).await?;
        let version = state.as_ref().map_or(0, |state| state.version) + 1;
        let previous = state.as_ref().and_then(Push::head).cloned();
        let recorded = RecordedEvent::new(version, previous, at, event)?;
        let next = Push::follow(state, &recorded)?;
        self.trail.put_event(&recorded, &next).await?;
        Ok(next)
    }

    /// Returns the pushes that were replayed.
    #[must_use]
    pub fn replayed(&self) -> Vec<PushId> {
        self.replayed.lock().unwrap().clone()
    }

    /// Makes each question fail, or none.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn ask(&self) -> Result<&MemoryTrail<Push>, Error> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::audit("read the trail")(AuditError::Contended {
                item: "a table that is down".to_owned(),
            }));
        }
        Ok(&self.trail)
    }
}

impl<T: Pushes> Pushes for std::sync::Arc<T> {
    fn stack(&self) -> &str {
        T::stack(self)
    }

    fn console(&self) -> Option<Console> {
        T::console(self)
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Result<Page, Error> {
        T::list(self, filter, limit).await
    }

    async fn of_commit(&self, commit: &CommitPrefix) -> Result<Vec<PushState>, Error> {
        T::of_commit(self, commit).await
    }

    async fn trail(&self, id: PushId) -> Result<Trail, Error> {
        T::trail(self, id).await
    }

    async fn deployments(&self, id: PushId) -> Result<Vec<DeploymentState>, Error> {
        T::deployments(self, id).await
    }

    async fn replay(&self, push: &PushState) -> Result<String, Error> {
        T::replay(self, push).await
    }

    async fn roll_back(&self, push: &PushState) -> Result<PushId, Error> {
        T::roll_back(self, push).await
    }
}

impl Pushes for MemoryPushes {
    fn stack(&self) -> &str {
        "push-code"
    }

    fn console(&self) -> Option<Console> {
        let cloudwatch = "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#";
        Console::of(cloudwatch, "push-code")
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Result<Page, Error> {
        let page = self.ask()?.list(filter, limit).await;
        page.map_err(Error::audit("list the pushes"))
    }

    async fn of_commit(&self, commit: &CommitPrefix) -> Result<Vec<PushState>, Error> {
        let pushes = self.ask()?.of_commit(commit).await;
        pushes.map_err(Error::audit("find the commit"))
    }

    async fn trail(&self, id: PushId) -> Result<Trail, Error> {
        let events = self.ask()?.events_of(id);
        let state = Push::fold(&events).unwrap();
        Ok(Trail { events, state })
    }

    async fn deployments(&self, _id: PushId) -> Result<Vec<DeploymentState>, Error> {
        Ok(Vec::new())
    }

    async fn replay(&self, push: &PushState) -> Result<String, Error> {
        self.ask()?;
        let id = push.push_id();
        // As that of a real stack does, it takes a moment in which the same may be asked for again.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        self.replayed.lock().unwrap().push(id);
        let execution = execution(&format!("{id}-replay"), Utc::now());
        let arn = execution.id.clone();
        // What is replayed twice is seen in the list.
        let event = PushEvent::PushRetried(PushRetried { execution });
        let _ = self.record(id, Utc::now(), event).await;
        Ok(arn)
    }

    async fn roll_back(&self, push: &PushState) -> Result<PushId, Error> {
        self.ask()?;
        if push.delivered.is_none() {
            return Err(Error::NoVersion {
                push_id: push.push_id().to_string(),
                reason: "it was not delivered".to_owned(),
            });
        }
        let rollback = push.push.rolled_back_to(Uuid::new_v4(), None);
        let event = PushEvent::PushReceived(PushReceived {
            push: rollback.clone(),
            execution: execution(&rollback.push_id.to_string(), Utc::now()),
        });
        self.record(rollback.push_id, Utc::now(), event)
            .await
            .map_err(Error::audit("record the rollback"))?;
        Ok(rollback.push_id)
    }
}

/// What a made-up push is.
struct Story<'a> {
    repository: &'a str,
    ref_name: &'a str,
    subject: &'a str,
    author: &'a str,
    digit: char,
    /// How many seconds ago its execution has started.
    ago: i64,
}

impl Story<'_> {
    fn push(&self) -> Push {
        let push = samples::push(&format!("{}-{}", self.repository, self.ago), self.ref_name);
        Push {
            repository: self.repository.parse().unwrap(),
            before: domain::digest::Digest::of(self.repository).as_str()[..40]
                .parse()
                .ok(),
            after: Some(self.commit()),
            pusher: Some(self.author.to_owned()),
            ..push
        }
    }

    fn commit(&self) -> domain::git::ObjectId {
        let digits = domain::digest::Digest::of(format!("{}{}", self.subject, self.digit));
        digits.as_str()[..40].parse().unwrap()
    }

    fn fetched(&self, bytes: u64) -> FetchedCommit {
        let fetched = samples::fetched();
        FetchedCommit {
            commit: self.commit().into_commit(),
            author: Author {
                name: self.author.to_owned(),
                email: format!("{}@example.com", self.author.to_lowercase().replace(' ', ".")),
            },
            subject: self.subject.to_owned(),
            unchanged_since: None,
            pack: StagedObject {
                size: bytes,
                ..fetched.pack
            },
            ..fetched
        }
    }

    fn archive(&self, bytes: u64) -> Archive {
        let archive = samples::archive();
        Archive {
            object: StagedObject {
                size: bytes,
                ..archive.object
            },
            sha256: domain::digest::Digest::of(self.subject).to_string(),
            entries: bytes / 5_000,
            ..archive
        }
    }

    fn deliver(&self) -> Deliver {
        let (_, name) = self.ref_name.split_at(5);
        Deliver {
            destination: samples::destination(&format!("gitlab/{}/{name}.zip", self.repository)),
            sequence: 1_700_000_000_000,
            ..samples::deliver()
        }
    }

    fn delivered(&self) -> Delivered {
        Delivered {
            key: self.deliver().destination.key,
            version_id: Some("qWx7LmT0dGzqk2cJ0yqvR1sPZ8mB4hNe".to_owned()),
            ..samples::delivered()
        }
    }

    fn received(&self, now: DateTime<Utc>) -> PushEvent {
        let push = self.push();
        let name = push.push_id.to_string();
        PushEvent::PushReceived(PushReceived {
            execution: execution(&name, now - TimeDelta::seconds(self.ago)),
            push,
        })
    }

    /// Records events, each so many milliseconds after the execution has started.
    async fn append_events(&self, pushes: &MemoryPushes, now: DateTime<Utc>, events: Vec<(i64, PushEvent)>) {
        let id = self.push().push_id;
        let from = now - TimeDelta::seconds(self.ago);
        for (at, event) in events {
            let at = from + TimeDelta::milliseconds(at);
            pushes.record(id, at, event).await.unwrap();
        }
    }

    /// Returns the events of a push that was delivered.
    fn whole(&self, now: DateTime<Utc>, pack: u64, zip: u64) -> Vec<(i64, PushEvent)> {
        let fetch = 400 + i64::try_from(pack / 20_000).unwrap();
        let package = fetch + 150 + i64::try_from(zip / 50_000).unwrap();
        vec![
            (180, self.received(now)),
            (310, PushEvent::PushValidated(self.deliver())),
            (fetch, PushEvent::CommitFetched(self.fetched(pack))),
            (package, PushEvent::ArchivePackaged(self.archive(zip))),
            (package + 240, PushEvent::ArchiveUploaded(self.delivered())),
            (package + 330, PushEvent::PushDelivered(self.delivered())),
        ]
    }
}

fn execution(name: &str, started_at: DateTime<Utc>) -> Execution {
    Execution {
        id: format!("{MACHINE}:{name}"),
        started_at,
    }
}

/// Returns pushes of every kind that were received a moment before `now`, and the id of the one with the most to see:
/// it has failed, was replayed, and was delivered.
pub async fn made_up(now: DateTime<Utc>) -> (MemoryPushes, PushId) {
    let pushes = MemoryPushes::default();
    let story = |repository, ref_name, subject, author, digit, ago| Story {
        repository,
        ref_name,
        subject,
        author,
        digit,
        ago,
    };
    let (shop, site, infra) = ("shop/checkout", "web/site", "platform/infrastructure");
    let main = "refs/heads/main";
    for one in [
        story(
            site,
            main,
            "Serve fonts from our own host",
            "Noor Haddad",
            '1',
            8_400,
        ),
        story(
            infra,
            "refs/tags/v2.14.0",
            "Release 2.14.0",
            "Tomás Vega",
            '2',
            5_100,
        ),
        story(
            shop,
            "refs/heads/feature/invoices",
            "Number invoices without gaps",
            "Ida Larsen",
            '3',
            3_900,
        ),
        story(
            site,
            main,
            "Let the search forgive typing mistakes",
            "Noor Haddad",
            '4',
            1_260,
        ),
    ] {
        let size = 4_000_000 + 7_919 * u64::try_from(one.ago).unwrap();
        let whole = one.whole(now, size, size + size / 3);
        one.append_events(&pushes, now, whole).await;
    }
    let superseded = story(shop, main, "Round prices only once", "Ida Larsen", '5', 2_700);
    let mut events = superseded.whole(now, 18_200_000, 24_900_000);
    events.truncate(4);
    events.push((
        2_100,
        PushEvent::PushSuperseded(Superseded {
            by: superseded.push().push_id,
            because: "the ref pointed to the newer push already when this one was fetched".to_owned(),
        }),
    ));
    superseded.append_events(&pushes, now, events).await;
    let ignored = story(infra, "refs/heads/draft/rename", "", "Tomás Vega", '6', 2_220);
    let reason = PushEvent::PushIgnored(Ignored {
        reason: IgnoreReason::RefNotWanted,
        detail: "no glob of the source's refs matches refs/heads/draft/rename".to_owned(),
        duplicate_of: None,
        further: vec![],
    });
    ignored
        .append_events(&pushes, now, vec![(190, ignored.received(now)), (300, reason)])
        .await;

    let failed = story(infra, main, "Give each queue an alarm", "Tomás Vega", '7', 620);
    let id = failed.push().push_id.to_string();
    failed
        .append_events(
            &pushes,
            now,
            vec![
                (170, failed.received(now)),
                (290, PushEvent::PushValidated(failed.deliver())),
                (640, attempt(&id, 0, "AuthenticationFailed")),
                (
                    820,
                    failure(
                        &id,
                        "AuthenticationFailed",
                        "the git host https://git.example.com refused the credentials (401)",
                    ),
                ),
            ],
        )
        .await;

    let replayed = story(
        shop,
        main,
        "Charge the delivery fee once per order",
        "Ida Larsen",
        '8',
        340,
    );
    let id = replayed.push().push_id.to_string();
    let unreachable = "GitHostUnreachable";
    let again = PushEvent::PushRetried(PushRetried {
        execution: execution(&format!("{id}-replay"), now - TimeDelta::seconds(340 - 300)),
    });
    replayed
        .append_events(
            &pushes,
            now,
            vec![
                (160, replayed.received(now)),
                (270, PushEvent::PushValidated(replayed.deliver())),
                (2_300, attempt(&id, 0, unreachable)),
                (6_900, attempt(&id, 1, unreachable)),
                (15_400, attempt(&id, 2, unreachable)),
                (
                    15_600,
                    failure(
                        &id,
                        unreachable,
                        "cannot connect to https://git.example.com: connection refused",
                    ),
                ),
                (300_210, again),
                (300_320, PushEvent::PushValidated(replayed.deliver())),
                (300_790, attempt(&format!("{id}-replay"), 0, unreachable)),
                (303_870, PushEvent::CommitFetched(replayed.fetched(18_412_873))),
                (305_140, PushEvent::ArchivePackaged(replayed.archive(25_038_291))),
                (305_610, PushEvent::ArchiveUploaded(replayed.delivered())),
                (305_720, PushEvent::PushDelivered(replayed.delivered())),
            ],
        )
        .await;
    for (open, events) in [
        (
            story(
                site,
                main,
                "Show prices in the reader's currency",
                "Noor Haddad",
                '9',
                6,
            ),
            4,
        ),
        (
            story(
                shop,
                "refs/heads/feature/vouchers",
                "Vouchers",
                "Ida Larsen",
                'a',
                3,
            ),
            2,
        ),
    ] {
        let mut whole = open.whole(now, 31_000_000, 44_000_000);
        whole.truncate(events);
        open.append_events(&pushes, now, whole).await;
    }
    (pushes, replayed.push().push_id)
}

fn attempt(execution: &str, attempt: u32, error: &str) -> PushEvent {
    PushEvent::AttemptFailed(AttemptFailed {
        stage: Stage::Fetch.to_string(),
        attempt,
        execution_id: format!("{MACHINE}:{execution}"),
        error: error.to_owned(),
        cause: "connection refused".to_owned(),
        failed_at: None,
    })
}

fn failure(execution: &str, error: &str, cause: &str) -> PushEvent {
    PushEvent::PushFailed(PushFailed {
        execution_id: format!("{MACHINE}:{execution}"),
        failure: Failure {
            stage: "Fetch".to_owned(),
            error: error.to_owned(),
            cause: format!("{cause}. {}", domain::error::remedy(error)),
        },
    })
}
