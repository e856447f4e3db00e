//! Fetches the LFS objects of the pushed repository, and those of each submodule from its own LFS server.

use std::collections::HashSet;
use std::path::Path;

use aws::staging::Staging;
use domain::contract::{FetchedSubmodule, LfsObjects};
use domain::git::{ObjectId, RefName};
use domain::remote_url::RemoteUrl;
use domain::source::{GitHost, Options};
use lfs::{LfsRequest, MAX_LFSCONFIG_BYTES};
use tree::{ExportIgnoreFilter, Pointer};

use crate::error::Error;
use crate::fetcher::Fetcher;
use crate::listing::{Listing, blocking};
use crate::progress::Progress;

const LFSCONFIG: &[u8] = b".lfsconfig";

/// The hosts and repositories that the source's settings allow.
#[derive(Clone, Copy)]
pub struct Allowed<'a> {
    pub hosts: &'a [GitHost],
    /// Globs of further repositories.
    pub repositories: &'a [String],
}

/// The pushed repository.
pub struct Pushed<'a> {
    pub url: &'a RemoteUrl,
    pub tree: &'a ObjectId,
    pub ref_name: &'a RefName,
}

/// Fetches the objects into the staging area.
pub async fn fetch<S: Staging>(
    fetcher: &Fetcher<'_, S>,
    allowed: Allowed<'_>,
    options: &Options,
    pushed: Pushed<'_>,
    submodules: &[FetchedSubmodule],
) -> Result<LfsObjects, Error> {
    let mut all = LfsObjects { objects: 0, bytes: 0 };
    one(fetcher, allowed, options, &pushed, &mut all).await?;
    // The same commit may be at several paths.
    let mut seen = HashSet::new();
    for submodule in submodules {
        if !seen.insert((&submodule.url, &submodule.tree)) {
            continue;
        }
        let within = |error| Error::Submodule {
            path: submodule.path.clone(),
            source: Box::new(error),
        };
        let module = Pushed {
            url: &submodule.url,
            tree: &submodule.tree,
            ref_name: pushed.ref_name,
        };
        one(fetcher, allowed, options, &module, &mut all)
            .await
            .map_err(within)?;
    }
    Ok(all)
}

async fn one<S: Staging>(
    fetcher: &Fetcher<'_, S>,
    allowed: Allowed<'_>,
    options: &Options,
    repository: &Pushed<'_>,
    all: &mut LfsObjects,
) -> Result<(), Error> {
    let (folder, tree, options) = (fetcher.repository(), repository.tree.clone(), options.clone());
    let (pointers, lfsconfig) = blocking(move || read(&folder, &tree, &options)).await?;
    let mut limits = fetcher.limits.lfs();
    limits.lfs_bytes = limits.lfs_bytes.saturating_sub(all.bytes);
    let request = LfsRequest {
        clone_url: repository.url,
        git_hosts: allowed.hosts,
        repositories: allowed.repositories,
        lfsconfig,
        credentials: fetcher.secret.credentials(),
        limits,
        deadline: fetcher.deadline(),
        push_id: &fetcher.push_id,
        ref_name: repository.ref_name,
        progress: &|progress| fetcher.progress.report(|| Progress::Lfs(progress)),
    };
    let staged = lfs::fetch(&request, pointers, fetcher.staging).await?;
    all.objects += staged.objects;
    all.bytes += staged.bytes;
    Ok(())
}

/// Returns the pointers of a tree that will be in the zip, and the tree's `.lfsconfig`.
fn read(
    repository: &Path,
    tree: &ObjectId,
    options: &Options,
) -> Result<(Vec<Pointer>, Option<Vec<u8>>), Error> {
    let limits = options.limits.tree();
    let listing = Listing::read(repository, tree, limits)?;
    let attributes = listing.attributes(limits)?;
    let mut pointers = tree::pointers(&listing.repository, &listing.tree.entries, &attributes)?;
    if options.attributes {
        ExportIgnoreFilter::new(&attributes).remove_from(&mut pointers, |(entry, _)| &entry.path)?;
    }
    let lfsconfig = listing
        .file(LFSCONFIG, MAX_LFSCONFIG_BYTES)?
        .map_err(|size| lfs::Error::Repository {
            what: ".lfsconfig",
            reason: format!("it has {size} bytes, more than {MAX_LFSCONFIG_BYTES}"),
        })?;
    Ok((
        pointers.into_iter().map(|(_, pointer)| pointer).collect(),
        lfsconfig,
    ))
}
