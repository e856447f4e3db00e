//! The keys by which pushes are found.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::git::RepositoryPath;
use crate::index::{Index, IndexKey};
use crate::push::PushId;
use crate::state::{PushState, Status};

/// What people tell pushes apart by, which is less than their [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Category {
    /// Not closed yet.
    Open,
    /// The execution in charge has failed, if only after the push was delivered, ignored or superseded.
    Failed,
    /// Delivered.
    Delivered,
    /// Superseded by a newer push.
    Superseded,
    /// The deletion of a ref, whose zip was removed.
    Expired,
    /// Not to be delivered.
    Ignored,
}

impl Category {
    /// All categories, those first that somebody may have to look after.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Failed,
        Self::Delivered,
        Self::Superseded,
        Self::Expired,
        Self::Ignored,
    ];

    /// Returns the category of a push.
    #[must_use]
    pub fn of(push: &PushState) -> Self {
        if push.failure.is_some() {
            return Self::Failed;
        }
        match push.status {
            Status::Received | Status::Validated | Status::Fetched | Status::Packaged | Status::Uploaded => {
                Self::Open
            }
            Status::Delivered => Self::Delivered,
            Status::Ignored => Self::Ignored,
            Status::Superseded => Self::Superseded,
            Status::Expired => Self::Expired,
            Status::Failed => Self::Failed,
        }
    }
}

/// The place of a push among all pushes, by the time at which its first execution started. Its text is a sort key: it
/// is ordered as the places are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When its first execution started, to the millisecond.
    pub received_at: DateTime<Utc>,
    /// Its id.
    pub push_id: PushId,
}

impl Position {
    /// Returns the place of a push.
    #[must_use]
    pub fn of(push: &PushState) -> Self {
        Self {
            received_at: push.received_at.trunc_subsecs(3),
            push_id: push.push_id(),
        }
    }
}

impl Display for Position {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}", sortable(self.received_at), self.push_id)
    }
}

impl FromStr for Position {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("position", text, "it must be a time, #, and the id of a push");
        let (received_at, push_id) = text.split_once('#').ok_or_else(invalid)?;
        Ok(Self {
            received_at: received_at.parse().map_err(|_| invalid())?,
            push_id: push_id.parse().map_err(|_| invalid())?,
        })
    }
}

/// The beginning of a commit's id, as people copy it from a page: 7 to 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPrefix(String);

impl CommitPrefix {
    /// How many digits it has at least. The partition keys of the index by commit have as many.
    pub const SHORTEST: usize = 7;

    /// Returns the partition key of the commits that begin with this.
    #[must_use]
    pub fn partition(&self) -> String {
        commit_partition(&self.0)
    }

    /// Returns what the sort keys of these commits begin with.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitPrefix {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.to_ascii_lowercase();
        let is_prefix = (Self::SHORTEST..=64).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_prefix {
            Ok(Self(digits))
        } else {
            let rule = "it must have 7 to 64 of the digits 0-9 and a-f, as `git rev-parse HEAD` prints them";
            Err(Invalid::new("commit", text, rule))
        }
    }
}

impl Display for CommitPrefix {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Returns the partition key of a repository, whichever source reports it.
#[must_use]
pub fn repository_partition(repository: &RepositoryPath) -> String {
    format!("REPOSITORY#{repository}")
}

/// Returns the partition key of the pushes of a category whose first executions started on a day. So no key is shared
/// by all pushes that there ever were.
#[must_use]
pub fn category_partition(category: Category, day: NaiveDate) -> String {
    format!("STATUS#{category:?}#{day}")
}

/// Returns the days from that of `from` back to that of `since`.
pub fn days_back(from: DateTime<Utc>, since: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> {
    let since = since.date_naive();
    std::iter::successors(Some(from.date_naive()), |day| day.checked_sub_days(Days::new(1)))
        .take_while(move |day| *day >= since)
}

/// Returns the keys of a push.
pub(crate) fn keys(state: &PushState) -> Vec<IndexKey> {
    let position = Position::of(state).to_string();
    let day = state.received_at.date_naive();
    let by_commit = state.commit_or_after().map(|commit| IndexKey {
        index: Index::Commit,
        partition: commit_partition(commit),
        sort: format!("{commit}#{position}"),
    });
    let by_repository = IndexKey {
        index: Index::Repository,
        partition: repository_partition(&state.push.repository),
        sort: position.clone(),
    };
    let by_status = IndexKey {
        index: Index::Status,
        partition: category_partition(Category::of(state), day),
        sort: position,
    };
    [by_repository, by_status].into_iter().chain(by_commit).collect()
}

fn commit_partition(digits: &str) -> String {
    format!("COMMIT#{}", &digits[..CommitPrefix::SHORTEST])
}

/// Returns a time as text of one length, which is ordered as times are.
fn sortable(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::FetchedCommit;
    use crate::push::Push;
    use crate::samples::{fetched, folded, object_id, push, received};

    fn begun(push: &Push) -> PushState {
        folded([received(push, "e1")])
    }

    #[test]
    fn positions_are_ordered_as_their_texts() {
        let of = |delivery: &str, micros| {
            let mut state = begun(&push(delivery, "refs/heads/main"));
            state.received_at += chrono::TimeDelta::microseconds(micros);
            Position::of(&state)
        };
        // Those of one millisecond are ordered by their ids alone.
        let mut positions: Vec<_> = (0..40)
            .map(|number| of(&number.to_string(), 100 * (number % 20)))
            .collect();
        positions.sort();
        assert!(positions.iter().map(Position::to_string).is_sorted());
        for position in positions {
            assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }
    }

    /// Until there is a commit, a push is found by what its payload names, which may be a tag.
    #[test]
    fn a_push_is_found_by_what_its_ref_points_to_and_then_by_its_commit() {
        let by_commit = |state: &PushState| {
            let mut keys = keys(state).into_iter();
            keys.find(|key| key.index == Index::Commit)
        };
        let mut state = begun(&push("d1", "refs/tags/v1"));
        let key = by_commit(&state).unwrap();
        assert_eq!(key.partition, "COMMIT#aaaaaaa");
        assert!(
            key.sort.starts_with(&format!("{}#2023-", object_id('a'))),
            "{}",
            key.sort
        );
        state.fetched = Some(FetchedCommit {
            commit: object_id('b').to_string().parse().unwrap(),
            ..fetched()
        });
        assert_eq!(by_commit(&state).unwrap().partition, "COMMIT#bbbbbbb");
        let deletion = Push {
            after: None,
            ..push("d2", "refs/heads/main")
        };
        assert_eq!(by_commit(&begun(&deletion)), None);
    }
}
