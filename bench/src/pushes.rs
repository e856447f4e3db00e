//! Replays the last commits of a branch as pushes, each as the difference from the one before and from nothing, and
//! compares both with git.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use domain::contract::{Archive, BaseUse, Deliver, FetchInput, FetchedCommit, FetchedInput};
use domain::push::Push;
use domain::samples;
use git_host::GitHost;

use crate::error::Error;
use crate::folder;
use crate::measure::{self, Cost};
use crate::old_way::{self, Cloner};
use crate::peers;
use crate::report::Spread;
use crate::repository::{self, Tip};
use crate::stage::{self, FinishedPush, Stage};

/// How long the host's processes may take to end after the last byte.
const HOST_ENDS: Duration = Duration::from_millis(50);

/// What to replay.
#[derive(Debug, clap::Args)]
pub struct PushesArgs {
    /// A folder with a git repository, bare or not.
    repository: PathBuf,
    /// The branch [default: the current branch].
    #[arg(long = "ref", value_name = "REF")]
    ref_name: Option<String>,
    /// How many commits, by first parents.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    last: u32,
    /// How many of them, the newest, are also pushed from nothing and compared with git. Of the others only the bytes
    /// are checked.
    #[arg(long, default_value_t = 5)]
    compared: u32,
    /// Also make the zip of the newest one in the old way: a full clone by libgit2, and by git, whose folder is walked
    /// and zipped.
    #[arg(long)]
    old_way: bool,
}

/// The costs of one push.
struct Costs {
    fetch: Cost,
    package: Cost,
    whole_fetch: Cost,
    whole_package: Cost,
    clone: Cost,
    archive: Cost,
    /// The processor time of the host, for the fetch with a base and for the clone.
    host: Duration,
    clone_host: Duration,
    received: u64,
    whole_received: u64,
}

/// Prints a table, and fails if the bytes of two zips of a commit differ.
pub fn run(args: &PushesArgs) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start", Path::new("tokio")))?;
    let tip = repository::tip(&args.repository, args.ref_name.as_deref())?;
    let folder = tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
    let hosted = folder.path().join("hosted");
    let mirror = hosted.join("repository.git");
    repository::create_mirror(&args.repository, &tip, &mirror)?;
    let host = runtime.block_on(GitHost::serve(&hosted, git_host::Options::with_any_commit()))?;
    let commits = repository::last_commits(&mirror, &tip, args.last)?;
    let replay = Replay {
        deliver: Deliver {
            clone_url: format!("{}/repository.git", host.origin()).parse()?,
            ..samples::deliver()
        },
        folder: folder.path().to_owned(),
        mirror,
        tip,
    };
    let mut costs = Vec::new();
    let mut last = None;
    let mut put_aside = Vec::new();
    for (number, commit) in commits.iter().enumerate() {
        let is_compared = last.is_some() && commits.len() - number <= args.compared as usize;
        say(&format!("{} of {}: {commit}", number + 1, commits.len()))?;
        let (delivered, pushed) = replay.push(number, commit, last.as_ref(), is_compared)?;
        if let Some(BaseUse::WhyNot(reason)) = &delivered.fetched.base
            && last.is_some()
        {
            put_aside.push(format!("{commit}: {reason}"));
        }
        costs.extend(pushed);
        last = Some(delivered);
    }
    let mut text = table(
        &repository::name(&args.repository),
        commits.len(),
        &put_aside,
        &costs,
    );
    for cloner in [Cloner::Libgit2, Cloner::Git]
        .into_iter()
        .filter(|_| args.old_way)
    {
        say(&format!("the old way, by {}", cloner.name()))?;
        text += &replay.old_way(cloner, &costs)?;
    }
    let written = writeln!(std::io::stdout(), "{text}");
    written.map_err(Error::io("write to", Path::new("standard output")))
}

fn say(text: &str) -> Result<(), Error> {
    let written = writeln!(std::io::stderr(), "{text}");
    written.map_err(Error::io("write to", Path::new("standard error")))
}

struct Replay {
    deliver: Deliver,
    folder: PathBuf,
    mirror: PathBuf,
    tip: Tip,
}

impl Replay {
    /// Delivers a commit after the last one, and from nothing. Returns what the next one begins from, and the costs.
    fn push(
        &self,
        number: usize,
        commit: &str,
        last: Option<&FinishedPush>,
        is_compared: bool,
    ) -> Result<(FinishedPush, Option<Costs>), Error> {
        repository::move_ref(&self.mirror, &self.tip.ref_name, commit)?;
        let push = Push {
            after: Some(commit.parse()?),
            ..samples::push(&number.to_string(), &self.tip.ref_name)
        };
        let staging = self.folder.join("staging");
        let ((delivered, fetch, package), host) = host_cpu(
            || self.deliver(&push, last, &staging),
            |(_, fetch, package)| fetch.cpu + package.cpu,
        )?;
        let nothing = self.folder.join("nothing");
        let (whole, whole_fetch, whole_package) = self.deliver(&push, None, &nothing)?;
        folder::remove(&nothing)?;
        if whole.archive.sha256 != delivered.archive.sha256 {
            return Err(Error::Wrong {
                zip: staging,
                what: format!("the zip of {commit} is another one from nothing"),
            });
        }
        let costs = is_compared.then(|| -> Result<Costs, Error> {
            let clone_folder = self.folder.join("clone.git");
            let their_zip = self.folder.join("archive.zip");
            folder::remove(&clone_folder)?;
            let url = self.deliver.clone_url.to_string();
            let mut shallow = peers::shallow_clone(&url, self.branch(), &clone_folder);
            let (clone, clone_host) = host_cpu(|| self.peer(&mut shallow), |cost| cost.cpu)?;
            peers::ignore_attributes(&clone_folder)?;
            let archive = self.peer(&mut peers::archive(&clone_folder, commit, &their_zip))?;
            Ok(Costs {
                fetch,
                package,
                whole_fetch,
                whole_package,
                clone,
                archive,
                host,
                clone_host,
                received: delivered.fetched.received_bytes.unwrap_or(0),
                whole_received: whole.fetched.received_bytes.unwrap_or(0),
            })
        });
        Ok((delivered, costs.transpose()?))
    }

    /// Fetches and packages a push after `last`.
    fn deliver(
        &self,
        push: &Push,
        last: Option<&FinishedPush>,
        staging: &Path,
    ) -> Result<(FinishedPush, Cost, Cost), Error> {
        let input = FetchInput {
            deliver: self.deliver.clone(),
        };
        let (fetched, fetch) = self.stage::<_, FetchedCommit>(Stage::Fetch, push, input, last, staging)?;
        let input = FetchedInput {
            deliver: self.deliver.clone(),
            fetched: fetched.clone(),
        };
        let (archive, package) = self.stage::<_, Archive>(Stage::Package, push, input, None, staging)?;
        let delivered = FinishedPush {
            push: push.clone(),
            deliver: self.deliver.clone(),
            fetched,
            archive,
        };
        Ok((delivered, fetch, package))
    }

    fn stage<I: serde::Serialize, O: serde::de::DeserializeOwned>(
        &self,
        stage: Stage,
        push: &Push,
        input: I,
        last: Option<&FinishedPush>,
        staging: &Path,
    ) -> Result<(O, Cost), Error> {
        let file = self.folder.join("last.json");
        let mut more = vec![OsStr::new("--bases")];
        if let Some(last) = last {
            stage::write(&file, last)?;
            more.extend(["--last".as_ref(), file.as_os_str()]);
        }
        let envelope = samples::envelope(push.clone(), input);
        stage::run_apart(&self.folder, stage, &envelope, staging, &more)
    }

    /// Makes the zip of the newest commit in the old way. Returns a sentence on how much longer that takes than the
    /// median push.
    fn old_way(&self, cloner: Cloner, costs: &[Costs]) -> Result<String, Error> {
        let url = self.deliver.clone_url.to_string();
        let cost = old_way::run_apart(&self.folder, cloner, &url, self.branch())?;
        let ours = Spread::of(
            costs
                .iter()
                .map(|one| (one.fetch.wall + one.package.wall).as_secs_f64()),
        );
        let theirs = cost.wall.as_secs_f64();
        Ok(format!(
            "\nFetch and package with a base took {:.3} s, and a full clone by {}, walked and zipped, {theirs:.3} s: {:.0}x.\n",
            ours.median,
            cloner.name(),
            theirs / ours.median,
        ))
    }

    fn branch(&self) -> &str {
        self.tip.ref_name.trim_start_matches("refs/heads/")
    }

    fn peer(&self, command: &mut Command) -> Result<Cost, Error> {
        measure::run(command, &self.folder.join("stderr"))
    }
}

/// Runs processes that ask the host for something, and returns the processor time of the host besides. `own` is that of
/// the processes themselves.
fn host_cpu<T>(
    run: impl FnOnce() -> Result<T, Error>,
    own: impl FnOnce(&T) -> Duration,
) -> Result<(T, Duration), Error> {
    let before = measure::children_cpu();
    let result = run()?;
    // The host's own processes end after the last byte.
    std::thread::sleep(HOST_ENDS);
    let host = measure::children_cpu() - before;
    let own = own(&result);
    Ok((result, host.saturating_sub(own)))
}

/// Formats the costs as Markdown.
fn table(name: &str, pushes: usize, put_aside: &[String], costs: &[Costs]) -> String {
    let median = |value: &dyn Fn(&Costs) -> f64| Spread::of(costs.iter().map(value)).median;
    let row = |what: &str, ours: &dyn Fn(&Costs) -> f64, theirs: &dyn Fn(&Costs) -> f64, unit: &str| {
        let ratio = Spread::of(costs.iter().map(|one| ours(one) / theirs(one)));
        format!(
            "| {what} | {:.3} {unit} | {:.3} {unit} | {ratio} |\n",
            median(ours),
            median(theirs)
        )
    };
    let wall = |cost: Cost| cost.wall.as_secs_f64();
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut text = format!(
        "### {name}: the last {pushes} commits as pushes, of which the newest {} are compared\n\n\
         | What | With a base | Compared with | Ratio: median (min to max) |\n|---|---|---|---|\n",
        costs.len()
    );
    text += &row(
        "fetch / from nothing",
        &|one| wall(one.fetch),
        &|one| wall(one.whole_fetch),
        "s",
    );
    text += &row(
        "fetch / `git clone --depth 1 --bare`",
        &|one| wall(one.fetch),
        &|one| wall(one.clone),
        "s",
    );
    text += &row(
        "package / from nothing",
        &|one| wall(one.package),
        &|one| wall(one.whole_package),
        "s",
    );
    text += &row(
        "package / `git archive --format=zip -6`",
        &|one| wall(one.package),
        &|one| wall(one.archive),
        "s",
    );
    text += &row(
        "fetch and package / from nothing",
        &|one| wall(one.fetch) + wall(one.package),
        &|one| wall(one.whole_fetch) + wall(one.whole_package),
        "s",
    );
    text += &row(
        "host's processor time / for the clone",
        &|one| one.host.as_secs_f64(),
        &|one| one.clone_host.as_secs_f64(),
        "s",
    );
    text += &row(
        "bytes from the host / from nothing",
        &|one| mebibytes(one.received),
        &|one| mebibytes(one.whole_received),
        "MiB",
    );
    let peak = |cost: fn(&Costs) -> Cost| median(&|one| mebibytes(cost(one).anonymous));
    if !put_aside.is_empty() {
        text += &format!("\nFetched whole: {}\n", put_aside.join("; "));
    }
    text + &format!(
        "\nPeak anonymous memory with a base: fetch {:.1} MiB, package {:.1} MiB. The bytes of all {pushes} zips are those from nothing.\n",
        peak(|one| one.fetch),
        peak(|one| one.package),
    )
}
