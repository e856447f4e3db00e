//! What has a trail of its own: events that say what has happened to it, and the state that they fold to.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::cost::{Attempt, Total};
use crate::digest::Digest;
use crate::index::IndexKey;

/// The version of the events' schema that this code writes. It reads every version that was ever written.
pub const SCHEMA: u32 = 2;

/// The first version of the schema in which an event names the one before it.
const CHAINED: u32 = 2;

/// Something that has a trail of its own.
pub trait Aggregate: 'static + Send + Sync {
    /// Its id, which is part of its items' keys.
    type Id: Copy + Debug + Display + Eq + FromStr + Hash + Send + Sync;
    /// What can happen to it.
    type Event: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// Everything that is known of it.
    type State: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// What is kept of one that was delivered, apart from its trail. It is `()` if none is ever delivered.
    type Delivery: Clone + Debug + Serialize + Send + Sync;

    /// What it is, as the keys of its items name it, such as `PUSH`.
    const KIND: &'static str;

    /// Returns what it is, for people.
    #[must_use]
    fn noun() -> String {
        Self::KIND.to_lowercase()
    }

    /// Returns the name of an event.
    fn name(event: &Self::Event) -> &'static str;

    /// Folds one event into the state, which is `None` before the first event. [`Aggregate::follow`] also checks that
    /// the event names the one before it.
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

    /// Returns the digest of the last event, or `None` if the state was stored before events had digests.
    fn head(state: &Self::State) -> Option<&Digest>;

    /// Returns when the trail may be deleted, in seconds since the epoch, or `None` if it is kept for ever.
    fn expires_at(state: &Self::State) -> Option<i64>;

    /// Returns the keys by which the table's indexes find a state, at most one of each index.
    fn index_keys(state: &Self::State) -> Vec<IndexKey>;

    /// Returns the time and cost of the whole trail, if `event` closes it now, after an attempt that has taken this
    /// time and memory.
    #[must_use]
    fn total(
        _state: Option<&Self::State>,
        _event: &Self::Event,
        _attempt: Option<Attempt>,
        _now: DateTime<Utc>,
    ) -> Option<Total> {
        None
    }

    /// Returns what `last` says was delivered, after which the state is this one. It becomes an item of its own.
    #[must_use]
    fn delivered(_last: &Self::Event, _state: &Self::State) -> Option<Self::Delivery> {
        None
    }

    /// Folds one event into the state, which is `None` before the first event, if the event names the one before it.
    ///
    /// # Errors
    /// Returns [`IllegalTransition`] if the event cannot follow, or if it names another event as the one before it.
    fn follow(
        state: Option<Self::State>,
        recorded: &RecordedEvent<Self::Event>,
    ) -> Result<Self::State, IllegalTransition> {
        let head = state.as_ref().and_then(Self::head);
        let is_next = match (&recorded.previous, head) {
            (Some(previous), Some(head)) => previous == head,
            (None, None) => true,
            (None, Some(_)) => recorded.schema < CHAINED,
            (Some(_), None) => false,
        };
        if is_next {
            return Self::apply(state, recorded);
        }
        let name = |digest: Option<&Digest>| digest.map_or_else(|| "none".to_owned(), Digest::to_string);
        Err(IllegalTransition::Unchained {
            subject: subject::<Self>(state.as_ref()),
            version: recorded.version,
            named: name(recorded.previous.as_ref()),
            found: name(head),
        })
    }

    /// Folds a whole trail. Returns `None` if it is empty.
    ///
    /// # Errors
    /// Returns [`IllegalTransition`] for the first event that cannot follow.
    fn fold(events: &[RecordedEvent<Self::Event>]) -> Result<Option<Self::State>, IllegalTransition> {
        events
            .iter()
            .try_fold(None, |state, event| Self::follow(state, event).map(Some))
    }
}

/// An event with its place in a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedEvent<E> {
    /// Its place in the trail, from 1, without gaps.
    pub version: u64,
    /// The version of its schema.
    pub schema: u32,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The digest of the event before it, which all events have but the first, and those of schema 1.
    #[serde(rename = "previous_sha256", skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// When the trail may be deleted, in seconds since the epoch, which all events of a trail have alike. `None` if it
    /// is kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// The time and memory of the attempt that has recorded it, if it is the event of a stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The time and cost of the whole trail up to this event, if it is one that closes a trail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
    /// What happened.
    #[serde(flatten)]
    pub event: E,
    /// The SHA-256 of the event as it was written, in the form of [RFC 8785](https://www.rfc-editor.org/rfc/rfc8785).
    #[serde(skip)]
    pub sha256: Digest,
}

/// What is recorded with an event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances {
    /// See [`RecordedEvent::expires_at`].
    pub expires_at: Option<i64>,
    /// See [`RecordedEvent::attempt`].
    pub attempt: Option<Attempt>,
    /// See [`RecordedEvent::total`].
    pub total: Option<Total>,
}

impl<E: Serialize> RecordedEvent<E> {
    /// Creates the event that follows `previous`, the digest of the one before it, if it is not the first.
    ///
    /// # Errors
    /// Returns an error if the event has no form in JSON.
    pub fn new(
        version: u64,
        previous: Option<Digest>,
        recorded_at: DateTime<Utc>,
        event: E,
    ) -> Result<Self, serde_json::Error> {
        let recorded = Self {
            version,
            schema: SCHEMA,
            recorded_at,
            previous,
            expires_at: None,
            attempt: None,
            total: None,
            event,
            sha256: Digest::of(""),
        };
        recorded.with(Circumstances::default())
    }

    /// Adds what is recorded with the event.
    ///
    /// # Errors
    /// Returns an error if the event has no form in JSON.
    pub fn with(mut self, circumstances: Circumstances) -> Result<Self, serde_json::Error> {
        self.expires_at = circumstances.expires_at;
        self.attempt = circumstances.attempt;
        self.total = circumstances.total;
        self.sha256 = digest_of(&serde_json::to_value(&self)?)?;
        Ok(self)
    }
}

/// Takes the digest of what is read, and not of what this version of the code would write.
impl<'de, E: DeserializeOwned> Deserialize<'de> for RecordedEvent<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields<E> {
            version: u64,
            schema: u32,
            recorded_at: DateTime<Utc>,
            #[serde(rename = "previous_sha256")]
            previous: Option<Digest>,
            expires_at: Option<i64>,
            attempt: Option<Attempt>,
            total: Option<Total>,
            #[serde(flatten)]
            event: E,
        }
        let value = Value::deserialize(deserializer)?;
        let sha256 = digest_of(&value).map_err(D::Error::custom)?;
        let fields = Fields::deserialize(value).map_err(D::Error::custom)?;
        Ok(Self {
            version: fields.version,
            schema: fields.schema,
            recorded_at: fields.recorded_at,
            previous: fields.previous,
            expires_at: fields.expires_at,
            attempt: fields.attempt,
            total: fields.total,
            event: fields.event,
            sha256,
        })
    }
}

fn digest_of(value: &Value) -> Result<Digest, serde_json::Error> {
    let mut canonical = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut canonical, canon_json::CanonicalFormatter::new());
    value.serialize(&mut serializer)?;
    Ok(Digest::of(canonical))
}

/// An event that cannot follow the earlier events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// It cannot happen to what the earlier events have made.
    #[error("{event} (event {version}) cannot happen to {subject}, which is {status}")]
    Refused {
        /// What the event was to happen to, such as `push 87513765-0933-52f9-8a01-27081a19c5c8`.
        subject: String,
        /// The event's name.
        event: &'static str,
        /// The event's place.
        version: u64,
        /// The status of the subject.
        status: String,
    },
    /// It names another event as the one before it.
    #[error(
        "event {version} of {subject} names {named} as the SHA-256 of the event before it, which is {found}: an event was \
         changed, removed or added"
    )]
    Unchained {
        /// What has the events.
        subject: String,
        /// The event's place.
        version: u64,
        /// The digest that it names.
        named: String,
        /// The digest of the event before it.
        found: String,
    },
}

impl IllegalTransition {
    /// Creates the error that `recorded` cannot be the first event of a trail.
    #[must_use]
    pub fn at_the_beginning<A: Aggregate>(recorded: &RecordedEvent<A::Event>) -> Self {
        Self::Refused {
            subject: subject::<A>(None),
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
        Self::Refused {
            subject: subject::<A>(Some(state)),
            event: A::name(&recorded.event),
            version: recorded.version,
            status: status.to_string(),
        }
    }
}

fn subject<A: Aggregate + ?Sized>(state: Option<&A::State>) -> String {
    match state {
        None => format!("{} that has no trail", A::noun()),
        Some(state) => format!("{} {}", A::noun(), A::id(state)),
    }
}
