//! What the git host shows on a ref, without fetching it: for a rollback, and whether a ref that was deleted is there
//! again.

use std::sync::Arc;
use std::time::Duration;

use aws::secrets::Secrets;
use credentials::Issuer;
use domain::contract::{Envelope, FindRefInput, FoundRef};
use domain::git::ObjectId;
use domain::push::Push;
use domain::remote_url::RemoteUrl;
use remote::TransferProgram;

use crate::error::Error;
use crate::secret::GitSecret;

/// How long the git host may take. A rollback does not depend on the git host, which may be what people roll back for.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks the git host for a ref that was deleted. Anybody who knows the webhook's secret can say that it was.
///
/// # Errors
/// Returns an [`Error`] if the git host does not say it.
pub async fn find_ref(
    secrets: &impl Secrets,
    issuer: &Arc<Issuer>,
    transfer: &TransferProgram,
    envelope: &Envelope<FindRefInput>,
) -> Result<FoundRef, Error> {
    let url = &envelope.input.expire.clone_url;
    let ref_now = ask(secrets, issuer, transfer, &envelope.push, url).await?;
    Ok(FoundRef { ref_now })
}

/// Returns what the push's ref points to, or `None` if it does not exist.
pub async fn ask(
    secrets: &impl Secrets,
    issuer: &Arc<Issuer>,
    transfer: &TransferProgram,
    push: &Push,
    url: &RemoteUrl,
) -> Result<Option<ObjectId>, Error> {
    remote::ignore_configuration();
    let secret = GitSecret::read(secrets, &push.source, issuer).await?;
    let listing = transfer
        .list_unredacted(secret.credentials(), url, ASK_TIMEOUT)
        .await;
    // A host may send back what it was sent.
    let listing = listing.map_err(|error| Error::from(error).without(&secret))?;
    let found = listing
        .refs
        .into_iter()
        .find(|listed| listed.name == push.ref_name);
    Ok(found.map(|listed| listed.as_reported(push.after.as_ref()).clone()))
}
