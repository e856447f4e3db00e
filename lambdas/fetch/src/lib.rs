//! `Fetch`: brings exactly the pushed commit from the git host into the staging bucket, as one pack.

mod attempt;
mod certificates;
mod credentials;
mod error;
mod fetcher;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gitmodules;
mod known_hosts;
mod lfs;
mod lineage;
mod listing;
mod order;
mod pointers;
mod progress;
mod signature;
mod submodules;
mod transfer;

use domain::contract::{Envelope, FetchInput, FetchedCommit};
use domain::git::ObjectId;
use domain::source::{CommitPolicy, SignaturePolicy, Submodules};
use platform::progress::Teller;
use platform::secrets::Secrets;
use platform::staging::Staging;
use url::Url;

pub use credentials::GitSecret;
pub use error::Error;
pub use lfs::LfsError;
pub use progress::Progress;
pub use signature::NotVerified;

use fetcher::Fetcher;
use order::Wanted;
use pointers::{Allowed, Pushed};
use submodules::Sources;

/// What a fetch needs of the world.
#[derive(Debug)]
pub struct Deps<'a, A, B> {
    /// The git secrets.
    pub secrets: &'a A,
    /// Where the pack goes.
    pub staging: &'a B,
    /// Told how far the fetch is.
    pub progress: Teller<Progress>,
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
    fetch(deps, envelope, after, url, &secret)
        .await
        .map_err(|error| error.without(&secret))
}

async fn fetch(
    deps: &Deps<'_, impl Secrets, impl Staging>,
    envelope: &Envelope<FetchInput>,
    after: ObjectId,
    url: Url,
    secret: &GitSecret,
) -> Result<FetchedCommit, Error> {
    let (push, input) = (&envelope.push, &envelope.input);
    let options = &input.options;
    deps.progress.begin();
    let mut fetcher = Fetcher::new(
        secret,
        deps.staging,
        push.push_id,
        &options.limits,
        deps.progress.clone(),
    )?;
    let wanted = Wanted {
        url: url.clone(),
        object: after,
        ref_name: Some(push.ref_name.clone()),
        on_ref: options.commits == CommitPolicy::OnRef,
        history: options.full_clone,
        signers: match options.signature {
            SignaturePolicy::Any => None,
            SignaturePolicy::Required => Some(secret.signers().clone()),
        },
    };
    let found = fetcher.fetch(wanted).await?;
    let (pack, index) = fetcher.stage(&found, "commit").await?;
    let submodules = match options.submodules {
        Submodules::None => Vec::new(),
        Submodules::Recursive => {
            let sources = Sources {
                hosts: &input.git_hosts,
                repositories: &input.submodule_repositories,
                attributes: options.attributes,
            };
            submodules::fetch(&mut fetcher, sources, url.clone(), found.tree.clone()).await?
        }
    };
    let lfs = if options.lfs {
        let pushed = Pushed {
            url: &url,
            tree: &found.tree,
            ref_name: &push.ref_name,
        };
        let allowed = Allowed {
            hosts: &input.git_hosts,
            repositories: &input.submodule_repositories,
        };
        Some(pointers::fetch(&fetcher, allowed, options, pushed, &submodules).await?)
    } else {
        None
    };
    Ok(FetchedCommit {
        commit: found.commit,
        tree: found.tree,
        author: found.author,
        committed_at: found.committed_at,
        subject: found.subject,
        url: url.into(),
        ref_now: found.ref_now,
        pack,
        index,
        submodules,
        lfs,
        signature: found.signature,
    })
}
