//! Whether the git host shows what was pushed on its ref.
//!
//! A webhook says that something happened, and so can everybody who knows its token. What is on a ref the host alone can
//! say.

use std::collections::HashSet;

use domain::git::{ObjectId, RefName};
use git2::{Oid, Repository};

use crate::attempt::{Attempt, Failed};
use crate::error::Error;

/// The local ref that the tip is fetched into.
const LOCAL_TIP: &str = "refs/push/tip";
/// How many generations of commits before the tip are asked for, one number after the other, until the commit is among
/// them. Mostly few commits lie between, but a branch that was merged since may have begun long before the commit, and
/// would bring all history before its beginning. The last one stands for all there are.
const DEPTHS: [i32; 3] = [50, 1_000, i32::MAX];
/// All that is not there, where nothing is cut off.
const THE_REST: [i32; 1] = [0];

/// Gives what the ref points to, if that is what was pushed or leads to it. `ref_now` is what the host has said so far.
///
/// A branch leads to all commits before its tip: the pushed one may have been overtaken by newer ones. A tag stands for
/// one object, annotated or not: a tag that was moved is no longer on what it was before.
pub fn find_on_ref(
    attempt: &Attempt<'_>,
    ref_name: &RefName,
    mut ref_now: Option<ObjectId>,
) -> Result<ObjectId, Error> {
    let request = attempt.request();
    let pushed = &request.target.object;
    let mut depths = if attempt.repository().is_shallow() {
        DEPTHS.iter()
    } else {
        THE_REST.iter()
    };
    loop {
        let not_on_ref = |source| Error::NotOnRef {
            url: request.url(),
            object: pushed.to_string(),
            ref_name: ref_name.to_string(),
            ref_now: ref_now.as_ref().map(ToString::to_string),
            source,
        };
        match &ref_now {
            Some(tip) if tip == pushed => return Ok(tip.clone()),
            Some(tip) if !ref_name.as_str().starts_with("refs/tags/") => {
                match leads_to(attempt, tip, pushed)? {
                    Answer::Yes => return Ok(tip.clone()),
                    Answer::No => return Err(not_on_ref(None)),
                    Answer::Unknown => {}
                }
            }
            _ => return Err(not_on_ref(None)),
        }
        let Some(&depth) = depths.next() else {
            return Err(not_on_ref(None));
        };
        request.check_time()?;
        ref_now = match attempt.fetch(ref_name.as_str(), LOCAL_TIP, depth) {
            Ok(ref_now) => ref_now,
            // It was there a moment ago.
            Err(Failed::Refused(error)) => return Err(not_on_ref(Some(error))),
            Err(Failed::Other(error)) => return Err(error),
        };
    }
}

enum Answer {
    Yes,
    No,
    /// Some of the history is not there.
    Unknown,
}

/// Whether `object` is a commit that is `tip` or before it, as far as the repository goes.
///
/// libgit2's own search fails where the history is cut off.
fn leads_to(attempt: &Attempt<'_>, tip: &ObjectId, object: &ObjectId) -> Result<Answer, Error> {
    let request = attempt.request();
    let invalid = |source| Error::Invalid {
        url: request.url(),
        source,
    };
    let parse = |id: &ObjectId| Oid::from_str(id.as_str()).map_err(invalid);
    let (tip, object) = (parse(tip)?, parse(object)?);
    // An open one goes on to cut the history off where it was cut off first.
    let repository = Repository::open(attempt.repository().path()).map_err(invalid)?;
    let mut is_whole = !repository.is_shallow();
    let mut seen = HashSet::from([tip]);
    let mut next = vec![tip];
    while let Some(id) = next.pop() {
        if id == object {
            return Ok(Answer::Yes);
        }
        request.check_time()?;
        match repository.find_commit(id) {
            Ok(commit) => next.extend(commit.parent_ids().filter(|&parent| seen.insert(parent))),
            Err(_) => is_whole = false,
        }
    }
    Ok(if is_whole { Answer::No } else { Answer::Unknown })
}
