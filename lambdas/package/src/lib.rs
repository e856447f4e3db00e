//! `Package`: turns the commit's tree into one zip, straight from git's objects, without a checkout.
//!
//! The same commit and options give the same bytes: entries in the order of their paths' bytes, the commit's time on
//! all of them, one deflate implementation at one level.

mod build_info;
mod clone;
mod compress;
mod conversion;
mod entry;
mod error;
mod format;
mod large;
mod record;
mod segments;
mod sink;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use domain::contract::{Archive, Envelope, FetchedCommit, FetchedSubmodule, PackageInput};
use domain::destination::staging_key;
use domain::git::ObjectId;
use git2::Oid;
use platform::staging::{Staging, StorageError};
use tokio::sync::mpsc;
use tree::{Attributes, Rules};

pub use build_info::BUILD_INFO;
pub use error::Error;

use conversion::Converter;
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
    load(deps.staging, fetched, &repository).await?;

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

/// Brings the packs of the commit and its submodules into `repository`.
async fn load(staging: &impl Staging, fetched: &FetchedCommit, repository: &Path) -> Result<(), Error> {
    let submodules = fetched.submodules.iter();
    let packs = submodules.map(|module| (&module.commit, &module.pack, &module.index));
    for (commit, pack, index) in packs.chain([(&fetched.commit, &fetched.pack, &fetched.index)]) {
        let path = tree::pack_path(repository, commit).map_err(Error::Workspace)?;
        // Two submodules of one commit share their pack.
        if !path.exists() {
            staging.load(pack, &path).await?;
            staging.load(index, &path.with_extension("idx")).await?;
        }
    }
    Ok(())
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
        let oid = |id: &ObjectId| Oid::from_str(id.as_str()).map_err(tree::Error::Pack);
        let submodule = |module: &FetchedSubmodule| {
            let path = format!("{}/", module.path).into_bytes();
            Ok((path, oid(&module.tree)?))
        };
        let submodules = input.fetched.submodules.iter().map(submodule);
        let submodules = submodules.collect::<Result<HashMap<_, _>, tree::Error>>()?;
        let rules = Rules {
            limits: &input.options.limits,
            symlinks: input.options.symlinks,
            submodules: &submodules,
        };
        let mut tree = tree::list(&repository, oid(&input.fetched.tree)?, &rules)?;
        let mut warnings = std::mem::take(&mut tree.warnings);
        let roots: Vec<Vec<u8>> = submodules.keys().cloned().collect();
        let attributes = input.options.attributes;
        let attributes = attributes.then(|| Attributes::read(&repository, &tree.entries, &roots));
        let attributes = attributes.transpose()?;
        let mut entries = entry::of(tree);
        let mut converter = Converter::default();
        if let Some(attributes) = &attributes {
            warnings.extend_from_slice(attributes.warnings());
            converter = Converter::plan(&repository, &self.envelope, attributes, &roots, &mut entries)?;
        }
        if input.options.build_info {
            match build_info::entry(&self.envelope.push, &input.fetched, &entries)? {
                Some(entry) => entries.push(entry),
                None => warnings.push(format!(
                    "the repository has a {BUILD_INFO} of its own, which the zip holds instead of ours"
                )),
            }
        }
        if input.options.full_clone {
            let folder = self.repository.with_extension("clone");
            entries.extend(clone::entries(&repository, &self.envelope, &folder)?);
        }
        entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        let sum = compress::write(
            &self.repository,
            &entries,
            &converter,
            input.fetched.committed_at,
            &input.options.limits,
            self.progress,
            sink,
        )?;
        warnings.extend(converter.warnings());
        Ok(Zipped {
            sum,
            entries: entries.len() as u64,
            warnings,
        })
    }
}
