//! The pushes of other refs of a repository, from one of which a ref begins that has none of its own.

use std::collections::HashSet;
use std::time::Duration;

use audit::{SortKeys, StateIndex};
use aws::failure::chain;
use domain::contract::Deliver;
use domain::git::RefName;
use domain::index::Index;
use domain::push::{Push, Trigger};
use domain::push_index::repository_partition;
use domain::state::Status;
use remote::TransferProgram;

use crate::last::Last;
use crate::secret::GitSecret;

/// How many of the repository's newest pushes are looked at.
const LOOKED_AT: usize = 50;
/// How long the git host may take to say which branch is its default one.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the push that is the best base: the default branch's if it is there, and otherwise the newest one.
///
/// # Errors
/// Returns the reason why there is none.
pub async fn find(
    index: &impl StateIndex<Push>,
    (transfer, secret): (&TransferProgram, &GitSecret),
    push: &Push,
    deliver: &Deliver,
) -> Result<Last, String> {
    let partition = repository_partition(&push.repository);
    let newest = index.find(Index::Repository, &partition, SortKeys::All, LOOKED_AT);
    let newest = newest
        .await
        .map_err(|error| format!("the pushes of other refs cannot be found: {}", chain(&error)))?;
    let mut refs = HashSet::new();
    let mut candidates: Vec<_> = newest
        .into_iter()
        .filter(|state| state.push.source == push.source && state.status == Status::Delivered)
        // What a rollback has delivered is that of an earlier push.
        .filter(|state| state.push.trigger != Trigger::Rollback)
        .filter_map(Last::of)
        .filter(|last| last.base(deliver).is_ok() && refs.insert(last.other_ref().cloned()))
        .collect();
    if candidates.len() > 1
        && let Some(default) = default_branch(transfer, secret, deliver).await
        && let Some(found) = candidates
            .iter()
            .position(|last| last.other_ref() == Some(&default))
    {
        return Ok(candidates.swap_remove(found));
    }
    let newest = candidates.into_iter().next();
    newest.ok_or_else(|| "no push of the repository was delivered".to_owned())
}

/// Returns the repository's default branch, or `None` if the host does not say.
async fn default_branch(
    transfer: &TransferProgram,
    secret: &GitSecret,
    deliver: &Deliver,
) -> Option<RefName> {
    let (credentials, url) = (secret.credentials(), &deliver.clone_url);
    let listed = transfer.list_unredacted(credentials, url, ASK_TIMEOUT).await;
    listed.ok()?.default_branch
}
