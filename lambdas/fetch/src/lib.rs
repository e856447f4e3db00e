//! `Fetch`: fetches exactly the pushed commit from the git host into the staging bucket, as one pack.

mod error;
mod fetcher;
mod listing;
mod pointers;
mod progress;
mod secret;
mod submodules;

use std::path::Path;

use aws::secrets::Secrets;
use aws::staging::Staging;
use domain::contract::{Envelope, FetchInput, FetchedCommit, VerifiedSignature};
use domain::git::{CommitId, ObjectId, RefName};
use domain::remote_url::RemoteUrl;
use domain::source::{CommitPolicy, SignaturePolicy, Submodules};
use git2::Oid;
use remote::Target;
use reporter::ProgressReporter;
use signatures::Signers;

pub use error::Error;
pub use progress::Progress;
pub use remote::{TransferProgram, transfer_if_asked};
pub use secret::GitSecret;

use fetcher::Fetcher;
use listing::blocking;
use pointers::{Allowed, Pushed};
use submodules::Sources;

/// What [`handle`] needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, A, B> {
    /// The store of the git secrets.
    pub secrets: &'a A,
    /// The staging area that receives the pack.
    pub staging: &'a B,
    /// The program that speaks to the git host.
    pub transfer: &'a TransferProgram,
    /// Reports how far the fetch is.
    pub progress: ProgressReporter<Progress>,
}

/// Fetches one commit.
///
/// # Errors
/// Returns an [`Error`] if the commit cannot be fetched.
pub async fn handle(
    deps: &Deps<'_, impl Secrets, impl Staging>,
    envelope: &Envelope<FetchInput>,
) -> Result<FetchedCommit, Error> {
    remote::ignore_configuration();
    let push = &envelope.push;
    let after = push.after.clone().ok_or(Error::NothingPushed)?;
    let secret = deps.secrets.read(&push.source, "git").await?;
    let secret = GitSecret::parse(&push.source, &secret)?;
    fetch(deps, envelope, after, &secret)
        .await
        .map_err(|error| error.without(&secret))
}

async fn fetch(
    deps: &Deps<'_, impl Secrets, impl Staging>,
    envelope: &Envelope<FetchInput>,
    after: ObjectId,
    secret: &GitSecret,
) -> Result<FetchedCommit, Error> {
    let (push, input) = (&envelope.push, &envelope.input);
    let (url, options) = (&input.deliver.clone_url, &input.deliver.options);
    deps.progress.begin();
    let mut fetcher = Fetcher::new(
        deps.transfer,
        secret,
        deps.staging,
        push.push_id,
        &options.limits,
        deps.progress.clone(),
    )?;
    let target = Target {
        object: after.clone(),
        ref_name: Some(push.ref_name.clone()),
        on_ref: options.commits == CommitPolicy::OnRef,
        history: options.full_clone,
    };
    let fetched = fetcher.fetch(url, target).await?;
    let signature = match options.signature {
        SignaturePolicy::Any => None,
        // The signature of a commit covers the ids of its submodules.
        SignaturePolicy::Required => {
            let object = after.clone();
            let (repository, push, url) = (fetcher.repository(), push.clone(), url.clone());
            let (commit, signers) = (fetched.commit.clone(), secret.signers().clone());
            Some(
                blocking(move || verify(&repository, &push.ref_name, &url, &object, &commit, &signers))
                    .await?,
            )
        }
    };
    let (pack, index) = fetcher.stage(&fetched, "commit").await?;
    let submodules = match options.submodules {
        Submodules::None => Vec::new(),
        Submodules::Recursive => {
            let sources = Sources {
                hosts: &input.deliver.git_hosts,
                repositories: &input.deliver.submodule_repositories,
                attributes: options.attributes,
            };
            submodules::fetch(&mut fetcher, sources, url.clone(), fetched.tree.clone()).await?
        }
    };
    let lfs = if options.lfs {
        let pushed = Pushed {
            url,
            tree: &fetched.tree,
            ref_name: &push.ref_name,
        };
        let allowed = Allowed {
            hosts: &input.deliver.git_hosts,
            repositories: &input.deliver.submodule_repositories,
        };
        Some(pointers::fetch(&fetcher, allowed, options, pushed, &submodules).await?)
    } else {
        None
    };
    Ok(FetchedCommit {
        commit: fetched.commit,
        tree: fetched.tree,
        author: fetched.author,
        committed_at: fetched.committed_at,
        subject: fetched.subject,
        url: url.to_string(),
        ref_now: fetched.ref_now,
        pack,
        index,
        submodules,
        lfs,
        signature,
    })
}

/// Verifies the signature of `object`, which was pushed, or of its `commit`.
fn verify(
    repository: &Path,
    ref_name: &RefName,
    url: &RemoteUrl,
    object: &ObjectId,
    commit: &CommitId,
    signers: &Signers,
) -> Result<VerifiedSignature, Error> {
    let repository = tree::open(repository)?;
    let id = |text: &str| Oid::from_str(text).map_err(tree::Error::Pack);
    let (pushed, commit) = (id(object.as_str())?, id(commit.as_str())?);
    signatures::verify(&repository, pushed, commit, Some(ref_name), signers).map_err(|source| {
        Error::NotVerified {
            url: url.to_string(),
            object: object.to_string(),
            source,
        }
    })
}
