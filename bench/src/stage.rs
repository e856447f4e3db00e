//! Runs one stage in a process of its own, with the same `handle` that its Lambda calls and a folder for a staging
//! area.

use std::path::{Path, PathBuf};

use aws::secrets::{SecretError, Secrets};
use aws::staging::FolderStaging;
use domain::contract::{Envelope, FetchInput, FetchedCommit, PackageInput};
use domain::flow::StageOutput;
use domain::push::{Push, SourceName};
use reporter::ProgressReporter;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::measure;

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
            let deps = fetch::Deps {
                transfer: &program.map_err(Error::io("find", Path::new("this program")))?,
                secrets: &NoLogin,
                staging: &staging,
                progress: ProgressReporter::silent(),
            };
            let fetched = runtime.block_on(fetch::handle(&deps, &envelope));
            write_result::<FetchedCommit>(args, fetched.map_err(|error| failed(error.into()))?)
        }
        Stage::Package => {
            let envelope: Envelope<PackageInput> = read(&args.envelope)?;
            let deps = package::Deps {
                staging: &staging,
                progress: ProgressReporter::silent(),
            };
            let archive = runtime.block_on(package::handle(&deps, &envelope));
            write_result(args, archive.map_err(|error| failed(error.into()))?)
        }
    }
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
