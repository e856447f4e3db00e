//! Checks that the git host shows the pushed object on its ref.
//!
//! Anyone who knows a webhook's token can claim that something was pushed. Only the host can say what is on a ref.

use std::collections::HashSet;

use domain::git::{ObjectId, RefName};
use git2::{Oid, Repository};

use crate::attempt::{Attempt, FetchError};
use crate::error::Error;

/// The local ref that the tip is fetched into.
const LOCAL_TIP: &str = "refs/push/tip";
/// How many generations of commits before the tip are fetched. The depths are tried in turn until the commit is among
/// them. Mostly few commits lie between, but a branch that was merged since may have begun long before the commit, and
/// would bring all history before its beginning. The last depth stands for all generations.
const DEPTHS: [i32; 3] = [50, 1_000, i32::MAX];
/// The depth that fetches all missing commits, for a history that is not cut off.
const THE_REST: [i32; 1] = [0];

/// Returns what the ref points to, if that is the pushed object or leads to it. `ref_now` is what the host has said so
/// far.
///
/// A branch leads to all commits before its tip, because newer commits may have followed the pushed one. A tag,
/// annotated or not, stands for one object or its commit: a tag that was moved does not lead to its former one.
pub fn find_on_ref(
    attempt: &Attempt<'_>,
    pushed: &ObjectId,
    ref_name: &RefName,
    mut ref_now: Option<ObjectId>,
) -> Result<ObjectId, Error> {
    let connection = attempt.connection();
    let mut depths = if attempt.repository().is_shallow() {
        DEPTHS.iter()
    } else {
        THE_REST.iter()
    };
    loop {
        let not_on_ref = |source| Error::NotOnRef {
            url: connection.url(),
            object: pushed.to_string(),
            ref_name: ref_name.to_string(),
            ref_now: ref_now.as_ref().map(ToString::to_string),
            source,
        };
        match &ref_now {
            Some(tip) if tip == pushed => return Ok(tip.clone()),
            Some(tip) if !ref_name.as_str().starts_with("refs/tags/") => {
                match leads_to(attempt, tip, pushed)? {
                    Lineage::Yes => return Ok(tip.clone()),
                    Lineage::No => return Err(not_on_ref(None)),
                    Lineage::Unknown => {}
                }
            }
            _ => return Err(not_on_ref(None)),
        }
        let Some(&depth) = depths.next() else {
            return Err(not_on_ref(None));
        };
        connection.check_time()?;
        ref_now = match attempt.fetch(ref_name.as_str(), LOCAL_TIP, depth) {
            Ok(heads) => heads.find(ref_name, pushed),
            // The ref was deleted a moment ago.
            Err(FetchError::Refused(error)) => return Err(not_on_ref(Some(error))),
            Err(FetchError::Other(error)) => return Err(error),
        };
    }
}

enum Lineage {
    Yes,
    No,
    /// Some of the history is missing.
    Unknown,
}

/// Returns whether `object` is `tip` or a commit before it, as far as the repository has the history.
///
/// libgit2's own search fails if the history is cut off.
fn leads_to(attempt: &Attempt<'_>, tip: &ObjectId, object: &ObjectId) -> Result<Lineage, Error> {
    let connection = attempt.connection();
    let invalid = |source| Error::Invalid {
        url: connection.url(),
        source,
    };
    let parse = |id: &ObjectId| Oid::from_str(id.as_str()).map_err(invalid);
    let (tip, object) = (parse(tip)?, parse(object)?);
    // The repository is opened again, because an open one keeps cutting off the history where it was cut off first.
    let repository = Repository::open(attempt.repository().path()).map_err(invalid)?;
    let mut is_whole = !repository.is_shallow();
    let mut seen = HashSet::from([tip]);
    let mut next = vec![tip];
    while let Some(id) = next.pop() {
        if id == object {
            return Ok(Lineage::Yes);
        }
        connection.check_time()?;
        match repository.find_commit(id) {
            Ok(commit) => next.extend(commit.parent_ids().filter(|&parent| seen.insert(parent))),
            Err(_) => is_whole = false,
        }
    }
    Ok(if is_whole { Lineage::No } else { Lineage::Unknown })
}
