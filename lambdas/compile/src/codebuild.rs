//! Builds in CodeBuild.

use aws::AwsFailure;
use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::error::BuildError;
use aws_sdk_codebuild::types::{
    ArtifactNamespace, ArtifactPackaging, ArtifactsType, BuildPhase, EnvironmentVariable,
    EnvironmentVariableType, ProjectArtifacts, SourceType, StatusType,
};
use chrono::{DateTime, Utc};
use delivery::contract::BuildLog;

use crate::builds::{Build, BuildRequest, BuildStatus, Builds, FailedPhase};

/// A project in CodeBuild, whose builds take their source from S3.
#[derive(Debug, Clone)]
pub struct CodeBuild {
    client: Client,
    project: String,
    bucket: String,
}

impl CodeBuild {
    /// Creates a client of `project`, whose output is written to `bucket`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, project: String, bucket: String) -> Self {
        Self {
            client: Client::new(config),
            project,
            bucket,
        }
    }

    fn output(&self, key: &str) -> Result<ProjectArtifacts, BuildError> {
        let (path, name) = key.rsplit_once('/').unwrap_or(("", key));
        ProjectArtifacts::builder()
            .r#type(ArtifactsType::S3)
            .location(&self.bucket)
            .path(path)
            .name(name)
            .namespace_type(ArtifactNamespace::None)
            .packaging(ArtifactPackaging::Zip)
            .build()
    }
}

impl Builds for CodeBuild {
    async fn start(&self, request: &BuildRequest) -> Result<String, AwsFailure> {
        let malformed =
            |error: BuildError| AwsFailure::of_item("codebuild:StartBuild", None, Some(&error.to_string()));
        let variables: Result<Vec<_>, _> = request
            .variables
            .iter()
            .map(|(name, value)| {
                EnvironmentVariable::builder()
                    .name(*name)
                    .value(value)
                    .r#type(EnvironmentVariableType::Plaintext)
                    .build()
            })
            .collect();
        let output = self
            .client
            .start_build()
            .project_name(&self.project)
            .source_type_override(SourceType::S3)
            .source_location_override(&request.source)
            .source_version(&request.version_id)
            .buildspec_override(&request.buildspec)
            .artifacts_override(self.output(&request.output_key).map_err(malformed)?)
            .set_environment_variables_override(Some(variables.map_err(malformed)?))
            .idempotency_token(&request.token)
            .send()
            .await
            .map_err(|error| {
                let failure = AwsFailure::new("codebuild:StartBuild", &error);
                // So many builds run at once.
                let busy = failure.is("AccountLimitExceededException");
                failure.or_transient(busy)
            })?;
        let id = output.build_value.and_then(|build| build.id);
        id.ok_or_else(|| AwsFailure::of_item("codebuild:StartBuild", None, Some("no build was returned")))
    }

    async fn get(&self, id: &str) -> Result<Option<Build>, AwsFailure> {
        let output = self.client.batch_get_builds().ids(id).send().await;
        let output = output.map_err(|error| AwsFailure::new("codebuild:BatchGetBuilds", &error))?;
        Ok(output.builds.unwrap_or_default().into_iter().next().map(describe))
    }
}

fn describe(build: aws_sdk_codebuild::types::Build) -> Build {
    let log = build.logs.and_then(|logs| {
        Some(BuildLog {
            group: logs.group_name?,
            stream: logs.stream_name?,
        })
    });
    let exported = build.exported_environment_variables.unwrap_or_default();
    Build {
        id: build.id.unwrap_or_default(),
        arn: build.arn.unwrap_or_default(),
        status: match build.build_status {
            None | Some(StatusType::InProgress) => BuildStatus::InProgress,
            Some(StatusType::Succeeded) => BuildStatus::Succeeded,
            Some(StatusType::TimedOut) => BuildStatus::TimedOut,
            Some(other) => BuildStatus::Failed(other.as_str().to_owned()),
        },
        phase: build.current_phase.unwrap_or_default(),
        failed: build.phases.unwrap_or_default().into_iter().find_map(failed),
        log,
        exported: exported
            .into_iter()
            .filter_map(|variable| Some((variable.name?, variable.value?)))
            .collect(),
        image: build
            .environment
            .map(|environment| environment.image)
            .unwrap_or_default(),
        output_sha256: build
            .artifacts
            .and_then(|artifacts| artifacts.sha256_sum)
            .filter(|sum| !sum.is_empty()),
        started_at: build.start_time.and_then(time),
        ended_at: build.end_time.and_then(time),
    }
}

fn failed(phase: BuildPhase) -> Option<FailedPhase> {
    let ended_well = [None, Some(StatusType::Succeeded), Some(StatusType::InProgress)];
    if ended_well.contains(&phase.phase_status) {
        return None;
    }
    let context = phase.contexts.unwrap_or_default().into_iter().next();
    let (code, message) = context.map_or((None, None), |context| (context.status_code, context.message));
    Some(FailedPhase {
        name: phase
            .phase_type
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        code: code.unwrap_or_default(),
        message: message.unwrap_or_default(),
    })
}

fn time(time: aws_sdk_codebuild::primitives::DateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}
