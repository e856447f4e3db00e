//! CodeBuild's API in JSON 1.1, as far as it is served here:
//! <https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html>.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error of a request.
#[derive(Debug, Clone, PartialEq, Eq, strum::AsRefStr, thiserror::Error)]
pub(crate) enum ApiError {
    /// There is no such project or build.
    #[strum(serialize = "ResourceNotFoundException")]
    #[error("{0}")]
    NotFound(String),
    /// The request is not valid, or asks for what is not done here.
    #[strum(serialize = "InvalidInputException")]
    #[error("{0}")]
    InvalidInput(String),
    /// The operation is not served here.
    #[strum(serialize = "UnknownOperationException")]
    #[error("the local CodeBuild has StartBuild, BatchGetBuilds and StopBuild only, not {0}")]
    UnknownOperation(String),
}

/// The request of `StartBuild`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartBuild {
    pub project_name: String,
    pub source_type_override: Option<String>,
    pub source_location_override: Option<String>,
    pub source_version: Option<String>,
    pub buildspec_override: Option<String>,
    pub artifacts_override: Option<Artifacts>,
    #[serde(default)]
    pub environment_variables_override: Vec<Variable>,
    pub timeout_in_minutes_override: Option<u16>,
    pub idempotency_token: Option<String>,
    /// Parameters that are accepted and not applied.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// Where a build's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Artifacts {
    pub r#type: String,
    pub location: Option<String>,
    pub path: Option<String>,
    pub name: Option<String>,
    pub namespace_type: Option<String>,
    pub packaging: Option<String>,
}

/// An environment variable of a project or a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Variable {
    pub name: String,
    pub value: String,
    #[serde(rename = "type", default = "plaintext")]
    pub kind: String,
}

fn plaintext() -> String {
    "PLAINTEXT".to_owned()
}

/// The request of `BatchGetBuilds`.
#[derive(Debug, Deserialize)]
pub(crate) struct BatchGetBuilds {
    pub ids: Vec<String>,
}

/// The request of `StopBuild`.
#[derive(Debug, Deserialize)]
pub(crate) struct StopBuild {
    pub id: String,
}

/// A build.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Build {
    pub id: String,
    pub arn: String,
    pub build_number: u64,
    pub start_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<f64>,
    pub current_phase: PhaseType,
    pub build_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_source_version: Option<String>,
    pub project_name: String,
    pub phases: Vec<Phase>,
    pub source: BuildSource,
    pub artifacts: BuildArtifacts,
    pub environment: Environment,
    pub service_role: String,
    pub logs: Logs,
    pub timeout_in_minutes: u16,
    pub build_complete: bool,
    pub initiator: String,
    pub exported_environment_variables: Vec<ExportedVariable>,
}

/// The source of a build.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BuildSource {
    pub r#type: String,
    pub location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buildspec: Option<String>,
}

/// The output of a build.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BuildArtifacts {
    pub location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256sum: Option<String>,
}

/// The environment of a build, as its project names it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Environment {
    pub r#type: String,
    pub image: String,
    pub compute_type: String,
    pub environment_variables: Vec<Variable>,
}

/// Where the log of a build is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Logs {
    pub group_name: String,
    pub stream_name: String,
    pub cloud_watch_logs_arn: String,
}

/// A variable that a build exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ExportedVariable {
    pub name: String,
    pub value: String,
}

/// A phase of a build.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Phase {
    pub phase_type: PhaseType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_status: Option<Status>,
    pub start_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_in_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<PhaseContext>,
}

/// Why a phase has failed. Both texts are empty for a phase that has succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhaseContext {
    pub status_code: String,
    pub message: String,
}

/// The phases, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::AsRefStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PhaseType {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

/// The status of a build or a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::AsRefStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Succeeded,
    Failed,
    TimedOut,
    InProgress,
    Stopped,
}

/// Returns the time in seconds since 1970, as JSON 1.1 has it.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    // Milliseconds, as CodeBuild's own.
    (since.as_secs_f64() * 1000.0).trunc() / 1000.0
}
