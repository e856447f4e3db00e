//! Which pushes are listed, as options.

use audit::Filter;
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use deployed_stack::filter::{ref_name, since};
use deployed_stack::watch::WatchedEvent;
use domain::git::{RefName, RepositoryPath};
use domain::push::SourceName;
use domain::push_index::{Category, Position};

/// What pushes are about.
#[derive(Debug, Clone, clap::Args)]
pub struct SubjectArgs {
    /// Only pushes of this repository, such as group/project.
    #[arg(long, value_name = "PATH")]
    repository: Option<RepositoryPath>,
    /// Only pushes of this ref: a branch, or a full name such as refs/tags/v1.
    #[arg(long = "ref", value_name = "REF", value_parser = ref_name)]
    ref_name: Option<RefName>,
    /// Only pushes of this source.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
}

impl SubjectArgs {
    /// Returns a filter for such pushes that were received since then.
    pub fn filter(&self, since: DateTime<Utc>) -> Filter {
        Filter {
            repository: self.repository.clone(),
            ref_name: self.ref_name.clone(),
            source: self.source.clone(),
            ..Filter::since(since)
        }
    }

    /// Returns whether an event is of such a push.
    pub fn contain(&self, event: &WatchedEvent) -> bool {
        self.repository
            .as_ref()
            .is_none_or(|only| *only == event.repository)
            && self.ref_name.as_ref().is_none_or(|only| *only == event.ref_name)
            && self.source.as_ref().is_none_or(|only| *only == event.source)
    }
}

/// Which pushes are listed.
#[derive(Debug, Clone, clap::Args)]
pub struct FilterArgs {
    /// What they are about.
    #[command(flatten)]
    subject: SubjectArgs,
    /// Only pushes that were received since then: so long ago, such as 90min, 12h or 7d, or a date or time of UTC, such
    /// as 2026-01-31 or 2026-01-31T10:00:00Z.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = since)]
    since: DateTime<Utc>,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    most: u32,
    /// Only pushes before this one, as the page before names it.
    #[arg(long, value_name = "POSITION")]
    before: Option<Position>,
}

impl FilterArgs {
    pub fn filter(&self) -> Filter {
        Filter {
            before: self.before,
            ..self.subject.filter(self.since)
        }
    }

    pub fn limit(&self) -> usize {
        usize::try_from(self.most).unwrap_or(usize::MAX)
    }
}

/// The categories of pushes, as the command line names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CategoryArg {
    /// Not closed yet.
    Open,
    /// Failed.
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

impl From<CategoryArg> for Category {
    fn from(category: CategoryArg) -> Self {
        match category {
            CategoryArg::Open => Self::Open,
            CategoryArg::Failed => Self::Failed,
            CategoryArg::Delivered => Self::Delivered,
            CategoryArg::Superseded => Self::Superseded,
            CategoryArg::Expired => Self::Expired,
            CategoryArg::Ignored => Self::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_can_be_named() {
        let named: Vec<_> = CategoryArg::value_variants()
            .iter()
            .map(|one| Category::from(*one))
            .collect();
        assert_eq!(named, Category::ALL);
    }
}
