//! Compares a commit with an earlier one: whether any path has changed that somebody watches.

use std::fmt::Display;

use domain::git::{CommitId, RefName};
use domain::paths::PathMatcher;
use git2::{Commit, Diff, FileMode, Oid, Repository};
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, FetchError};
use crate::request::Comparison;

/// The local ref that the earlier commit is fetched into.
const LOCAL_BASE: &str = "refs/push/base";
/// How many generations of commits are fetched where the base cannot be asked for.
const HISTORY_DEPTH: i32 = 50;

/// How a commit differs from the one that it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    /// A watched path has changed.
    Changed,
    /// No watched path has changed.
    Unchanged,
    /// It is not known, for this reason: the host does not have the base any more, or does not send it within the
    /// limits.
    Unknown(String),
}

/// Compares `commit`, which the repository has, with the base. Of the base the host sends only what the commit lacks.
/// From a host that serves no objects by their id, some of the ref's history is fetched, which mostly has the base.
pub fn compare(
    attempt: &Attempt<'_>,
    comparison: &Comparison,
    commit: &CommitId,
    ref_name: Option<&RefName>,
) -> Difference {
    let unknown = |reason: &dyn Display| Difference::Unknown(reason.to_string());
    let base = &comparison.base;
    let mut fetches = vec![(base.as_str(), 1)];
    fetches.extend(ref_name.map(|ref_name| (ref_name.as_str(), HISTORY_DEPTH)));
    for (from, depth) in fetches {
        if find(attempt.repository(), base).is_ok() {
            break;
        }
        match attempt.fetch(from, LOCAL_BASE, depth) {
            Ok(_) | Err(FetchError::Refused(_)) => {}
            Err(FetchError::Other(error)) => return unknown(&error),
        }
    }
    let matcher = match comparison.paths.compile() {
        Ok(matcher) => matcher,
        Err(error) => return unknown(&error),
    };
    // The repository is opened again, because an open one keeps cutting off the history where it was cut off first.
    let repository = Repository::open(attempt.repository().path());
    match repository.and_then(|repository| differ(&repository, base, commit, &matcher)) {
        Ok(true) => Difference::Changed,
        Ok(false) => Difference::Unchanged,
        Err(error) => unknown(&error),
    }
}

fn find<'a>(repository: &'a Repository, commit: &CommitId) -> Result<Commit<'a>, git2::Error> {
    repository.find_commit(Oid::from_str(commit.as_str())?)
}

fn differ(
    repository: &Repository,
    base: &CommitId,
    commit: &CommitId,
    matcher: &PathMatcher,
) -> Result<bool, git2::Error> {
    let (base, commit) = (find(repository, base)?.tree()?, find(repository, commit)?.tree()?);
    // Both names of a file that was renamed are in it, because nobody asks for renames to be found.
    let diff = repository.diff_tree_to_tree(Some(&base), Some(&commit), None)?;
    Ok(touches(&diff, matcher))
}

fn touches(diff: &Diff<'_>, matcher: &PathMatcher) -> bool {
    diff.deltas().any(|delta| {
        [delta.old_file(), delta.new_file()].into_iter().any(|file| {
            let stands_for_more = matches!(file.mode(), FileMode::Commit | FileMode::Link);
            let is_watched =
                |path| matcher.watches(path) || (stands_for_more && matcher.may_watch_below(path));
            file.path_bytes().is_some_and(is_watched)
        })
    })
}

#[cfg(test)]
mod tests;
