//! Runs the stages and what they are compared with in turn, and checks their zips.

use std::path::{Path, PathBuf};
use std::process::Command;

use aws::staging::FolderStaging;
use domain::contract::{Archive, Deliver, Envelope, FetchInput, FetchedCommit, FetchedInput};
use domain::push::Push;
use domain::samples;
use git_host::GitHost;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::{self, Listing};
use crate::error::Error;
use crate::measure::{self, Cost};
use crate::old_way::{self, Cloner};
use crate::repository::{self, Tip};
use crate::stage::{self, Stage};
use crate::{Cli, folder, peers};

/// The served repository's name.
const SERVED: &str = "repository";

/// The measurements of one repository.
pub struct Comparison {
    pub name: String,
    pub commit: String,
    /// The sizes of the commit's files in bytes, in order.
    pub sizes: Vec<u64>,
    pub rounds: Vec<Round>,
}

/// One run of everything.
pub struct Round {
    pub fetch: Cost,
    pub clone: Cost,
    pub package: Cost,
    pub archive: Cost,
    /// The sizes of the two zips.
    pub zip: u64,
    pub archive_zip: u64,
    /// The full clone, walked and zipped, or `None` if it was not run in this round.
    pub old_way: Option<OldWay>,
}

/// A full clone that is walked and zipped.
pub struct OldWay {
    /// Cloned by libgit2.
    pub libgit2: Cost,
    /// Cloned by git.
    pub git: Cost,
}

/// Measures a repository.
pub fn compare(repository: &Path, cli: &Cli) -> Result<Comparison, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start", Path::new("tokio")))?;
    let tip = repository::tip(repository, cli.ref_name.as_deref())?;
    let name = repository::name(repository);
    let folder = tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
    let hosted = folder.path().join("hosted");
    let mirror = hosted.join(format!("{SERVED}.git"));
    repository::create_mirror(repository, &tip, &mirror)?;
    let host = runtime.block_on(GitHost::serve(&hosted, git_host::Options::with_any_commit()))?;
    let branch = ["refs/heads/", "refs/tags/"]
        .iter()
        .find_map(|prefix| tip.ref_name.strip_prefix(prefix))
        .unwrap_or(&tip.ref_name)
        .to_owned();
    let listing = check::list(&mirror, &tip.commit)?;
    let bench = Bench {
        url: format!("{}/{SERVED}.git", host.origin()),
        folder: folder.path().to_owned(),
        branch,
        tip,
        listing,
        bar: ProgressBar::no_length()
            .with_style(style())
            .with_prefix(name.clone()),
    };
    bench
        .bar
        .enable_steady_tick(std::time::Duration::from_millis(100));
    // The first round fills the caches of the system.
    bench.round(0, false)?;
    let rounds = (0..cli.runs)
        .map(|number| bench.round(number + 1, number < cli.old_way_runs))
        .collect::<Result<_, _>>()?;
    let sizes = check::sizes(&bench.zip())?;
    bench.bar.finish_and_clear();
    Ok(Comparison {
        name,
        commit: bench.tip.commit,
        sizes,
        rounds,
    })
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

struct Bench {
    url: String,
    folder: PathBuf,
    branch: String,
    tip: Tip,
    listing: Listing,
    bar: ProgressBar,
}

impl Bench {
    fn round(&self, number: u32, with_old_way: bool) -> Result<Round, Error> {
        let step = |what: &str| self.bar.set_message(format!("run {number}, {what}"));
        let clone_folder = self.folder.join("clone.git");
        let their_zip = self.folder.join("archive.zip");
        let staging = self.folder.join("staging");
        for path in [&clone_folder, &staging] {
            folder::remove(path)?;
        }

        step("fetch");
        let deliver = Deliver {
            clone_url: self.url.parse()?,
            ..samples::deliver()
        };
        let input = FetchInput {
            deliver: deliver.clone(),
        };
        let (fetched, fetch) = self.stage::<_, FetchedCommit>(Stage::Fetch, input, &staging)?;
        step("git clone --depth 1");
        let clone = self.peer(&mut peers::shallow_clone(&self.url, &self.branch, &clone_folder))?;
        peers::ignore_attributes(&clone_folder)?;

        step("package");
        let input = FetchedInput { deliver, fetched };
        let (archive, package) = self.stage::<_, Archive>(Stage::Package, input, &staging)?;
        let zip = FolderStaging::new(staging).path(&archive.object.key);
        step("git archive");
        let archived = self.peer(&mut peers::archive(&clone_folder, &self.tip.commit, &their_zip))?;
        step("check");
        check::check(&zip, &self.tip.commit, &self.listing, &their_zip)?;
        std::fs::rename(&zip, self.zip()).map_err(Error::io("move", &zip))?;

        let mut old_way = None;
        if with_old_way {
            step("full clone by libgit2, walk and zip");
            let libgit2 = old_way::run_apart(&self.folder, Cloner::Libgit2, &self.url, &self.branch)?;
            step("full clone by git, walk and zip");
            let git = old_way::run_apart(&self.folder, Cloner::Git, &self.url, &self.branch)?;
            old_way = Some(OldWay { libgit2, git });
        }
        Ok(Round {
            fetch,
            clone,
            package,
            archive: archived,
            zip: archive.object.size,
            archive_zip: size(&their_zip)?,
            old_way,
        })
    }

    /// Where the last zip is kept.
    fn zip(&self) -> PathBuf {
        self.folder.join("last.zip")
    }

    /// Runs a stage as a process of its own.
    fn stage<I: Serialize, O: DeserializeOwned>(
        &self,
        stage: Stage,
        input: I,
        staging: &Path,
    ) -> Result<(O, Cost), Error> {
        stage::run_apart(&self.folder, stage, &self.envelope(input)?, staging, &[])
    }

    fn peer(&self, command: &mut Command) -> Result<Cost, Error> {
        measure::run(command, &self.folder.join("stderr"))
    }

    fn envelope<T>(&self, input: T) -> Result<Envelope<T>, Error> {
        let push = Push {
            after: Some(self.tip.object.parse()?),
            ..samples::push("bench", &self.tip.ref_name)
        };
        Ok(samples::envelope(push, input))
    }
}

fn size(path: &Path) -> Result<u64, Error> {
    Ok(path.metadata().map_err(Error::io("read", path))?.len())
}
