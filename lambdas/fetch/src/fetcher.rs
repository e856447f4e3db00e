//! Fetches the pushed commit, then its submodules, within the same limits.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws::failure::chain;
use aws::staging::{Staging, StorageError};
use domain::contract::StagedPack;
use domain::destination::{base_key, staging_key};
use domain::push::PushId;
use domain::remote_url::RemoteUrl;
use domain::source::Limits;
use remote::{Connection, FetchRequest, FetchedPack, Target, TransferProgram};
use reporter::ProgressReporter;
use tempfile::TempDir;

use crate::error::Error;
use crate::progress::Progress;
use crate::secret::GitSecret;

/// The longest time for a fetch, in seconds. It keeps any setting within the range of the clock.
const MAX_SECONDS: u64 = 86_400;

/// The packs of bases may have this part of `pack_bytes`, besides what is fetched.
const BASES_PART: u64 = 4;

/// Fetches commits one after another.
pub struct Fetcher<'a, S> {
    pub program: &'a TransferProgram,
    pub secret: &'a GitSecret,
    pub staging: &'a S,
    pub push_id: PushId,
    pub limits: &'a Limits,
    pub progress: ProgressReporter<Progress>,
    folder: TempDir,
    deadline: Instant,
    /// The bytes of all packs so far.
    bytes: u64,
    /// The bytes of what was loaded of bases.
    loaded: u64,
    /// The number of fetches so far.
    fetches: u32,
}

impl<'a, S: Staging> Fetcher<'a, S> {
    /// Creates a fetcher, whose time limit begins now.
    pub fn new(
        program: &'a TransferProgram,
        secret: &'a GitSecret,
        staging: &'a S,
        push_id: PushId,
        limits: &'a Limits,
        progress: ProgressReporter<Progress>,
    ) -> Result<Self, Error> {
        Ok(Self {
            program,
            secret,
            staging,
            push_id,
            limits,
            progress,
            folder: tempfile::tempdir().map_err(Error::Workspace)?,
            deadline: Instant::now() + Duration::from_secs(limits.fetch_seconds.min(MAX_SECONDS)),
            bytes: 0,
            loaded: 0,
            fetches: 0,
        })
    }

    /// Returns when all fetches must have ended.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns the number of bytes that hosts have sent.
    pub fn received_bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of bytes that were loaded of bases.
    pub fn loaded_bytes(&self) -> u64 {
        self.loaded
    }

    /// Counts bytes of a base that are about to be loaded, or returns `false` if the disk has no room for them.
    pub fn may_load(&mut self, bytes: u64) -> bool {
        let loaded = self.loaded.saturating_add(bytes);
        let may = loaded <= self.limits.pack_bytes / BASES_PART;
        if may {
            self.loaded = loaded;
        }
        may
    }

    /// Returns the path of the repository that has everything that was fetched.
    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("repository.git")
    }

    /// Fetches one commit, and puts its pack into the repository.
    pub async fn fetch(&mut self, url: &RemoteUrl, target: Target) -> Result<FetchedPack, Error> {
        let without_base = Target {
            base: None,
            ..target.clone()
        };
        let base = target.base.clone();
        match (self.fetch_once(url, target).await, base) {
            // It may have had no memory for the objects of the base.
            (Err(Error::Remote(error @ remote::Error::Died { .. })), Some(base)) => {
                remote::remove_packs(&base.packs);
                // The process has left its files.
                let _ = std::fs::remove_dir_all(self.folder_of_fetch());
                let fetched = self.fetch_once(url, without_base).await?;
                Ok(FetchedPack {
                    base_unused: Some(chain(&error)),
                    ..fetched
                })
            }
            (fetched, _) => fetched,
        }
    }

    fn folder_of_fetch(&self) -> PathBuf {
        self.folder.path().join(self.fetches.to_string())
    }

    async fn fetch_once(&mut self, url: &RemoteUrl, target: Target) -> Result<FetchedPack, Error> {
        self.fetches += 1;
        let connection = Connection {
            url: url.clone(),
            access: self.secret.credentials().access(url).await?,
            authorities: self.secret.credentials().authorities().to_vec(),
            limits: self.limits.transfer(),
            deadline: self.deadline,
            folder: self.folder_of_fetch(),
        };
        let request = FetchRequest {
            connection,
            target,
            pack_bytes: self.limits.pack_bytes.saturating_sub(self.bytes),
            // The reporter here keeps the longer interval.
            interval: self.progress.interval() / 10,
        };
        let report = |progress| self.progress.report(|| Progress::Transfer(progress));
        let mut fetched = self.program.fetch(&request, &report).await?;
        let pack = self.pack_path(&self.fetches.to_string())?;
        for extension in ["pack", "idx"] {
            std::fs::rename(
                fetched.pack.with_extension(extension),
                pack.with_extension(extension),
            )
            .map_err(Error::Workspace)?;
        }
        // Only the pack is used.
        let _ = std::fs::remove_dir_all(request.connection.folder);
        self.bytes += fetched.bytes;
        fetched.pack = pack;
        Ok(fetched)
    }

    /// Returns the path of a pack of this name in the repository.
    pub fn pack_path(&self, name: &str) -> Result<PathBuf, Error> {
        tree::pack_path(&self.repository(), name).map_err(Error::Workspace)
    }

    /// Stages a pack and its index as `name`. With `as_base`, they are left for the next pushes too.
    pub async fn stage(&self, pack: &Path, name: &str, as_base: bool) -> Result<StagedPack, Error> {
        let stage = async |extension: &str| {
            let name = format!("{name}.{extension}");
            let key = if as_base { base_key } else { staging_key };
            let key = key(&self.push_id, &name).map_err(StorageError::Key)?;
            Ok::<_, Error>(
                self.staging
                    .store_file(&key, &pack.with_extension(extension))
                    .await?,
            )
        };
        Ok(StagedPack {
            pack: stage("pack").await?,
            index: stage("idx").await?,
        })
    }
}
