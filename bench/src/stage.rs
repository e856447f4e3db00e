//! One stage, in a process of its own: the same `handle` that its Lambda calls, with a folder for a staging area.

use std::path::{Path, PathBuf};

use aws::secrets::{SecretError, Secrets};
use aws::staging::FolderStaging;
use domain::contract::{Envelope, FetchInput, FetchedCommit, PackageInput, StageOutput};
use domain::push::SourceName;
use reporter::ProgressReporter;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::measure;

/// Which stage, and where its input is and its output goes.
#[derive(Debug, clap::Args)]
pub struct StageArgs {
    #[arg(value_enum)]
    stage: Stage,
    /// The envelope, as JSON.
    envelope: PathBuf,
    /// Where the answer goes, as JSON.
    answer: PathBuf,
    /// The staging area.
    staging: PathBuf,
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

/// What the process of a stage says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    pub output: T,
    /// Its anonymous memory at the end, in bytes.
    pub anonymous: u64,
}

/// The hosts of the bench ask for no login.
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
            let deps = fetch::Deps {
                transfer: &program.map_err(Error::io("find", Path::new("this program")))?,
                secrets: &NoLogin,
                staging: &staging,
                progress: ProgressReporter::silent(),
            };
            let fetched = runtime.block_on(fetch::handle(&deps, &envelope));
            answer::<FetchedCommit>(args, fetched.map_err(|error| failed(error.into()))?)
        }
        Stage::Package => {
            let envelope: Envelope<PackageInput> = read(&args.envelope)?;
            let deps = package::Deps {
                staging: &staging,
                progress: ProgressReporter::silent(),
            };
            let archive = runtime.block_on(package::handle(&deps, &envelope));
            answer(args, archive.map_err(|error| failed(error.into()))?)
        }
    }
}

fn answer<T: StageOutput + Serialize>(args: &StageArgs, output: T) -> Result<(), Error> {
    let anonymous = measure::anonymous_bytes("self");
    write(&args.answer, &Answer { output, anonymous })
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
