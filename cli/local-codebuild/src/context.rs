//! What all builds have in common.

use crate::Settings;
use crate::api::{Build, BuildArtifacts, BuildSource, Logs, Phase, PhaseType, Status, now};
use crate::folders::Folders;
use crate::project::{BuildRequest, Output};

/// What all builds have in common.
#[derive(Debug)]
pub(crate) struct Context {
    pub settings: Settings,
    pub region: String,
    /// Where the local AWS is.
    pub endpoint: String,
    pub folders: Folders,
}

impl Context {
    /// Returns the record of a build that begins now.
    pub fn new_build(&self, request: &BuildRequest, uuid: &str, number: u64) -> Build {
        let owner = format!("{}:{}", self.region, self.settings.account);
        let id = format!("{}:{uuid}", request.project);
        let group = format!("/aws/codebuild/{}", request.project);
        let time = now();
        let submitted = Phase {
            phase_type: PhaseType::Submitted,
            phase_status: Some(Status::Succeeded),
            start_time: time,
            end_time: Some(time),
            duration_in_seconds: Some(0),
            contexts: vec![],
        };
        Build {
            arn: format!("arn:aws:codebuild:{owner}:build/{id}"),
            build_number: number,
            start_time: time,
            end_time: None,
            current_phase: PhaseType::Submitted,
            build_status: Status::InProgress,
            source_version: request.source.version.clone(),
            resolved_source_version: None,
            project_name: request.project.clone(),
            phases: vec![submitted],
            source: BuildSource {
                r#type: "S3".to_owned(),
                location: format!("{}/{}", request.source.bucket, request.source.key),
                buildspec: request.buildspec.clone(),
            },
            artifacts: BuildArtifacts {
                location: request.output.as_ref().map(Output::arn).unwrap_or_default(),
                sha256sum: None,
            },
            environment: request.environment.clone(),
            service_role: request.role.clone(),
            logs: Logs {
                cloud_watch_logs_arn: format!("arn:aws:logs:{owner}:log-group:{group}:log-stream:{uuid}"),
                group_name: group,
                stream_name: uuid.to_owned(),
            },
            timeout_in_minutes: request.timeout_in_minutes,
            build_complete: false,
            initiator: "local-codebuild".to_owned(),
            exported_environment_variables: vec![],
            id,
        }
    }
}
