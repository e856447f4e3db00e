//! Pushes as a large company has them: a hundred a day, a tenth of them to one repository, and the others to
//! repositories with fifty pushes each. Each has eight events.

#![expect(clippy::unwrap_used, reason = "what is parsed here is well-formed")]

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::contract::{
    Archive, Author, Deliver, Delivered, FetchedCommit, IgnoreReason, Ignored, Stage, StagedObject,
};
use domain::destination::{Destination, provenance_key, staging_key};
use domain::event::{PushEvent, PushFailed, PushReceived};
use domain::execution::Execution;
use domain::flow::AttemptFailed;
use domain::push::Push;
use domain::samples;

/// How many events each push has.
pub const EVENTS: usize = 8;

const A_DAY: usize = 100;
const OF_A_REPOSITORY: usize = 50;
/// One of so many pushes is to the repository that has the most.
const ONE_TO_THE_LARGEST: usize = 10;

/// The fewest pushes of which a page of each list is full.
pub const FEWEST: usize = OF_A_REPOSITORY * ONE_TO_THE_LARGEST;

/// The repository that a tenth of all pushes is to.
pub const LARGEST: &str = "platform/monorepo";

/// A table's pushes, of which the first is the newest.
#[derive(Debug, Clone, Copy)]
pub struct Pushes {
    /// How many there are.
    pub number: usize,
    /// The end of the day on which the newest one was received.
    until: DateTime<Utc>,
}

impl Pushes {
    /// Returns pushes of which the newest was received on the day before `now`.
    pub fn before(now: DateTime<Utc>, number: usize) -> Self {
        let until = now.date_naive().and_time(NaiveTime::MIN).and_utc();
        Self { number, until }
    }

    /// Returns a push.
    pub fn push(&self, index: usize) -> Push {
        named(&format!("{index:08}"), &self.repository(index), &commit(index))
    }

    /// Returns the repository of a push.
    pub fn repository(&self, index: usize) -> String {
        if index.is_multiple_of(ONE_TO_THE_LARGEST) {
            return LARGEST.to_owned();
        }
        let repositories = self.number * (ONE_TO_THE_LARGEST - 1) / ONE_TO_THE_LARGEST / OF_A_REPOSITORY;
        let among_others = index - index / ONE_TO_THE_LARGEST - 1;
        format!("platform/service-{:06}", among_others % repositories.max(1))
    }

    /// Returns the events of a push. Of a hundred, 90 are delivered, 4 superseded, 4 ignored, 1 has failed and 1 is
    /// open.
    pub fn events(&self, index: usize) -> Vec<RecordedEvent<PushEvent>> {
        let push = self.push(index);
        let day = u64::try_from(index / A_DAY).unwrap_or_default();
        let of_day = i64::try_from(A_DAY - 1 - index % A_DAY).unwrap_or_default();
        let day = self
            .until
            .checked_sub_days(Days::new(day + 1))
            .unwrap_or_default();
        let received_at = day + TimeDelta::minutes(14 * of_day);
        recorded(received_at, events(&push, received_at, index % A_DAY))
    }
}

/// Returns the id of the commit of a push. Those of other pushes begin otherwise.
pub fn commit(index: usize) -> String {
    let mixed = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{mixed:016x}{mixed:016x}{index:08x}")
}

/// Returns a push that is delivered, and its events, of which none is in a table yet.
pub fn delivered(name: &str) -> (Push, [PushEvent; EVENTS]) {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let push = named(name, "platform/appended", &format!("{digits:0>40}"));
    // Long ago, so that it is not among those that are listed.
    let events = events(&push, DateTime::UNIX_EPOCH, 0);
    (push, events)
}

fn named(name: &str, repository: &str, commit: &str) -> Push {
    Push {
        repository: repository.parse().unwrap(),
        clone_urls: vec![format!("https://gitlab.example.com/{repository}.git")],
        before: Some(samples::object_id('b')),
        after: Some(commit.parse().unwrap()),
        pusher: Some("Jo Developer <jo.developer@example.com>".into()),
        ..samples::push(&format!("8f14e45f-ceea-467f-a0e6-{name:0>12}"), "refs/heads/main")
    }
}

/// Returns what happens to a push. The last two events depend on its place among a hundred.
fn events(push: &Push, received_at: DateTime<Utc>, of_hundred: usize) -> [PushEvent; EVENTS] {
    let execution = Execution {
        id: format!(
            "arn:aws:states:eu-central-1:123456789012:execution:PushStateMachine-0123456789ab:{}",
            push.push_id
        ),
        started_at: received_at,
    };
    let destination = Destination {
        bucket: "push-code-destinationbucket-0123456789ab".to_owned(),
        key: format!("gitlab/{}/heads/main.zip", push.repository)
            .parse()
            .unwrap(),
    };
    let staged = |name: &str, size| StagedObject {
        key: staging_key(&push.push_id, name).unwrap(),
        size,
        version_id: Some("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY".to_owned()),
        sha256: Some("f".repeat(64)),
    };
    let validated = Deliver {
        clone_url: push.clone_urls[0].as_str().parse().unwrap(),
        destination: destination.clone(),
        sequence: 1_700_000_000_000,
        git_hosts: vec!["https://gitlab.example.com".parse().unwrap()],
        ..samples::deliver()
    };
    let fetched = FetchedCommit {
        commit: push.after.clone().unwrap().into_commit(),
        author: Author {
            name: "Jo Developer".to_owned(),
            email: "jo.developer@example.com".to_owned(),
        },
        subject: "Keep the connection open between two requests".to_owned(),
        url: push.clone_urls[0].to_string(),
        ref_now: push.after.clone(),
        pack: staged("commit.pack", 1_234_567),
        index: staged("commit.idx", 123_456),
        ..samples::fetched()
    };
    let archive = Archive {
        object: staged("archive.zip", 1_234_567),
        entries: 1_234,
        ..samples::archive()
    };
    let delivered = Delivered {
        provenance: Some(provenance_key(&destination.key, &push.push_id).unwrap()),
        bucket: destination.bucket,
        key: destination.key,
        version_id: Some("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY".to_owned()),
        etag: "\"0123456789abcdef0123456789abcdef-1\"".to_owned(),
    };
    let attempt_failed = |stage: Stage, attempt| {
        PushEvent::AttemptFailed(AttemptFailed {
            stage: stage.to_string(),
            attempt,
            execution_id: execution.id.clone(),
            error: "StorageUnavailable".to_owned(),
            cause: "s3:PutObject has failed: SlowDown (HTTP 503): Please reduce your request rate."
                .to_owned(),
            failed_at: None,
        })
    };
    let [before, last] = match of_hundred {
        0..90 => [
            PushEvent::ArchiveUploaded(delivered.clone()),
            PushEvent::PushDelivered(delivered),
        ],
        90..94 => [
            attempt_failed(Stage::Upload, 0),
            PushEvent::PushSuperseded(samples::superseded()),
        ],
        94..98 => [
            attempt_failed(Stage::Upload, 0),
            PushEvent::PushIgnored(Ignored {
                reason: IgnoreReason::Duplicate,
                detail: "another push has already delivered the same change of refs/heads/main".to_owned(),
                duplicate_of: Some(push.push_id),
                further: vec![],
            }),
        ],
        98 => [
            attempt_failed(Stage::Upload, 0),
            PushEvent::PushFailed(PushFailed {
                execution_id: execution.id.clone(),
                failure: samples::failure("Upload", "StorageUnavailable"),
            }),
        ],
        _ => [attempt_failed(Stage::Upload, 0), attempt_failed(Stage::Upload, 1)],
    };
    let received = PushEvent::PushReceived(PushReceived {
        push: push.clone(),
        execution: execution.clone(),
    });
    [
        received,
        PushEvent::PushValidated(validated),
        attempt_failed(Stage::Fetch, 0),
        attempt_failed(Stage::Fetch, 1),
        PushEvent::CommitFetched(fetched),
        PushEvent::ArchivePackaged(archive),
        before,
        last,
    ]
}

/// Records the events, each a second after the one before.
fn recorded(
    from: DateTime<Utc>,
    events: impl IntoIterator<Item = PushEvent>,
) -> Vec<RecordedEvent<PushEvent>> {
    let (mut state, mut all) = (None, Vec::new());
    for (version, event) in (1..).zip(events) {
        let previous = state.as_ref().and_then(Push::head).cloned();
        let at = from + TimeDelta::milliseconds(1_001 * i64::try_from(version).unwrap());
        let recorded = RecordedEvent::new(version, previous, at, event).unwrap();
        state = Some(Push::follow(state, &recorded).unwrap());
        all.push(recorded);
    }
    all
}
