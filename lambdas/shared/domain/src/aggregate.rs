//! What has a trail of its own: events that say what has happened to it, and the state that they fold to.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::index::IndexKey;

/// The version of the events' schema that this code writes. It reads every version that was ever written.
pub const SCHEMA: u32 = 1;

/// Something that has a trail of its own.
pub trait Aggregate: 'static + Send + Sync {
    /// Its id, which is part of its items' keys.
    type Id: Copy + Debug + Display + Eq + FromStr + Hash + Send + Sync;
    /// What can happen to it.
    type Event: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// Everything that is known of it.
    type State: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// What it is, as the keys of its items name it, such as `PUSH`.
    const KIND: &'static str;

    /// Returns what it is, for people.
    #[must_use]
    fn noun() -> String {
        Self::KIND.to_lowercase()
    }

    /// Returns the name of an event.
    fn name(event: &Self::Event) -> &'static str;

    /// Folds one event into the state, which is `None` before the first event.
    ///
    /// # Errors
    /// Returns [`IllegalTransition`] if the event cannot follow.
    fn apply(
        state: Option<Self::State>,
        recorded: &RecordedEvent<Self::Event>,
    ) -> Result<Self::State, IllegalTransition>;

    /// Returns the id in a state.
    fn id(state: &Self::State) -> Self::Id;

    /// Returns the number of events that a state is folded from.
    fn version(state: &Self::State) -> u64;

    /// Returns the keys by which the table's indexes find a state, at most one of each index.
    fn index_keys(state: &Self::State) -> Vec<IndexKey>;

    /// Folds a whole trail. Returns `None` if it is empty.
    ///
    /// # Errors
    /// Returns [`IllegalTransition`] for the first event that cannot follow.
    fn fold(events: &[RecordedEvent<Self::Event>]) -> Result<Option<Self::State>, IllegalTransition> {
        events
            .iter()
            .try_fold(None, |state, event| Self::apply(state, event).map(Some))
    }
}

/// An event with its place in a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEvent<E> {
    /// Its place in the trail, from 1, without gaps.
    pub version: u64,
    /// The version of its schema.
    pub schema: u32,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub event: E,
}

/// An event that cannot follow the earlier events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} (event {version}) cannot happen to {subject}, which is {status}")]
pub struct IllegalTransition {
    /// What the event was to happen to, such as `push 87513765-0933-52f9-8a01-27081a19c5c8`.
    pub subject: String,
    /// The event's name.
    pub event: &'static str,
    /// The event's place.
    pub version: u64,
    /// The status of the subject.
    pub status: String,
}

impl IllegalTransition {
    /// Creates the error that `recorded` cannot be the first event of a trail.
    #[must_use]
    pub fn at_the_beginning<A: Aggregate>(recorded: &RecordedEvent<A::Event>) -> Self {
        Self {
            subject: format!("{} that has no trail", A::noun()),
            event: A::name(&recorded.event),
            version: recorded.version,
            status: "unknown".to_owned(),
        }
    }

    /// Creates the error that `recorded` cannot follow the events of `state`.
    #[must_use]
    pub fn after<A: Aggregate>(
        state: &A::State,
        status: impl Display,
        recorded: &RecordedEvent<A::Event>,
    ) -> Self {
        Self {
            subject: format!("{} {}", A::noun(), A::id(state)),
            event: A::name(&recorded.event),
            version: recorded.version,
            status: status.to_string(),
        }
    }
}
