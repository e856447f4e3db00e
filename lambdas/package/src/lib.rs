//! `Package`: turns the commit's tree into one zip, straight from git's objects, without a checkout.
//!
//! The same commit and options give the same bytes: entries in the order of their paths' bytes, the commit's time on
//! all of them, and deflate at one level. Which implementation deflates a file depends only on the file's size.

mod build_info;
mod changes;
mod clone;
mod compress;
mod conversion;
mod earlier;
mod entry;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod large;
mod plan;
mod progress;
mod record;
mod segments;
mod sink;

use std::path::{Path, PathBuf};

use aws::failure::chain;
use aws::staging::{Staging, StorageError};
use chrono::{DateTime, Utc};
use domain::contract::{
    Archive, BaseUse, BaseZip, Envelope, FetchedCommit, FetchedInput, FetchedSubmodule, StagedObject,
};
use domain::destination::{base_key, lfs_key, staging_key};
use domain::limits::ArchiveLimits;
use domain::push::PushId;
use reporter::ProgressReporter;
use tokio::sync::mpsc;

pub use build_info::BUILD_INFO;
pub use error::Error;
pub use progress::Progress;

use changes::Changes;
use earlier::Earlier;
use plan::{Plan, REPOSITORY};
use sink::Sink;

/// The version of how files become entries. Raise it with any change of their bytes, also by another version of
/// libdeflate or zlib-rs: entries are taken from an earlier zip of the same version alone.
pub const FORMAT: u32 = 1;
/// The fields of the log's line that are metrics.
pub const METRICS: [&str; 2] = ["entries_taken", "entries_made"];
/// The most warnings that are written into the trail.
const MAX_WARNINGS: usize = 50;
/// The most characters of a warning that are written into the trail.
const MAX_WARNING_CHARACTERS: usize = 300;

/// What [`handle`] needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, A> {
    /// The staging area that holds the pack, and receives the zip.
    pub staging: &'a A,
    /// Reports how far the packaging is.
    pub progress: ProgressReporter<Progress>,
}

/// Packages one commit.
///
/// # Errors
/// Returns an [`Error`] if the commit cannot be packaged.
pub async fn handle(
    deps: &Deps<'_, impl Staging>,
    envelope: &Envelope<FetchedInput>,
) -> Result<Archive, Error> {
    let fetched = &envelope.input.fetched;
    deps.progress.begin();
    let folder = tempfile::tempdir().map_err(Error::Workspace)?;
    load_packs(deps.staging, fetched, &folder.path().join(REPOSITORY)).await?;
    let (work, path, progress) = (envelope.clone(), folder.path().to_owned(), deps.progress.clone());
    let plan = blocking(move || plan::plan(&work, &path, &progress));
    let earlier = open_earlier(deps.staging, &envelope.input, folder.path());
    let (plan, earlier) = if envelope.input.deliver.options.lfs {
        let plan = plan.await?;
        load_lfs_objects(deps.staging, &envelope.push.push_id, &plan).await?;
        // It comes last, because it is the only one that is not needed, and the disk may have no room.
        (plan, earlier.await?)
    } else {
        tokio::try_join!(plan, earlier)?
    };

    // The next push takes from it what does not change.
    let key = if fetched.base.is_some() {
        base_key
    } else {
        staging_key
    };
    let key = key(&envelope.push.push_id, "archive.zip").map_err(StorageError::Key)?;
    // At most one piece waits while the next is made, to leave the memory to the staging area and the compressors.
    let (sender, receiver) = mpsc::channel(1);
    let work = Work {
        repository: folder.path().join(REPOSITORY),
        plan,
        earlier,
        committed_at: fetched.committed_at,
        limits: envelope.input.deliver.options.limits.archive(),
        progress: deps.progress.clone(),
    };
    let zipping = blocking(move || work.zip(Sink::new(sender)));
    let (stored, zipped) = tokio::join!(deps.staging.store(&key, receiver), zipping);
    // If both fail, one failure caused the other: the zip's error is returned if the staging area only reports that the
    // zip was not finished, and the staging area's error otherwise.
    let zipped = match (zipped, &stored) {
        (Err(error), Ok(_) | Err(StorageError::Unfinished { .. })) => return Err(error),
        (zipped, _) => zipped,
    };
    let object = stored?;
    let unsummed = || Error::Workspace(std::io::Error::other("the staging area has not summed the zip"));
    let sha256 = object.sha256.clone().ok_or_else(unsummed)?;
    let zipped = zipped?;
    let entries_taken = zipped.taken_entries.unwrap_or_default();
    let entries_made = zipped.entries - entries_taken;
    tracing::info!(entries_taken, entries_made, "packaged");
    Ok(Archive {
        object,
        sha256,
        entries: zipped.entries,
        format: Some(FORMAT),
        taken_entries: zipped.taken_entries,
        warnings: zipped.warnings,
    })
}

/// Opens the zip of the base, or returns `None` if there is none or it cannot be used.
async fn open_earlier(
    staging: &impl Staging,
    input: &FetchedInput,
    folder: &Path,
) -> Result<Option<Earlier>, Error> {
    let Some(base) = input.fetched.base.as_ref().and_then(BaseUse::used) else {
        return Ok(None);
    };
    let is_of_this_format = |zip: &&BaseZip| zip.format == FORMAT;
    let Some(earlier) = base.zip.as_ref().filter(is_of_this_format) else {
        return Ok(None);
    };
    let put_aside = |reason: &dyn std::error::Error| {
        tracing::warn!(reason = chain(reason), "the zip of the base is not used");
    };
    let options = &input.deliver.options;
    let with_attributes = options.attributes || options.lfs;
    let (repository, commit, fetched) = (
        folder.join(REPOSITORY),
        base.commit.clone(),
        input.fetched.clone(),
    );
    let changes = blocking(move || {
        let repository = tree::open(&repository)?;
        Ok(Changes::find(&repository, &commit, &fetched, with_attributes))
    });
    let changes = match changes.await? {
        Ok(changes) => changes,
        Err(reason) => {
            put_aside(&reason);
            return Ok(None);
        }
    };
    let zip = folder.join("earlier.zip");
    let opened = match staging.load(&earlier.object, &zip).await {
        Ok(()) => {
            let file = zip.clone();
            let opened = blocking(move || Ok(Earlier::open(&file, &changes))).await?;
            opened.inspect_err(|error| put_aside(error)).ok()
        }
        Err(error) => {
            put_aside(&error);
            None
        }
    };
    if opened.is_none() {
        // The disk may have no room for it.
        let _ = std::fs::remove_file(&zip);
    }
    Ok(opened)
}

/// Runs `work` on a thread for blocking work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Workspace(std::io::Error::other(error)))?
}

/// Loads the packs of the commit and its submodules into `repository`.
async fn load_packs(staging: &impl Staging, fetched: &FetchedCommit, repository: &Path) -> Result<(), Error> {
    let submodules = fetched.submodules.iter().flat_map(FetchedSubmodule::packs);
    for staged in submodules.chain(fetched.packs()) {
        let name = staged.pack.key.as_str().replace('/', "-");
        let path = tree::pack_path(repository, &name).map_err(Error::Workspace)?;
        // Submodules of one commit share their packs.
        if !path.exists() {
            staging.load(&staged.pack, &path).await?;
            staging.load(&staged.index, &path.with_extension("idx")).await?;
        }
    }
    Ok(())
}

/// Loads the LFS objects into the files that the plan names.
async fn load_lfs_objects(staging: &impl Staging, push_id: &PushId, plan: &Plan) -> Result<(), Error> {
    for (file, pointer) in &plan.lfs {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(Error::Workspace)?;
        }
        let object = StagedObject {
            key: lfs_key(push_id, pointer.oid.as_str()).map_err(StorageError::Key)?,
            size: pointer.size,
            // The key names the content, so every version of it has the same content.
            version_id: None,
            sha256: Some(pointer.oid.to_string()),
        };
        staging.load(&object, file).await?;
    }
    Ok(())
}

/// What a thread for blocking work needs to write the zip.
struct Work {
    repository: PathBuf,
    plan: Plan,
    earlier: Option<Earlier>,
    committed_at: DateTime<Utc>,
    limits: ArchiveLimits,
    progress: ProgressReporter<Progress>,
}

struct Zipped {
    entries: u64,
    taken_entries: Option<u64>,
    warnings: Vec<String>,
}

/// Bounds the number and the length of the warnings, because a path may have thousands of characters, and a placeholder
/// any number.
fn shorten(warnings: &mut Vec<String>) {
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    warnings.truncate(MAX_WARNINGS);
    if more > 0 {
        warnings.push(format!("there are {more} more warnings"));
    }
    for warning in warnings {
        if let Some((end, _)) = warning.char_indices().nth(MAX_WARNING_CHARACTERS) {
            warning.truncate(end);
            warning.push_str("...");
        }
    }
}

impl Work {
    fn zip(self, sink: Sink) -> Result<Zipped, Error> {
        let plan = self.plan;
        compress::write(
            &self.repository,
            &plan.entries,
            (&plan.converter, self.earlier.as_ref()),
            self.committed_at,
            self.limits,
            &self.progress,
            sink,
        )?;
        let mut warnings = plan.warnings;
        warnings.extend(plan.converter.warnings());
        shorten(&mut warnings);
        Ok(Zipped {
            entries: plan.entries.len() as u64,
            taken_entries: self.earlier.map(|earlier| earlier.taken()),
            warnings,
        })
    }
}
