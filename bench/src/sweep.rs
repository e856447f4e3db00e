//! Measures one run of the sweep over many repositories of one git host on the loopback.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use audit::{MemoryTrail, PushTrail as _};
use aws::AwsFailure;
use aws::secrets::{SecretError, Secrets};
use aws::staging::StorageError;
use credentials::Issuer;
use domain::destination::Destination;
use domain::push::{Push, SourceName};
use domain::samples;
use git_host::{GitHost, Options};
use secrecy::SecretString;
use serde_json::json;
use sweep::{Deps, Destinations, Ended, Executions, GitHosts, Report, Request, Sources, StoredSource};

use crate::error::Error;
use crate::peers;

/// The time that the function has.
const TIME_LIMIT: Duration = Duration::from_secs(115);

/// The unit of times in /proc, on all processors that Linux runs on today.
const TICKS_PER_SECOND: f64 = 100.0;

/// How many repositories to sweep.
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// How many repositories the host has.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    repositories: u32,
    /// How many of them have a branch that no webhook has reported.
    #[arg(long, default_value_t = 10)]
    missed: u32,
    /// How many runs. Those after the first one find nothing new.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Makes the repositories, sweeps them, and prints a table.
pub fn run(args: &SweepArgs) -> Result<(), Error> {
    let runtime = tokio::runtime::Runtime::new().map_err(Error::io("start", Path::new("the runtime")))?;
    runtime.block_on(measure(args))
}

async fn measure(args: &SweepArgs) -> Result<(), Error> {
    let root = tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
    let commits = make(root.path(), args.repositories)?;
    let host = GitHost::serve(root.path(), Options::default()).await?;
    let trail = MemoryTrail::<Push>::default();
    for number in 0..args.repositories {
        let repository = name(number);
        let main = Push {
            repository: repository.parse()?,
            clone_urls: vec![format!("{}/{repository}.git", host.origin())],
            after: Some(commits.parse()?),
            ..samples::push(&format!("d{number}"), "refs/heads/main")
        };
        let next = Push {
            ref_name: "refs/heads/next".parse()?,
            ..main.clone()
        };
        let reported = if number < args.missed {
            vec![main]
        } else {
            vec![main, next]
        };
        for push in reported {
            trail.number(&push).await.map_err(failed)?;
        }
    }
    let settings = json!({
        "provider": "gitlab",
        "repositories": ["group/*"],
        "refs": ["refs/heads/**"],
        "git_hosts": [host.origin()],
        "destination": { "bucket": "zips" },
    });
    let outside = Outside {
        settings: settings.to_string(),
        started: Mutex::default(),
    };
    let deps = Deps {
        trail: &trail,
        sources: &outside,
        hosts: &GitHosts::new(&outside, Issuer::default())
            .map_err(Error::io("find", Path::new("this program")))?,
        executions: &outside,
        destinations: &outside,
    };
    let request = Request {
        sources: None,
        grace_seconds: Some(0),
    };
    let mut table =
        "| Run | Repositories | Started | Failed or skipped | Time | Processor time |\n|---|---|---|---|---|---|\n".to_owned();
    for number in 1..=args.runs {
        let (begun, used) = (Instant::now(), processor_time()?);
        let report = sweep::handle(&deps, &request, TIME_LIMIT).await;
        let report: Report = report.map_err(failed)?;
        table += &format!(
            "| {number} | {} | {} | {} | {:.1} s | {:.1} s |\n",
            report.repositories,
            report.started.count,
            report.failed.count + report.skipped.count,
            begun.elapsed().as_secs_f64(),
            processor_time()? - used,
        );
    }
    write!(std::io::stdout(), "{table}").map_err(Error::io("write to", Path::new("standard output")))
}

/// Returns the processor time of this process and of the processes that it has started and that have ended, in seconds.
/// They are those that list refs, and git's, which serve them.
fn processor_time() -> Result<f64, Error> {
    let path = Path::new("/proc/self/stat");
    let stat = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    // The name, in parentheses, may have spaces. The times are the 14th to the 17th field.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(4);
    let ticks: f64 = times.filter_map(|time| time.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}

fn name(number: u32) -> String {
    format!("group/project-{number:04}")
}

fn failed(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Stage {
        stage: "Sweep",
        source: source.into(),
    }
}

/// Makes bare repositories with the branches `main` and `next`. Returns the commit of both.
fn make(root: &Path, repositories: u32) -> Result<String, Error> {
    let first = root.join(format!("{}.git", name(0)));
    let mut init = peers::git();
    init.args([
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=main",
        "--template=",
    ]);
    peers::output(init.arg(&first))?;
    let git = |arguments: &[&str]| {
        let mut command = peers::git();
        command.arg("-C").arg(&first);
        command.args(["-c", "user.name=Bench", "-c", "user.email=bench@example.com"]);
        peers::output(command.args(arguments))
    };
    let tree = git(&["mktree", "--missing"])?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let commit = text(&git(&["commit-tree", "-m", "Begin", &text(&tree)])?);
    for branch in ["main", "next"] {
        git(&["update-ref", &format!("refs/heads/{branch}"), &commit])?;
    }
    for number in 1..repositories {
        copy(&first, &root.join(format!("{}.git", name(number))))?;
    }
    Ok(commit)
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(to).map_err(Error::io("make", to))?;
    for entry in std::fs::read_dir(from).map_err(Error::io("read", from))? {
        let entry = entry.map_err(Error::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            std::fs::copy(&source, &target).map_err(Error::io("write", &target))?;
        }
    }
    Ok(())
}

/// What the sweep speaks to besides the git host and the trail.
struct Outside {
    settings: String,
    started: Mutex<HashSet<String>>,
}

impl Sources for Outside {
    async fn list(&self) -> Result<Vec<StoredSource>, AwsFailure> {
        Ok(vec![StoredSource {
            name: "gitlab".to_owned(),
            settings: self.settings.clone(),
        }])
    }
}

impl Secrets for &Outside {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        Ok(SecretString::from(r#"{"credentials":[]}"#))
    }
}

impl Executions for Outside {
    async fn start(&self, name: &str, _: &str) -> Result<bool, AwsFailure> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(started.insert(name.to_owned()))
    }

    async fn ended(&self, _: &str) -> Result<Option<Ended>, AwsFailure> {
        Ok(None)
    }
}

/// Nothing was delivered, so nothing is looked at.
impl Destinations for Outside {
    async fn metadata(&self, _: &Destination) -> Result<Option<HashMap<String, String>>, StorageError> {
        Ok(None)
    }
}
