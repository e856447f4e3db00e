//! What a sweep has found.

use aws::failure::Failed;
use chrono::{DateTime, Utc};
use credentials::Expiring;
use domain::git::{ObjectId, RefName, RepositoryPath};
use domain::push::{Missed, Push, PushId, SourceName};
use domain::state::PushState;
use serde::{Deserialize, Serialize};

use crate::destinations::Difference;

/// How many entries of a list are named. The others are counted.
const MAX_NAMED: usize = 100;

/// What a sweep has found and done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The number of repositories that were looked at.
    pub repositories: usize,
    /// The repositories for which there was no time. The next sweep begins with them.
    pub skipped: Listing<SkippedRepository>,
    /// What could not be looked at, and why.
    pub failed: Listing<Trouble>,
    /// The pushes that never arrived, and were started.
    pub started: Listing<StartedPush>,
    /// The number of pushes that never arrived and whose execution exists already: it has not come to a number for the
    /// push yet, or has failed before.
    pub started_before: usize,
    /// The number of pushes that never arrived and are left to the next sweep, because this one has started as many as
    /// one may.
    pub left: usize,
    /// The pushes that were open without an execution, and were closed as failed.
    pub stuck: Listing<StuckPush>,
    /// The pushes that have been open for more than an hour, and whose execution runs.
    pub slow: Listing<SlowPush>,
    /// The logins and tokens that end soon, or have ended.
    pub expiring: Listing<ExpiringLogin>,
    /// The destinations that are not what the trail says.
    pub differing: Listing<DifferingDestination>,
    /// How long it took.
    pub seconds: f64,
}

/// The first entries of a list, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// How many there are.
    pub count: usize,
    /// The first of them.
    pub first: Vec<T>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self {
            count: 0,
            first: Vec::new(),
        }
    }
}

impl<T> Listing<T> {
    /// Adds an entry.
    pub fn push(&mut self, entry: T) {
        self.count += 1;
        if self.first.len() < MAX_NAMED {
            self.first.push(entry);
        }
    }
}

impl<T> Extend<T> for Listing<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

/// A repository for which there was no time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRepository {
    /// Its source.
    pub source: SourceName,
    /// Its path.
    pub repository: RepositoryPath,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The source, if it is about one.
    pub source: Option<String>,
    /// The repository, if it is about one.
    pub repository: Option<RepositoryPath>,
    /// The code.
    pub error: String,
    /// What happened, and what to do.
    pub cause: String,
}

impl Trouble {
    pub(crate) fn of_sweep(failed: &Failed) -> Self {
        Self {
            source: None,
            repository: None,
            error: failed.code.to_string(),
            cause: failed.cause.clone(),
        }
    }

    pub(crate) fn of_source(source: &str, failed: &Failed) -> Self {
        Self {
            source: Some(source.to_owned()),
            ..Self::of_sweep(failed)
        }
    }

    pub(crate) fn of_repository(source: &SourceName, repository: &RepositoryPath, failed: &Failed) -> Self {
        Self {
            repository: Some(repository.clone()),
            ..Self::of_source(source.as_str(), failed)
        }
    }

    pub(crate) fn of_push(push: &Push, failed: &Failed) -> Self {
        Self::of_repository(&push.source, &push.repository, failed)
    }
}

/// A push that never arrived, and was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedPush {
    /// Its id, which is the name of its execution.
    pub push_id: PushId,
    /// Its source.
    pub source: SourceName,
    /// Its repository.
    pub repository: RepositoryPath,
    /// The ref that moved.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// What the trail says that the ref points to.
    pub before: Option<ObjectId>,
    /// What it points to.
    pub after: Option<ObjectId>,
    /// Why no webhook came, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

impl StartedPush {
    pub(crate) fn of(push: Push) -> Self {
        Self {
            push_id: push.push_id,
            source: push.source,
            repository: push.repository,
            ref_name: push.ref_name,
            before: push.before,
            after: push.after,
            missed: push.missed,
        }
    }
}

/// A push that was open without an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckPush {
    /// Its id.
    pub push_id: PushId,
    /// Its source.
    pub source: SourceName,
    /// Its repository.
    pub repository: RepositoryPath,
    /// Its ref.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The ARN of its last execution.
    pub execution: String,
    /// The name of the error as which it was closed.
    pub error: String,
    /// How the execution has ended.
    pub cause: String,
}

/// A push that takes long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowPush {
    /// Its id.
    pub push_id: PushId,
    /// Its source.
    pub source: SourceName,
    /// Its repository.
    pub repository: RepositoryPath,
    /// Its ref.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The ARN of its last execution.
    pub execution: String,
    /// When its first execution started.
    pub received_at: DateTime<Utc>,
}

impl SlowPush {
    pub(crate) fn of(state: &PushState, execution: &str) -> Self {
        let push = &state.push;
        Self {
            push_id: push.push_id,
            source: push.source.clone(),
            repository: push.repository.clone(),
            ref_name: push.ref_name.clone(),
            execution: execution.to_owned(),
            received_at: state.received_at,
        }
    }
}

/// A login or token of a git secret that ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringLogin {
    /// The source of the git secret.
    pub source: SourceName,
    /// Which one it is.
    #[serde(flatten)]
    pub login: Expiring,
}

/// A destination that is not what the trail says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferingDestination {
    /// The source.
    pub source: SourceName,
    /// The repository.
    pub repository: RepositoryPath,
    /// The ref.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// How it differs.
    pub difference: Difference,
    /// The last push that was delivered there.
    pub push_id: PushId,
}
