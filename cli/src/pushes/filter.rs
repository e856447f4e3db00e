//! Which pushes are listed, as options.

use audit::Filter;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::ValueEnum;
use domain::git::{RefName, RepositoryPath};
use domain::index::{Category, Position};
use domain::push::SourceName;

/// Which pushes are listed.
#[derive(Debug, Clone, clap::Args)]
pub struct FilterArgs {
    /// Only pushes of this repository, such as group/project.
    #[arg(long, value_name = "PATH")]
    repository: Option<RepositoryPath>,
    /// Only pushes of this ref: a branch, or a full name such as refs/tags/v1.
    #[arg(long = "ref", value_name = "REF", value_parser = ref_name)]
    ref_name: Option<RefName>,
    /// Only pushes of this source.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Only pushes that were received since then: so long ago, such as 90min, 12h or 7d, or a date or time of UTC, such as
    /// 2026-01-31 or 2026-01-31T10:00:00Z.
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
            repository: self.repository.clone(),
            ref_name: self.ref_name.clone(),
            source: self.source.clone(),
            before: self.before,
            ..Filter::since(self.since)
        }
    }

    pub fn most(&self) -> usize {
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
            CategoryArg::Ignored => Self::Ignored,
        }
    }
}

/// Parses a ref, which is a branch if it is no full name.
fn ref_name(text: &str) -> Result<RefName, String> {
    let full = if text.starts_with("refs/") {
        text.to_owned()
    } else {
        format!("refs/heads/{text}")
    };
    full.parse()
        .map_err(|invalid: domain::Invalid| invalid.to_string())
}

/// Parses a time, or how long ago it was.
pub fn since(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let since = chrono::TimeDelta::from_std(ago).ok();
        let since = since.and_then(|ago| Utc::now().checked_sub_signed(ago));
        return since.ok_or_else(|| "this is before all times that can be named".to_owned());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|_| "it is neither a duration such as 12h or 7d, nor a date such as 2026-01-31, nor a time such as 2026-01-31T10:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_a_date_or_a_time() {
        let minutes = |text| {
            let since = since(text).unwrap();
            (Utc::now() - since).num_minutes()
        };
        assert_eq!(
            (minutes("90min"), minutes("12h"), minutes("7d")),
            (90, 720, 10_080)
        );
        let time = |text: &str| since(text).unwrap().to_rfc3339();
        assert_eq!(time("2026-01-31"), "2026-01-31T00:00:00+00:00");
        assert_eq!(time("2026-01-31T10:00:00+02:00"), "2026-01-31T08:00:00+00:00");
        assert!(since("yesterday").unwrap_err().contains("12h"));
        assert!(since("999999999999999y").is_err());
    }

    #[test]
    fn a_ref_without_its_full_name_is_a_branch() {
        assert_eq!(ref_name("main").unwrap().as_str(), "refs/heads/main");
        assert_eq!(
            ref_name("feature/refs").unwrap().as_str(),
            "refs/heads/feature/refs"
        );
        assert_eq!(ref_name("refs/tags/v1").unwrap().as_str(), "refs/tags/v1");
        assert!(ref_name("a..b").is_err());
    }

    #[test]
    fn every_category_can_be_named() {
        let named: Vec<_> = CategoryArg::value_variants()
            .iter()
            .map(|one| Category::from(*one))
            .collect();
        assert_eq!(named, Category::ALL);
    }
}
