//! Builds, as this function knows them.

use std::collections::BTreeMap;

use aws::AwsFailure;
use chrono::{DateTime, Utc};
use delivery::contract::BuildLog;
use delivery::deployment::DeploymentId;

/// What is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// A text that is the same each time that the same build is asked for, and another one for each other build.
    pub token: String,
    /// The source, as `bucket/key`.
    pub source: String,
    /// The version of the source's object.
    pub version_id: String,
    /// The path of the buildspec in the source.
    pub buildspec: String,
    /// The key of the output in the artifact bucket.
    pub output_key: String,
    /// The variables of the build.
    pub variables: BTreeMap<&'static str, String>,
    /// The deployment.
    pub deployment_id: DeploymentId,
}

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// How it is going.
    pub status: BuildStatus,
    /// The phase that it is in, or the last one.
    pub phase: String,
    /// The first phase that has failed.
    pub failed: Option<FailedPhase>,
    /// Its log, once there is one.
    pub log: Option<BuildLog>,
    /// The variables that it exports.
    pub exported: BTreeMap<String, String>,
    /// The image that it runs in.
    pub image: String,
    /// The SHA-256 of its output, if it is told.
    pub output_sha256: Option<String>,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// How a build is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStatus {
    /// It runs, or waits to run.
    InProgress,
    /// It has ended well.
    Succeeded,
    /// It has taken longer than it may.
    TimedOut,
    /// It has ended in another way, such as `FAILED`, `FAULT` or `STOPPED`.
    Failed(String),
}

/// A phase that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedPhase {
    /// Its name, such as `PRE_BUILD`.
    pub name: String,
    /// The code of the reason, such as `COMMAND_EXECUTION_ERROR`.
    pub code: String,
    /// The reason.
    pub message: String,
}

/// What runs builds.
pub trait Builds: Send + Sync {
    /// Starts a build. Returns its id.
    fn start(&self, request: &BuildRequest) -> impl Future<Output = Result<String, AwsFailure>> + Send;

    /// Returns a build, or `None` if there is none with this id.
    fn get(&self, id: &str) -> impl Future<Output = Result<Option<Build>, AwsFailure>> + Send;
}
