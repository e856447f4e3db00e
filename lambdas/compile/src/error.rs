//! Why there is no artifact.

use artifacts::ArtifactError;
use aws::AwsFailure;
use delivery::contract::BuildLog;
use domain::error::{Code, Coded};

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// CodeBuild failed.
    #[error("CodeBuild has refused a request, or does not respond")]
    Builds(#[source] AwsFailure),
    /// The build does not exist, or not yet for this request.
    #[error("CodeBuild does not know the build {id}")]
    Unknown { id: String },
    /// The phase that runs the tests has failed.
    #[error("the phase pre_build of the build {id} has failed: {reason}{log}")]
    TestsFailed { id: String, reason: String, log: Place },
    /// Another phase has failed.
    #[error("the build {id} has ended as {status} in its phase {phase}: {reason}{log}")]
    BuildFailed {
        id: String,
        status: String,
        phase: String,
        reason: String,
        log: Place,
    },
    /// The build has taken too long.
    #[error("the build {id} has taken too long: it was stopped in its phase {phase}{log}")]
    TimedOut { id: String, phase: String, log: Place },
    /// There is no buildspec, or it is malformed.
    #[error("the buildspec {path} of the build {id} does not exist or is malformed: {reason}{log}")]
    Buildspec {
        id: String,
        path: String,
        reason: String,
        log: Place,
    },
    /// The build does not say that tests have passed.
    #[error("the build {id} has exported {found} as TESTS_PASSED")]
    NoTests { id: String, found: String },
    /// The output of the build is not accepted.
    #[error("the output of the build is refused: {0}")]
    Output(String),
    /// The template of the build is not accepted.
    #[error("the template that was built is refused: {property}: {reason}")]
    Template { property: String, reason: String },
    /// The artifact bucket or the evidence failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The provenance document could not be made.
    #[error("the provenance document could not be made")]
    Provenance(#[from] serde_json::Error),
    /// The function's own disk failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[from] std::io::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Builds(failure) if failure.transient => Code::BuildUnavailable,
            Self::Builds(failure) if failure.is("AccessDeniedException") => Code::RightMissing,
            Self::Builds(_) | Self::BuildFailed { .. } => Code::BuildFailed,
            Self::Unknown { .. } => Code::BuildUnavailable,
            Self::TestsFailed { .. } => Code::TestsFailed,
            Self::TimedOut { .. } => Code::BuildTimedOut,
            Self::Buildspec { .. } => Code::BuildspecMissing,
            Self::NoTests { .. } => Code::NoTests,
            Self::Output(_) => Code::BuildOutputInvalid,
            Self::Template { .. } => Code::TemplateInvalid,
            Self::Artifact(error) => error.code(),
            Self::Provenance(_) | Self::Workspace(_) => Code::WorkspaceFailed,
        }
    }
}

/// The place of a log, as the end of a sentence.
#[derive(Debug)]
pub struct Place(pub(crate) Option<BuildLog>);

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(log) => write!(formatter, " (see the log stream {} in {})", log.stream, log.group),
            None => Ok(()),
        }
    }
}
