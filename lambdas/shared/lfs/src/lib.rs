//! The Git LFS protocol: downloads objects from the repository's LFS server into the staging area.
//!
//! The LFS server is found by the clone URL or `.lfsconfig`, and asked in batches where the objects are. They may be
//! anywhere on the public internet, for instance at presigned URLs of S3. Credentials of the git secret are sent only
//! to the LFS server's own origin.

mod batch;
mod client;
mod download;
mod endpoint;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws::staging::Staging;
use credentials::Credentials;
use domain::contract::LfsObjects;
use domain::git::RefName;
use domain::limits::LfsLimits;
use domain::push::PushId;
use domain::remote_url::RemoteUrl;
use domain::source::GitHost;
use futures::{StreamExt as _, stream};
use tree::{LfsOid, Pointer};

pub use endpoint::MAX_LFSCONFIG_BYTES;
pub use error::Error;
pub use progress::Progress;

use client::Client;
use progress::Counter;

/// How many objects are downloaded at once. Each has a few pieces in memory.
const CONCURRENT_DOWNLOADS: usize = 4;
/// The id of the empty object.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The request for the objects of one repository.
pub struct LfsRequest<'a> {
    /// The URL that the pack was fetched from.
    pub clone_url: &'a RemoteUrl,
    /// The hosts of the source's settings.
    pub git_hosts: &'a [GitHost],
    /// The globs of the source's `submodule_repositories`.
    pub repositories: &'a [String],
    /// The content of `.lfsconfig` at the root of the commit's tree.
    pub lfsconfig: Option<Vec<u8>>,
    /// The logins, one of which may be for the LFS server.
    pub credentials: &'a Credentials,
    /// The limits of the LFS objects.
    pub limits: LfsLimits,
    /// When the whole fetch must have ended.
    pub deadline: Instant,
    /// The push whose staged objects they are.
    pub push_id: &'a PushId,
    /// The ref, by which a server may decide on access.
    pub ref_name: &'a RefName,
    /// Called whenever bytes have come.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl LfsRequest<'_> {
    fn silence(&self) -> Duration {
        Duration::from_secs(self.limits.silence_seconds)
    }
}

/// Stages the object of each pointer as `lfs/{oid}`, each object once.
///
/// # Errors
/// Returns an [`Error`] if an object cannot be fetched. Objects that were staged before remain, because they are right
/// and are removed with the push's other objects.
pub async fn fetch(
    request: &LfsRequest<'_>,
    pointers: Vec<Pointer>,
    staging: &impl Staging,
) -> Result<LfsObjects, Error> {
    // A repository without pointers needs no LFS server.
    if pointers.is_empty() {
        return Ok(LfsObjects { objects: 0, bytes: 0 });
    }
    let server = endpoint::find(
        request.clone_url,
        request.git_hosts,
        request.repositories,
        request.lfsconfig.as_deref(),
    )?;
    let (wanted, staged) = deduplicated(request, &server, pointers)?;
    let client = Client::new(request, &server)?;
    let login = client.login().await?;
    let counter = Counter::new(request.progress, wanted.len());
    let (empty, wanted): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|(oid, size)| *size == 0 && oid.as_str() == EMPTY);
    for (oid, _) in empty {
        download::store_empty(&download::key(request.push_id, &oid)?, staging).await?;
    }
    for objects in wanted.chunks(batch::MAX_BATCH_OBJECTS) {
        let downloads = batch::ask(&client, login.as_ref(), request.ref_name.as_str(), objects).await?;
        let (client, login, counter) = (&client, login.as_ref(), &counter);
        let mut under_way = stream::iter(downloads)
            .map(async |download| {
                let key = download::key(request.push_id, &download.oid)?;
                download::run(client, login, download, &key, staging, counter).await
            })
            .buffer_unordered(CONCURRENT_DOWNLOADS);
        let mut first = Ok(());
        while let Some(done) = under_way.next().await {
            if done.is_err() {
                // The other downloads end by themselves, and store no partial object.
                client.stop();
                first = first.and(done);
            }
        }
        first?;
    }
    Ok(staged)
}

/// Returns each object once, and the sum of all objects.
///
/// # Errors
/// Returns an [`Error`] if the objects exceed a limit, or if pointers contradict each other.
fn deduplicated(
    request: &LfsRequest<'_>,
    server: &RemoteUrl,
    pointers: Vec<Pointer>,
) -> Result<(Vec<(LfsOid, u64)>, LfsObjects), Error> {
    let limit = |limit, reason| Error::Limit {
        url: server.to_string(),
        limit,
        reason,
    };
    let mut wanted = BTreeMap::new();
    let mut bytes = 0_u64;
    for Pointer { oid, size, extended } in pointers {
        if extended {
            return Err(Error::Extended { oid: oid.to_string() });
        }
        if size > request.limits.file_bytes {
            let reason = format!("the LFS object {oid} has {size} bytes");
            return Err(limit("file_bytes", reason));
        }
        match wanted.get(&oid) {
            None => bytes = bytes.saturating_add(size),
            Some(known) if *known == size => {}
            Some(known) => {
                return Err(Error::Repository {
                    what: "pointers",
                    reason: format!("the LFS object {oid} has {known} bytes by one and {size} by another"),
                });
            }
        }
        wanted.insert(oid, size);
    }
    if bytes > request.limits.lfs_bytes {
        return Err(limit("lfs_bytes", format!("the LFS objects have {bytes} bytes")));
    }
    let objects = wanted.len() as u64;
    Ok((wanted.into_iter().collect(), LfsObjects { objects, bytes }))
}
