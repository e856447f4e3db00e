//! Whether trails are what checkpoints say that they were.

use std::collections::{HashMap, HashSet};
use std::fmt::{Display, Formatter};

use chrono::{DateTime, NaiveDate, Utc};
use domain::aggregate::RecordedEvent;
use domain::digest::Digest;
use domain::event::PushEvent;
use domain::push::PushId;

use super::{Checkpoint, CheckpointedPush, PreviousDay, StoredCheckpoint};

/// The trails of pushes, as far as checkpoints say something of them.
pub type Trails = HashMap<PushId, SeenTrail>;

/// The trail of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTrail {
    /// The day on which its first execution started, in UTC.
    pub day: NaiveDate,
    /// When its first event was recorded.
    pub began_at: DateTime<Utc>,
    /// The digests of its events, in order.
    pub events: Vec<Digest>,
}

impl SeenTrail {
    /// Returns the trail that has these events, or `None` if the first one does not begin a trail.
    #[must_use]
    pub fn of(events: &[RecordedEvent<PushEvent>]) -> Option<Self> {
        let first = events.first()?;
        let PushEvent::PushReceived(received) = &first.event else {
            return None;
        };
        Some(Self {
            day: received.execution.started_at.date_naive(),
            began_at: first.recorded_at,
            events: events.iter().map(|event| event.sha256.clone()).collect(),
        })
    }
}

/// What a checkpoint does not agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A part of it is not signed by the key, or is not a part of a checkpoint.
    NotSigned {
        /// The day.
        day: NaiveDate,
        /// The part.
        part: usize,
        /// What is wrong.
        reason: String,
    },
    /// Some of its parts are missing.
    Incomplete {
        /// The day.
        day: NaiveDate,
    },
    /// The checkpoint of an earlier day, which it names, is missing or another one.
    PreviousMissing {
        /// The day.
        day: NaiveDate,
        /// The earlier day.
        previous: NaiveDate,
    },
    /// A push has a trail that began before the checkpoint, which does not have it.
    PushAdded {
        /// The push.
        push_id: PushId,
        /// The day of the checkpoint.
        day: NaiveDate,
    },
    /// A push has no trail any more.
    PushMissing {
        /// The push.
        push_id: PushId,
        /// The day of the checkpoint.
        day: NaiveDate,
    },
    /// The first events of a push are others than they were.
    PushChanged {
        /// The push.
        push_id: PushId,
        /// The day of the checkpoint.
        day: NaiveDate,
        /// How many events it had.
        version: u64,
    },
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSigned { day, part, reason } => {
                write!(
                    formatter,
                    "part {part} of the checkpoint of {day} proves nothing: {reason}"
                )
            }
            Self::Incomplete { day } => write!(formatter, "the checkpoint of {day} is not complete"),
            Self::PreviousMissing { day, previous } => write!(
                formatter,
                "the checkpoint of {day} names one of {previous}, which is missing or another one"
            ),
            Self::PushAdded { push_id, day } => write!(
                formatter,
                "push {push_id} is said to be of {day}, whose later checkpoint does not have it"
            ),
            Self::PushMissing { push_id, day } => write!(
                formatter,
                "push {push_id} is in the checkpoint of {day}, and its trail is gone"
            ),
            Self::PushChanged {
                push_id,
                day,
                version,
            } => write!(
                formatter,
                "push {push_id} is in the checkpoint of {day} with {version} events, which are others now or were cut off"
            ),
        }
    }
}

/// Returns what the checkpoints do not agree with, and up to when the last one has the events.
///
/// `open` returns the content of an envelope that the key has signed as a checkpoint, or what is wrong with it.
pub fn verify(
    stored: &[StoredCheckpoint],
    open: impl Fn(&str) -> Result<Vec<u8>, String>,
    trails: &Trails,
    now: DateTime<Utc>,
) -> (Vec<Finding>, Option<DateTime<Utc>>) {
    let mut findings = Vec::new();
    let mut last = None;
    let mut before: Option<PreviousDay> = None;
    for parts in stored.chunk_by(|one, other| one.day == other.day) {
        let day = parts[0].day;
        let mut opened = Vec::new();
        for stored in parts {
            match open_part(stored, &open) {
                Ok(part) => opened.push(part),
                Err(reason) => findings.push(Finding::NotSigned {
                    day,
                    part: stored.part,
                    reason,
                }),
            }
        }
        let whole = opened.first().map(|first| first.parts);
        let is_whole = whole == Some(parts.len());
        if opened.len() == parts.len() && !is_whole {
            findings.push(Finding::Incomplete { day });
        }
        let named = opened.first().and_then(|first| first.previous.clone());
        if let Some(named) = named
            && before.as_ref() != Some(&named)
        {
            findings.push(Finding::PreviousMissing {
                day,
                previous: named.day,
            });
        }
        let up_to = opened.iter().map(|part| part.up_to).max();
        let pushes = || opened.iter().flat_map(|part| &part.pushes);
        findings.extend(pushes().filter_map(|push| find(push, day, trails, now)));
        if opened.len() == parts.len()
            && is_whole
            && let Some(up_to) = up_to
        {
            let known: HashSet<_> = pushes().map(|push| push.push_id).collect();
            let began = |trail: &SeenTrail| trail.day == day && trail.began_at <= up_to;
            let mut added: Vec<_> = trails
                .iter()
                .filter(|(id, trail)| began(trail) && !known.contains(id))
                .map(|(push_id, _)| *push_id)
                .collect();
            added.sort_by_key(PushId::to_string);
            findings.extend(
                added
                    .into_iter()
                    .map(|push_id| Finding::PushAdded { push_id, day }),
            );
        }
        last = up_to.or(last);
        before = PreviousDay::of(parts);
    }
    (findings, last)
}

/// Opens a part, which has to be the one that it is stored as.
fn open_part(
    stored: &StoredCheckpoint,
    open: impl Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Checkpoint, String> {
    let content = open(&stored.envelope)?;
    let part: Checkpoint = serde_json::from_slice(&content).map_err(|error| error.to_string())?;
    if (part.day, part.part) == (stored.day, stored.part) {
        Ok(part)
    } else {
        Err(format!("it is part {} of {}", part.part, part.day))
    }
}

fn find(push: &CheckpointedPush, day: NaiveDate, trails: &Trails, now: DateTime<Utc>) -> Option<Finding> {
    if push
        .expires_at
        .is_some_and(|expires_at| expires_at <= now.timestamp())
    {
        return None;
    }
    let push_id = push.push_id;
    let Some(trail) = trails.get(&push_id) else {
        return Some(Finding::PushMissing { push_id, day });
    };
    let index = usize::try_from(push.version)
        .ok()
        .and_then(|version| version.checked_sub(1));
    let found = index.and_then(|index| trail.events.get(index));
    (found != Some(&push.sha256)).then_some(Finding::PushChanged {
        push_id,
        day,
        version: push.version,
    })
}
