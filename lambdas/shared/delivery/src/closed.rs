//! How a deployment has ended, for whoever listens to its events.

use chrono::{DateTime, Utc};
use domain::git::CommitId;
use domain::push::PushId;
use serde::{Deserialize, Serialize};

use crate::contract::DeploymentFailure;
use crate::deployment::DeploymentId;
use crate::state::DeploymentStatus;

/// The output of `Record`, which is a summary of the deployment, and the detail of the EventBridge event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedDeployment {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// The environment.
    pub environment: String,
    /// The application.
    pub application: String,
    /// How the deployment ended.
    pub status: DeploymentStatus,
    /// The push that was deployed.
    pub push_id: Option<PushId>,
    /// The commit that was deployed.
    pub commit: Option<CommitId>,
    /// The deployment of the release that was live again, if this one was a rollback.
    pub rollback_to: Option<DeploymentId>,
    /// Why the deployment was ignored or superseded.
    pub reason: Option<String>,
    /// The failure, if the execution failed.
    pub failure: Option<DeploymentFailure>,
    /// What to do about the failure.
    pub remedy: Option<String>,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// When it was closed.
    pub closed_at: DateTime<Utc>,
}
