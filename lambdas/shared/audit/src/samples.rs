//! Pushes and events for tests. Each call makes a new push, so tests can share a table.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use domain::aggregate::{Aggregate, IllegalTransition, RecordedEvent};
use domain::contract::{Archive, Deliver, FetchedCommit, Stage, StagedObject};
use domain::destination::Destination;
use domain::digest::Digest;
use domain::event::PushEvent;
use domain::git::ObjectId;
use domain::index::{Index, IndexKey};
use domain::order::DeliveredPush;
use domain::push::{Push, PushId};
use domain::samples;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use domain::samples::{
    attempt_failed, delivered, execution, ignored, push_failed, received, retried, superseded,
};

/// Samples of an aggregate.
pub trait Samples: Aggregate {
    /// Returns the events of some aggregates, of every kind together and at least two each. Each call returns new
    /// aggregates.
    fn histories() -> Vec<(Self::Id, Vec<Self::Event>)>;

    /// Returns an event that may happen at any time after the first event, and changes nothing but the version.
    fn at_any_time() -> Self::Event;
}

fn unique() -> String {
    Uuid::new_v4().simple().to_string()
}

fn object_id() -> ObjectId {
    let unique = unique();
    format!("{unique}{}", &unique[..8]).parse().unwrap()
}

fn push_of(ref_name: &str, before: Option<ObjectId>, after: Option<ObjectId>) -> Push {
    Push {
        before,
        after,
        ..samples::push(&unique(), ref_name)
    }
}

/// Returns the first push of a new ref.
pub fn push() -> Push {
    push_of(&format!("refs/heads/{}", unique()), None, Some(object_id()))
}

/// Returns the push that follows `push`.
pub fn next(push: &Push) -> Push {
    push_of(push.ref_name.as_str(), push.after.clone(), Some(object_id()))
}

/// Returns the push that deletes the ref of `push`.
pub fn deletion(push: &Push) -> Push {
    push_of(push.ref_name.as_str(), push.after.clone(), None)
}

/// Returns a new destination.
pub fn destination() -> Destination {
    samples::destination(&format!("gitlab/group/{}.zip", unique()))
}

/// Returns the output of `Validate` for a push that is wanted.
pub fn deliver() -> Deliver {
    Deliver {
        destination: destination(),
        sequence: 1_700_000_000_000,
        git_hosts: vec!["https://git.example.com".parse().unwrap()],
        submodule_repositories: vec!["group/*".into()],
        ..samples::deliver()
    }
}

/// Returns an output of `Fetch`. Like `Fetch` itself, each call returns another pack.
pub fn fetched(pack_bytes: u64) -> FetchedCommit {
    let fetched = samples::fetched();
    FetchedCommit {
        commit: object_id().into_commit(),
        tree: object_id(),
        unchanged_since: None,
        pack: StagedObject {
            size: pack_bytes,
            ..fetched.pack
        },
        ..fetched
    }
}

/// Returns the output of `Package`.
pub fn archive() -> Archive {
    Archive {
        format: None,
        taken_entries: None,
        warnings: vec!["a link is left out".into()],
        ..samples::archive()
    }
}

/// Returns `push` as a destination's record names it.
pub fn delivered_push(push: &Push) -> DeliveredPush {
    DeliveredPush::new(push, 1_700_000_000_000, push.after.clone(), "c".repeat(64))
}

impl Samples for Push {
    fn histories() -> Vec<(PushId, Vec<PushEvent>)> {
        let (push, superseded_push) = (push(), push());
        vec![
            (
                push.push_id,
                vec![
                    received(&push, "e1"),
                    PushEvent::PushIgnored(ignored()),
                    retried("e2"),
                    PushEvent::PushValidated(deliver()),
                    attempt_failed(Stage::Fetch, "e2"),
                    PushEvent::CommitFetched(fetched(u64::from(u32::MAX) + 1)),
                    push_failed("e2"),
                    retried("e3"),
                    PushEvent::PushValidated(deliver()),
                    PushEvent::ArchivePackaged(archive()),
                    PushEvent::ArchiveUploaded(delivered()),
                    PushEvent::PushDelivered(delivered()),
                ],
            ),
            (
                superseded_push.push_id,
                vec![
                    received(&superseded_push, "e1"),
                    PushEvent::PushValidated(deliver()),
                    PushEvent::CommitFetched(fetched(7)),
                    PushEvent::ArchivePackaged(archive()),
                    PushEvent::PushSuperseded(superseded()),
                ],
            ),
        ]
    }

    fn at_any_time() -> PushEvent {
        attempt_failed(Stage::Validate, "e1")
    }
}

/// An aggregate that is not a push.
#[derive(Debug, Clone)]
pub struct Job;

/// What can happen to a [`Job`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum JobEvent {
    /// It has begun.
    Begun(Uuid),
    /// Somebody has looked at it.
    Seen,
    /// It has ended.
    Ended,
}

/// The state of a [`Job`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    id: Uuid,
    version: u64,
    head: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    has_ended: bool,
}

impl Aggregate for Job {
    type Id = Uuid;
    type Event = JobEvent;
    type State = JobState;
    type Delivery = ();

    const KIND: &'static str = "JOB";

    fn name(event: &JobEvent) -> &'static str {
        match event {
            JobEvent::Begun(_) => "Begun",
            JobEvent::Seen => "Seen",
            JobEvent::Ended => "Ended",
        }
    }

    fn apply(
        state: Option<JobState>,
        recorded: &RecordedEvent<JobEvent>,
    ) -> Result<JobState, IllegalTransition> {
        match (state, &recorded.event) {
            (None, JobEvent::Begun(id)) => Ok(JobState {
                id: *id,
                version: 1,
                head: Some(recorded.sha256.clone()),
                expires_at: recorded.expires_at,
                has_ended: false,
            }),
            (None, _) => Err(IllegalTransition::at_the_beginning::<Self>(recorded)),
            (Some(state), JobEvent::Begun(_)) => {
                Err(IllegalTransition::after::<Self>(&state, "Begun", recorded))
            }
            (Some(state), event) => Ok(JobState {
                version: recorded.version,
                head: Some(recorded.sha256.clone()),
                has_ended: state.has_ended || *event == JobEvent::Ended,
                ..state
            }),
        }
    }

    fn id(state: &JobState) -> Uuid {
        state.id
    }

    fn version(state: &JobState) -> u64 {
        state.version
    }

    fn head(state: &JobState) -> Option<&Digest> {
        state.head.as_ref()
    }

    fn expires_at(state: &JobState) -> Option<i64> {
        state.expires_at
    }

    fn index_keys(state: &JobState) -> Vec<IndexKey> {
        // The third index has those that have ended.
        let indexes = [Index::Repository, Index::Status, Index::Commit];
        let most = if state.has_ended { 3 } else { 2 };
        let of = |index| IndexKey {
            index,
            partition: format!("{}#{}", index.name(), state.id),
            sort: state.version.to_string(),
        };
        indexes.into_iter().take(most).map(of).collect()
    }
}

impl Samples for Job {
    fn histories() -> Vec<(Uuid, Vec<JobEvent>)> {
        let id = Uuid::new_v4();
        vec![(id, vec![JobEvent::Begun(id), JobEvent::Seen, JobEvent::Ended])]
    }

    fn at_any_time() -> JobEvent {
        JobEvent::Seen
    }
}
