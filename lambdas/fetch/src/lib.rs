//! `Fetch`: brings exactly the pushed commit from the git host into the staging bucket, as one pack.

mod certificates;
mod credentials;
mod error;
mod known_hosts;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "it waits for the walk that finds a commit's pointers")
)]
mod lfs;
mod transfer;

use domain::contract::{Envelope, FetchInput, FetchedCommit};
use domain::destination::staging_key;
use platform::secrets::Secrets;
use platform::staging::{Staging, StorageError};
use url::Url;

pub use credentials::GitSecret;
pub use error::Error;
pub use lfs::LfsError;
pub use transfer::{Part, Progress};

use transfer::Order;

/// What a fetch needs of the world.
#[derive(Debug)]
pub struct Deps<'a, A, B> {
    /// The git secrets.
    pub secrets: &'a A,
    /// Where the pack goes.
    pub staging: &'a B,
    /// Told now and then how far the transfer is.
    pub progress: fn(Progress),
}

/// Fetches one commit.
///
/// # Errors
/// [`Error`].
pub async fn handle(
    deps: &Deps<'_, impl Secrets, impl Staging>,
    envelope: &Envelope<FetchInput>,
) -> Result<FetchedCommit, Error> {
    let (push, input) = (&envelope.push, &envelope.input);
    let after = push.after.clone().ok_or(Error::NothingPushed)?;
    let url = Url::parse(&input.clone_url).map_err(|source| Error::Url {
        url: input.clone_url.clone(),
        source,
    })?;
    let secret = deps.secrets.read(&push.source, "git").await?;
    let secret = GitSecret::parse(&push.source, &secret)?;
    let order = Order {
        access: secret.access(&url)?,
        authorities: secret.authorities().to_vec(),
        url,
        ref_name: push.ref_name.clone(),
        object: after,
        limits: input.options.limits.clone(),
        progress: deps.progress,
    };
    let folder = tempfile::tempdir().map_err(Error::Workspace)?;
    let found = transfer::fetch_in_time(order, folder.path().to_owned()).await?;
    let key = |name| staging_key(&push.push_id, name).map_err(StorageError::Key);
    let pack = deps.staging.store_file(&key("commit.pack")?, &found.pack).await?;
    let index = deps.staging.store_file(&key("commit.idx")?, &found.index).await?;
    Ok(FetchedCommit {
        commit: found.commit,
        tree: found.tree,
        author: found.author,
        committed_at: found.committed_at,
        subject: found.subject,
        ref_now: found.ref_now,
        pack,
        index,
        submodules: vec![],
        lfs: None,
        signature: None,
    })
}
