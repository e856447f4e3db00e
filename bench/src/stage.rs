//! Runs one stage in a process of its own, with the same `handle` that its Lambda calls and a folder for a staging
//! area.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use audit::{AuditError, EventStore as _, MemoryTrail, PushTrail as _};
use aws::secrets::{SecretError, Secrets};
use aws::staging::FolderStaging;
use domain::contract::{Archive, Deliver, Envelope, FetchInput, FetchedCommit, FetchedInput};
use domain::event::PushEvent;
use domain::flow::StageOutput;
use domain::order::DeliveredPush;
use domain::push::{Push, SourceName};
use domain::samples;
use reporter::ProgressReporter;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::measure::{self, Cost};

/// The stage, and the files of its input and output.
#[derive(Debug, clap::Args)]
pub struct StageArgs {
    #[arg(value_enum)]
    stage: Stage,
    /// The envelope, as JSON.
    envelope: PathBuf,
    /// The file for the result, as JSON.
    result: PathBuf,
    /// The staging area.
    staging: PathBuf,
    /// Leave what the next push need not fetch again.
    #[arg(long)]
    bases: bool,
    /// The push that was delivered last, as JSON.
    #[arg(long)]
    last: Option<PathBuf>,
}

/// A push that was delivered.
#[derive(Debug, Serialize, Deserialize)]
pub struct FinishedPush {
    pub push: Push,
    pub deliver: Deliver,
    pub fetched: FetchedCommit,
    pub archive: Archive,
}

impl FinishedPush {
    /// Returns a trail of this push.
    async fn trail(self) -> Result<MemoryTrail, AuditError> {
        let trail = MemoryTrail::default();
        let delivered = samples::delivered();
        let destination = self.deliver.destination.clone();
        let last = DeliveredPush::new(&self.push, 1, None, self.archive.sha256.clone());
        for event in [
            samples::received(&self.push, "bench"),
            PushEvent::PushValidated(self.deliver),
            PushEvent::CommitFetched(self.fetched),
            PushEvent::ArchivePackaged(self.archive),
            PushEvent::ArchiveUploaded(delivered.clone()),
            PushEvent::PushDelivered(delivered),
        ] {
            trail.append(self.push.push_id, |_| Some(event.clone())).await?;
        }
        let mut record = trail.acquire(&destination).await?;
        record.last = Some(last);
        trail.release(&destination, record).await?;
        Ok(trail)
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Stage {
    Fetch,
    Package,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Package => "package",
        }
    }
}

/// The result of a stage's process.
#[derive(Debug, Serialize, Deserialize)]
pub struct StageResult<T> {
    pub output: T,
    /// Its anonymous memory at the end, in bytes.
    pub anonymous: u64,
}

/// The bench's hosts need no login.
struct NoLogin;

impl Secrets for NoLogin {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        Ok(r#"{"credentials":[]}"#.to_owned().into())
    }
}

/// Runs a stage.
pub fn run(args: &StageArgs) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start", Path::new("tokio")))?;
    let staging = FolderStaging::new(args.staging.clone());
    let failed = |source| Error::Stage {
        stage: args.stage.name(),
        source,
    };
    match args.stage {
        Stage::Fetch => {
            let envelope: Envelope<FetchInput> = read(&args.envelope)?;
            let program = fetch::TransferProgram::this();
            let trail = match &args.last {
                Some(last) => runtime.block_on(read::<FinishedPush>(last)?.trail()),
                None => Ok(MemoryTrail::default()),
            };
            let deps = fetch::Deps {
                issuer: &Arc::default(),
                trail: &trail.map_err(|error| failed(error.into()))?,
                transfer: &program.map_err(Error::io("find", Path::new("this program")))?,
                secrets: &NoLogin,
                staging: &staging,
                bases: args.bases,
                progress: ProgressReporter::silent(),
            };
            let fetched = runtime.block_on(fetch::handle(&deps, &envelope));
            write_result::<FetchedCommit>(args, fetched.map_err(|error| failed(error.into()))?)
        }
        Stage::Package => {
            let envelope: Envelope<FetchedInput> = read(&args.envelope)?;
            let deps = package::Deps {
                staging: &staging,
                progress: ProgressReporter::silent(),
            };
            let archive = runtime.block_on(package::handle(&deps, &envelope));
            write_result(args, archive.map_err(|error| failed(error.into()))?)
        }
    }
}

/// Runs a stage as a process of its own, with these arguments besides, and its files in `folder`.
pub fn run_apart<I: Serialize, O: DeserializeOwned>(
    folder: &Path,
    stage: Stage,
    envelope: &Envelope<I>,
    staging: &Path,
    more: &[&OsStr],
) -> Result<(O, Cost), Error> {
    let [input, result] = ["envelope.json", "result.json"].map(|name| folder.join(name));
    write(&input, envelope)?;
    let mut command = this_program()?;
    command
        .args(["stage", stage.name()])
        .args([&input, &result])
        .arg(staging)
        .args(more);
    let mut cost = measure::run(&mut command, &folder.join("stderr"))?;
    let result: StageResult<O> = read(&result)?;
    cost.anonymous = cost.anonymous.max(result.anonymous);
    Ok((result.output, cost))
}

/// Returns a command that runs this program.
pub fn this_program() -> Result<Command, Error> {
    let path = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
    Ok(Command::new(path))
}

fn write_result<T: StageOutput<Push> + Serialize>(args: &StageArgs, output: T) -> Result<(), Error> {
    let anonymous = measure::anonymous_bytes("self");
    write(&args.result, &StageResult { output, anonymous })
}

/// Reads JSON.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Writes JSON.
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    std::fs::write(path, serde_json::to_vec(value)?).map_err(Error::io("write", path))
}
