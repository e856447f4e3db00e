//! Why there is no plan, or why a stack could not be restored.

use artifacts::ArtifactError;
use domain::error::{Code, Coded};
use stacks::StackError;

/// Why there is no plan, or why a stack could not be restored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// A function of the settings cannot take traffic as the workflow moves it.
    #[error("the function {function} of the settings has no alias live that the workflow can move: {reason}")]
    LiveAlias { function: String, reason: String },
    /// A function would be changed without a new version.
    #[error(
        "the function {function} changes ({properties}), but no version of it would be published, so that nothing would \
         change behind its aliases"
    )]
    NothingPublished { function: String, properties: String },
    /// CloudFormation does not accept the change set.
    #[error("CloudFormation refuses the change set: {0}")]
    Refused(String),
    /// The role that makes the changes, or that of this function, lacks a right.
    #[error("CloudFormation refuses the change set: {0}")]
    RightMissing(String),
    /// The change set is gone, or the stack was changed since it was made.
    #[error("the change set {0} is gone, or the stack was changed since it was made")]
    Outdated(String),
    /// The application was never released.
    #[error("there is no release of {application} in {environment} that the stack could be taken back to")]
    NeverReleased {
        application: String,
        environment: String,
    },
    /// The stack could not be taken back.
    #[error("the stack {stack} could not be taken back to the live release: {reason}")]
    NotRestored { stack: String, reason: String },
    /// The template of the artifact is not one that this project has written.
    #[error("the template {digest} cannot be read: {reason}")]
    Template { digest: String, reason: String },
    /// The stack could not be looked at or changed.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The artifact bucket failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The live release could not be read.
    #[error(transparent)]
    Releases(#[from] audit::AuditError),
    /// The function's own disk failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[from] std::io::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::LiveAlias { .. } => Code::LiveAliasMissing,
            Self::NothingPublished { .. } => Code::NothingPublished,
            Self::Refused(_) => Code::ChangeRefused,
            Self::RightMissing(_) => Code::RightMissing,
            Self::Outdated(_) => Code::PlanOutdated,
            Self::NeverReleased { .. } | Self::NotRestored { .. } => Code::RestoreFailed,
            Self::Template { .. } => Code::TemplateInvalid,
            Self::Stack(error) => error.code(),
            Self::Artifact(error) => error.code(),
            Self::Releases(error) => error.code(),
            Self::Workspace(_) => Code::WorkspaceFailed,
        }
    }
}

impl Error {
    /// Creates the error of a change set that CloudFormation has refused for this reason.
    pub(crate) fn refused(reason: String) -> Self {
        if reason.contains("not authorized to perform") || reason.contains("AccessDenied") {
            Self::RightMissing(reason)
        } else {
            Self::Refused(reason)
        }
    }
}
