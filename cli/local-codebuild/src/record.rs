//! The record of a build, which `BatchGetBuilds` returns.

use std::sync::Arc;

use tokio::sync::watch;

use crate::api::{Build, BuildArtifacts, ExportedVariable, Phase, PhaseContext, PhaseType, Status, now};

/// Why a phase fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Failure {
    /// CodeBuild's code, such as `COMMAND_EXECUTION_ERROR`.
    pub code: &'static str,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl Failure {
    /// Returns the failure of a call, or of an input that the caller has given.
    pub fn client(message: impl Into<String>) -> Self {
        Self {
            code: "CLIENT_ERROR",
            message: message.into(),
        }
    }

    /// Returns the failure of a buildspec.
    pub fn yaml_file(message: impl Into<String>) -> Self {
        Self {
            code: "YAML_FILE_ERROR",
            message: message.into(),
        }
    }
}

/// The record of a build. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Record(Arc<watch::Sender<Build>>);

impl Record {
    pub fn new(build: Build) -> Self {
        Self(Arc::new(watch::Sender::new(build)))
    }

    /// Returns the build as it is now.
    pub fn build(&self) -> Build {
        self.0.borrow().clone()
    }

    /// Waits until the build is complete.
    pub async fn completed(&self) {
        // It fails only without a sender, and `self` is one.
        let _ = self.0.subscribe().wait_for(|build| build.build_complete).await;
    }

    /// Begins a phase.
    pub fn enter(&self, phase_type: PhaseType) {
        self.0.send_modify(|build| {
            build.current_phase = phase_type;
            build.phases.push(Phase {
                phase_type,
                phase_status: None,
                start_time: now(),
                end_time: None,
                duration_in_seconds: None,
                contexts: vec![],
            });
        });
    }

    /// Ends the current phase, and returns its type.
    pub fn leave(&self, status: Status, context: PhaseContext) -> PhaseType {
        self.0.send_modify(|build| {
            if let Some(phase) = build.phases.last_mut() {
                let end = now();
                phase.phase_status = Some(status);
                phase.end_time = Some(end);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a phase takes less than 2^53 seconds"
                )]
                let seconds = (end - phase.start_time).max(0.0) as u64;
                phase.duration_in_seconds = Some(seconds);
                phase.contexts = vec![context];
            }
        });
        self.0.borrow().current_phase
    }

    pub fn set_source_version(&self, version: Option<String>) {
        self.0
            .send_modify(|build| build.resolved_source_version = version);
    }

    pub fn set_artifacts(&self, artifacts: BuildArtifacts) {
        self.0.send_modify(|build| build.artifacts = artifacts);
    }

    pub fn set_exported(&self, variables: Vec<ExportedVariable>) {
        self.0
            .send_modify(|build| build.exported_environment_variables = variables);
    }

    /// Completes the build.
    pub fn complete(&self, status: Status) {
        self.enter(PhaseType::Finalizing);
        self.leave(Status::Succeeded, PhaseContext::default());
        self.enter(PhaseType::Completed);
        self.0.send_modify(|build| {
            build.build_status = status;
            build.end_time = Some(now());
            build.build_complete = true;
        });
    }
}
