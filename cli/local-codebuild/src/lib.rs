//! A CodeBuild on this machine. It serves CodeBuild's API for one account of the local AWS, and runs builds for real:
//! it takes the source from S3, runs the phases of the buildspec with bash, puts the output into S3 and the log into
//! CloudWatch Logs, with the rights of the project's service role.
//!
//! It is not CodeBuild, and each log begins with that: there is no image, so commands find the programs of this
//! machine, for its processor; and nothing isolates a build but a clean environment and a folder of its own, so it is
//! the repository's code that runs as the user.
//!
//! ```no_run
//! # async fn example(aws: aws_config::SdkConfig) -> Result<(), local_codebuild::Error> {
//! use local_codebuild::{CodeBuild, Settings};
//!
//! let codebuild = CodeBuild::start(Settings::new(aws, "000000000000", "/home/jo/builds")).await?;
//! println!("CODEBUILD_ENDPOINT_URL={}", codebuild.endpoint());
//! # Ok(())
//! # }
//! ```

mod api;
mod artifacts;
mod bash;
mod build;
mod buildspec;
mod context;
mod environment;
mod folders;
mod log;
mod log_stream;
mod project;
mod record;
mod server;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::mpsc::UnboundedSender;

pub use log::LogLine;
pub use server::CodeBuild;
pub use source::Limits;

/// How a [`CodeBuild`] works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The local AWS, with credentials that may read the account's projects and assume their roles.
    pub aws: SdkConfig,
    /// The account's number.
    pub account: String,
    /// The folder for the sources. Others must not be able to write into it.
    pub folder: PathBuf,
    /// Folders that go before those of `PATH`.
    pub path: Vec<PathBuf>,
    /// Further variables of each build's environment, such as `CARGO_TARGET_DIR` for a folder that is kept between
    /// builds. What the project or the buildspec sets goes before.
    pub variables: BTreeMap<String, String>,
    /// Receives each line of the logs as it is written.
    pub lines: Option<UnboundedSender<LogLine>>,
    /// How much a source may be.
    pub limits: Limits,
    /// How long a minute of a timeout is. Tests have shorter ones.
    pub minute: Duration,
}

impl Settings {
    /// Returns settings for `account` of the local AWS, with sources in `folder`, and without anything else.
    pub fn new(aws: SdkConfig, account: impl Into<String>, folder: impl AsRef<Path>) -> Self {
        Self {
            aws,
            account: account.into(),
            folder: folder.as_ref().to_owned(),
            path: vec![],
            variables: BTreeMap::new(),
            lines: None,
            limits: Limits::default(),
            minute: Duration::from_secs(60),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port of the loopback can be listened on.
    #[error("cannot listen on 127.0.0.1 for CodeBuild")]
    Listen(#[source] std::io::Error),
    /// The folder cannot be created.
    #[error(transparent)]
    Folder(#[from] shell::IoError),
    /// The configuration lacks something.
    #[error("the configuration of the local AWS has no {0}")]
    Incomplete(&'static str),
}

/// Returns the message of an AWS error in one line, with its code.
fn aws_message<E>(operation: &str, error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.raw_response()) {
        (Some(code), Some(response)) => format!(
            "{operation}: {code}: {} (status code {})",
            error.message().unwrap_or("no message"),
            response.status().as_u16()
        ),
        _ => format!("{operation}: {}", chain(error)),
    }
}

/// Joins the messages of `error` and its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
