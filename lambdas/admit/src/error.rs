//! Why a deployment cannot be admitted.

use audit::AuditError;
use aws::failure::Failed;
use delivery::application::SettingsError;
use domain::error::{Code, Coded};
use domain::push::PushId;
use tasks::TasksError;
use workflow::ExecutionOver;

/// Why a deployment cannot be admitted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be read.
    #[error("the settings of {application} in {environment} cannot be read")]
    Settings {
        /// The application.
        application: String,
        /// The environment.
        environment: String,
        /// What is wrong with them.
        source: SettingsError,
    },
    /// The settings are those of something else.
    #[error("the settings are those of {found}, and not of {expected}")]
    OtherSettings {
        /// The application and environment in the settings.
        found: String,
        /// Those of the deployment.
        expected: String,
    },
    /// The push is not known, or is not delivered.
    #[error("the trail does not have push {0} as delivered, and only a delivered one can be deployed")]
    NotDelivered(PushId),
    /// The bucket keeps no versions, so the zip may be replaced while it is built.
    #[error("s3://{bucket}/{key} has no version, so another push could replace it while it is built")]
    Unversioned {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A value in the trail is not what it has to be.
    #[error("the push's trail has a value that cannot be deployed")]
    Trail(#[from] domain::Invalid),
    /// There is no such release of this application in this environment.
    #[error("deployment {rollback_to} has released nothing of {application} in {environment}")]
    ReleaseNotFound {
        /// The deployment that a rollback names.
        rollback_to: String,
        /// The application.
        application: String,
        /// The environment.
        environment: String,
    },
    /// The event of an execution cannot be read.
    #[error("the event of an execution cannot be read")]
    Event(#[source] serde_json::Error),
    /// The deployment has no trail.
    #[error("deployment {0} was never opened")]
    Unknown(String),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Step Functions failed.
    #[error(transparent)]
    Tasks(#[from] TasksError),
    /// This execution may no longer have the environment.
    #[error(transparent)]
    ExecutionOver(#[from] ExecutionOver),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Settings { .. } | Self::OtherSettings { .. } => Code::ApplicationInvalid,
            Self::NotDelivered(_) => Code::PushNotDelivered,
            Self::Unversioned { .. } => Code::BucketUnversioned,
            Self::Trail(_) => Code::AuditInvalid,
            Self::ReleaseNotFound { .. } => Code::ReleaseNotFound,
            Self::Event(_) | Self::Unknown(_) => Code::InputInvalid,
            Self::Audit(error) => error.code(),
            Self::Tasks(error) => error.code(),
            Self::ExecutionOver(error) => error.code(),
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::new(&error)
    }
}
