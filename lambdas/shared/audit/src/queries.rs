//! What people ask about pushes, answered by the indexes. Nothing reads the whole table.

use chrono::{DateTime, TimeDelta, Utc};
use domain::git::{RefName, RepositoryPath};
use domain::index::Index;
use domain::push::{Push, SourceName};
use domain::push_index::{
    Category, CommitPrefix, Position, category_partition, days_back, repository_partition,
};
use domain::state::PushState;
use futures::future::try_join_all;

use super::{AuditError, SortKeys, StateIndex};

/// How many pushes one query asks for at least, of which a filter may leave out some.
const FEWEST: usize = 50;

/// How many pushes are read at most for one page. A filter that leaves out more than this ends a page early.
const MAX_READ: usize = 2_000;

/// How far the clocks of AWS and of whoever asks may differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(15);

/// How many pushes of one commit are found at most.
const MAX_OF_COMMIT: usize = 1_000;

/// Which pushes are listed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Only those of this repository.
    pub repository: Option<RepositoryPath>,
    /// Only those of this ref.
    pub ref_name: Option<RefName>,
    /// Only those of this source.
    pub source: Option<SourceName>,
    /// Only those of these categories.
    pub categories: Vec<Category>,
    /// Only those that were received at this time or later.
    pub since: DateTime<Utc>,
    /// Only those before this one, which was the last of the page before.
    pub before: Option<Position>,
}

impl Filter {
    /// Returns the filter that all pushes since a time pass.
    #[must_use]
    pub fn since(since: DateTime<Utc>) -> Self {
        Self {
            repository: None,
            ref_name: None,
            source: None,
            categories: Category::ALL.into(),
            since,
            before: None,
        }
    }

    fn lets_pass(&self, push: &PushState) -> bool {
        let of = &push.push;
        self.repository
            .as_ref()
            .is_none_or(|repository| *repository == of.repository)
            && self
                .ref_name
                .as_ref()
                .is_none_or(|ref_name| *ref_name == of.ref_name)
            && self.source.as_ref().is_none_or(|source| *source == of.source)
            && self.categories.contains(&Category::of(push))
    }

    /// Returns the index to ask, and its partitions: those of one group at once, each group older than the one before.
    fn partitions(&self, now: DateTime<Utc>) -> (Index, Vec<Vec<String>>) {
        if let Some(repository) = &self.repository {
            return (Index::Repository, vec![vec![repository_partition(repository)]]);
        }
        let last = self.before.map_or(now + CLOCK_SKEW, |before| before.received_at);
        let of_day = |day| {
            let partition = |category: &Category| category_partition(*category, day);
            self.categories.iter().map(partition).collect()
        };
        (Index::Status, days_back(last, self.since).map(of_day).collect())
    }
}

/// Some of the pushes that a filter lets pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The pushes, by category as [`Category::ALL`] has them, and the newest of each first.
    pub pushes: Vec<PushState>,
    /// What [`Filter::before`] has to be for the next page, or `None` if there is none.
    pub next: Option<Position>,
}

impl Page {
    fn new(mut pushes: Vec<PushState>, next: Option<Position>) -> Self {
        pushes.sort_by_key(Category::of);
        Self { pushes, next }
    }
}

/// What people ask about pushes.
pub trait PushQueries: StateIndex<Push> {
    /// Returns the newest pushes that a filter lets pass, at most `limit`. A page may have less although there is
    /// another one, if the filter leaves out most pushes.
    fn list(&self, filter: &Filter, limit: usize) -> impl Future<Output = Result<Page, AuditError>> + Send {
        async move {
            let (index, groups) = filter.partitions(Utc::now());
            let each = limit.max(FEWEST);
            let (mut before, mut found, mut read) = (filter.before, Vec::new(), 0);
            for group in &groups {
                loop {
                    let (pushes, is_all) = newest(self, index, group, before, each).await?;
                    for push in pushes {
                        let position = Position::of(&push);
                        if push.received_at < filter.since {
                            return Ok(Page::new(found, None));
                        }
                        before = Some(position);
                        read += 1;
                        if filter.lets_pass(&push) {
                            found.push(push);
                        }
                        if found.len() >= limit || read >= MAX_READ {
                            return Ok(Page::new(found, before));
                        }
                    }
                    if is_all {
                        break;
                    }
                }
            }
            Ok(Page::new(found, None))
        }
    }

    /// Returns the pushes of the commits whose ids begin with `commit`, by commit and the newest first.
    fn of_commit(
        &self,
        commit: &CommitPrefix,
    ) -> impl Future<Output = Result<Vec<PushState>, AuditError>> + Send {
        async move {
            let sort = SortKeys::StartingWith(commit.as_str());
            self.find(Index::Commit, &commit.partition(), sort, MAX_OF_COMMIT)
                .await
        }
    }
}

impl<T: StateIndex<Push>> PushQueries for T {}

/// Returns the newest pushes of several partitions, the newest first, and whether these are all.
///
/// What is older than the last push of a partition that may have more is left out, since others of that partition may
/// belong between.
async fn newest(
    index_of: &(impl StateIndex<Push> + ?Sized),
    index: Index,
    partitions: &[String],
    before: Option<Position>,
    each: usize,
) -> Result<(Vec<PushState>, bool), AuditError> {
    let before = before.map(|before| before.to_string());
    let sort = before.as_deref().map_or(SortKeys::All, SortKeys::Before);
    let found = partitions
        .iter()
        .map(|partition| index_of.find(index, partition, sort, each));
    let found = try_join_all(found).await?;
    let full = found.iter().filter(|found| found.len() >= each);
    let complete_to = full.filter_map(|found| found.last()).map(Position::of).max();
    let mut pushes: Vec<_> = found.into_iter().flatten().collect();
    pushes.retain(|push| complete_to.is_none_or(|last| Position::of(push) >= last));
    // One that has changed its category meanwhile may have been found twice.
    pushes.sort_by_key(|push| std::cmp::Reverse((Position::of(push), push.version)));
    pushes.dedup_by_key(|push| push.push_id());
    Ok((pushes, complete_to.is_none()))
}

#[cfg(test)]
mod tests;
