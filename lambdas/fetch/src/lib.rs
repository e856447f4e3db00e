//! `Fetch`: fetches exactly the pushed commit from the git host into the staging bucket, as one pack, and compares it
//! with what is at the destination if that watches paths. `FindVersion`, for a rollback, and `FindRef`, for a deletion,
//! ask the git host only what the ref points to. A probe asks whether the function reaches it.

mod base;
mod error;
mod fetcher;
mod last;
mod listing;
mod merge;
mod other_refs;
mod pointers;
mod probe;
mod progress;
mod ref_now;
mod secret;
mod submodules;
mod version;

use std::path::Path;
use std::sync::Arc;

use audit::{PushTrail, StateIndex};
use aws::failure::chain;
use aws::secrets::Secrets;
use aws::staging::Staging;
use credentials::Issuer;
use domain::contract::{Envelope, FetchInput, FetchedCommit, StagedPack, VerifiedSignature};
use domain::error::{Class, Coded as _};
use domain::git::{CommitId, ObjectId, RefName};
use domain::push::Push;
use domain::remote_url::RemoteUrl;
use domain::source::{CommitPolicy, SignaturePolicy, Submodules};
use git2::Oid;
use remote::{Difference, Target};
use reporter::ProgressReporter;
use signatures::Signers;

pub use error::Error;
pub use last::{Last, find as find_last};
pub use probe::probe;
pub use progress::Progress;
pub use ref_now::find_ref;
pub use remote::{TransferProgram, transfer_if_asked};
pub use secret::GitSecret;
pub use version::find_version;

use base::{Offer, Pile};
use fetcher::Fetcher;
use listing::blocking;
use pointers::{Allowed, Pushed};
use submodules::Sources;

/// The fields of the log's line that are metrics.
pub const METRICS: [&str; 2] = ["bytes_from_host", "bytes_from_base"];

/// What [`handle`] needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, T, A, B> {
    /// The audit trail, which knows what was delivered before.
    pub trail: &'a T,
    /// The store of the git secrets.
    pub secrets: &'a A,
    /// Issues what logins are exchanged for. The same one for all calls, because it keeps tokens.
    pub issuer: &'a Arc<Issuer>,
    /// The staging area that receives the pack.
    pub staging: &'a B,
    /// The program that speaks to the git host.
    pub transfer: &'a TransferProgram,
    /// Whether pushes leave what the next ones need not fetch again.
    pub bases: bool,
    /// Reports how far the fetch is.
    pub progress: ProgressReporter<Progress>,
}

/// Fetches one commit.
///
/// # Errors
/// Returns an [`Error`] if the commit cannot be fetched.
pub async fn handle(
    deps: &Deps<'_, impl PushTrail + StateIndex<Push>, impl Secrets, impl Staging>,
    envelope: &Envelope<FetchInput>,
) -> Result<FetchedCommit, Error> {
    remote::ignore_configuration();
    let push = &envelope.push;
    let after = push.after.clone().ok_or(Error::NothingPushed)?;
    let secret = GitSecret::read(deps.secrets, &push.source, deps.issuer).await?;
    let work = async |bases| {
        let fetched = fetch(deps, envelope, after.clone(), &secret, bases).await;
        fetched.map_err(|error| error.without(&secret))
    };
    let fetched = work(deps.bases).await?;
    if deps.bases && output_bytes(&fetched) > workflow::MAX_OUTPUT_BYTES {
        tracing::warn!("the packs of the bases are too many for one event, so all is fetched whole");
        return work(false).await;
    }
    Ok(fetched)
}

fn output_bytes(fetched: &FetchedCommit) -> usize {
    serde_json::to_vec(fetched).map_or(0, |json| json.len())
}

async fn fetch(
    deps: &Deps<'_, impl PushTrail + StateIndex<Push>, impl Secrets, impl Staging>,
    envelope: &Envelope<FetchInput>,
    after: ObjectId,
    secret: &GitSecret,
    bases: bool,
) -> Result<FetchedCommit, Error> {
    let (push, input) = (&envelope.push, &envelope.input);
    let (url, options) = (&input.deliver.clone_url, &input.deliver.options);
    let last = last::find(deps.trail, push, &input.deliver).await;
    let last = match last {
        Err(error) if error.code().class() == Class::Permanent => {
            tracing::warn!(
                error = chain(&error),
                "the last push cannot be read, so it is no base"
            );
            None
        }
        last => last?,
    };
    deps.progress.begin();
    let mut fetcher = Fetcher::new(
        deps.transfer,
        secret,
        deps.staging,
        push.push_id,
        &options.limits,
        deps.progress.clone(),
    )?;
    let comparison = last
        .as_ref()
        .and_then(|last| last.comparison(push, &input.deliver));
    let compared_with = last.as_ref().map(|last| last.push_id);
    // A commit with its history needs that of the base, which is cut off.
    let earlier = match last {
        _ if !bases || options.full_clone => None,
        Some(last) => Some(Ok(last)),
        None => Some(other_refs::find(deps.trail, (deps.transfer, secret), push, &input.deliver).await),
    };
    let offer = match &earlier {
        None => Offer::OFF,
        Some(earlier) => {
            let base = earlier.as_ref().map_err(String::clone);
            let base = base.and_then(|last| last.base(&input.deliver));
            Offer::load(&mut fetcher, "commit", base, Pile::COMMIT).await
        }
    };
    let target = Target {
        object: after.clone(),
        ref_name: Some(push.ref_name.clone()),
        on_ref: options.commits == CommitPolicy::OnRef,
        history: options.full_clone,
        comparison,
        base: offer.for_transfer(),
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
    let (StagedPack { pack, index }, base) = offer.stage(&fetcher, &fetched, "commit").await?;
    let submodules = match options.submodules {
        Submodules::None => Vec::new(),
        Submodules::Recursive => {
            let sources = Sources {
                deliver: &input.deliver,
                earlier: earlier.as_ref(),
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
    tracing::info!(
        bytes_from_host = fetcher.received_bytes(),
        bytes_from_base = fetcher.loaded_bytes(),
        "fetched"
    );
    Ok(FetchedCommit {
        commit: fetched.commit,
        tree: fetched.tree,
        author: fetched.author,
        committed_at: fetched.committed_at,
        subject: fetched.subject,
        url: url.to_string(),
        ref_now: fetched.ref_now,
        unchanged_since: compared_with.filter(|_| is_unchanged(secret, fetched.difference.as_ref())),
        pack,
        index,
        received_bytes: Some(fetcher.received_bytes()),
        base,
        submodules,
        lfs,
        signature,
    })
}

/// Returns whether no path that concerns the destination has changed. If that is not known the push is delivered.
fn is_unchanged(secret: &GitSecret, difference: Option<&Difference>) -> bool {
    if let Some(Difference::Unknown(reason)) = difference {
        // A host may send back what it was sent.
        let reason = secret.credentials().redact(reason);
        tracing::warn!(
            reason,
            "the commit cannot be compared with what is at the destination"
        );
    }
    difference == Some(&Difference::Unchanged)
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
