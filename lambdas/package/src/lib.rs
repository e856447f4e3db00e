//! `Package`: turns the commit's tree into one zip, straight from git's objects, without a checkout.
//!
//! The same commit and options give the same bytes: entries in the order of their paths' bytes, the commit's time on
//! all of them, one deflate implementation at one level.

mod build_info;
mod compress;
mod entry;
mod error;
mod format;
mod large;
mod record;
mod segments;
mod sink;

use std::collections::HashMap;
use std::path::PathBuf;

use domain::contract::{Archive, Envelope, PackageInput};
use domain::destination::staging_key;
use git2::Oid;
use platform::staging::{Staging, StorageError};
use tokio::sync::mpsc;
use tree::Rules;

pub use build_info::BUILD_INFO;
pub use error::Error;

use sink::{Sink, Sum};

/// What a packaging needs of the world.
#[derive(Debug)]
pub struct Deps<'a, A> {
    /// Where the pack is, and the zip goes.
    pub staging: &'a A,
    /// Told now and then how many entries of how many are done.
    pub progress: fn(u64, u64),
}

/// Packages one commit.
///
/// # Errors
/// [`Error`].
pub async fn handle(
    deps: &Deps<'_, impl Staging>,
    envelope: &Envelope<PackageInput>,
) -> Result<Archive, Error> {
    let fetched = &envelope.input.fetched;
    let folder = tempfile::tempdir().map_err(Error::Workspace)?;
    let repository = folder.path().join("repository.git");
    let pack = tree::pack_path(&repository, &fetched.commit).map_err(Error::Workspace)?;
    deps.staging.load(&fetched.pack, &pack).await?;
    deps.staging
        .load(&fetched.index, &pack.with_extension("idx"))
        .await?;

    let key = staging_key(&envelope.push.push_id, "archive.zip").map_err(StorageError::Key)?;
    // One piece waits while the next is made: the rest of the memory is the staging area's and the compressors'.
    let (sender, receiver) = mpsc::channel(1);
    let work = Work {
        envelope: envelope.clone(),
        repository,
        progress: deps.progress,
    };
    let zipping = tokio::task::spawn_blocking(move || work.zip(Sink::new(sender)));
    let (stored, zipped) = tokio::join!(deps.staging.store(&key, receiver), zipping);
    // Where both fail, the zip's failure is the reason for the other, unless it is only that nobody takes its bytes.
    let zipped = zipped.map_err(|error| Error::Workspace(std::io::Error::other(error)))?;
    let zipped = match (zipped, &stored) {
        (Err(error), Ok(_) | Err(StorageError::Unfinished { .. })) => return Err(error),
        (zipped, _) => zipped,
    };
    let object = stored?;
    let zipped = zipped?;
    Ok(Archive {
        object,
        sha256: zipped.sum.sha256,
        entries: zipped.entries,
        warnings: zipped.warnings,
    })
}

/// The part of the work that keeps a thread busy.
struct Work {
    envelope: Envelope<PackageInput>,
    repository: PathBuf,
    progress: fn(u64, u64),
}

struct Zipped {
    sum: Sum,
    entries: u64,
    warnings: Vec<String>,
}

impl Work {
    fn zip(&self, sink: Sink) -> Result<Zipped, Error> {
        let input = &self.envelope.input;
        let repository = tree::open(&self.repository)?;
        let root = Oid::from_str(input.fetched.tree.as_str()).map_err(tree::Error::Pack)?;
        let rules = Rules {
            limits: &input.options.limits,
            symlinks: input.options.symlinks,
            submodules: &HashMap::new(),
        };
        let mut tree = tree::list(&repository, root, &rules)?;
        let mut warnings = std::mem::take(&mut tree.warnings);
        let mut entries = entry::of(tree);
        if input.options.build_info {
            match build_info::entry(&self.envelope.push, &input.fetched, &entries)? {
                Some(entry) => entries.push(entry),
                None => warnings.push(format!(
                    "the repository has a {BUILD_INFO} of its own, which the zip holds instead of ours"
                )),
            }
        }
        entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        let sum = compress::write(
            &self.repository,
            &entries,
            input.fetched.committed_at,
            &input.options.limits,
            self.progress,
            sink,
        )?;
        Ok(Zipped {
            sum,
            entries: entries.len() as u64,
            warnings,
        })
    }
}
