//! The events of a deployment's audit trail, which say what has happened, and are never changed.

use domain::execution::Execution;
use domain::flow::AttemptFailed;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::contract::{
    Acquired, Applied, Decision, DeploymentFailure, IgnoredDeployment, Judged, Planned, Probed, Released,
    Request, RolledBack, Shifted, Stage, StartedBuild, SupersededDeployment, Tracked,
};
use crate::deployment::Deployment;

/// What can happen to a deployment.
#[expect(
    clippy::large_enum_variant,
    reason = "a deployment has some twenty events, each of which is made, written and dropped"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum DeploymentEvent {
    /// The first execution has begun.
    DeploymentRequested(DeploymentRequested),
    /// Another execution has taken over the deployment, from the beginning.
    DeploymentRetried(DeploymentRetried),
    /// There is something to deploy.
    DeploymentAccepted(Request),
    /// There is nothing to deploy.
    DeploymentIgnored(IgnoredDeployment),
    /// The environment is this deployment's until it is closed.
    DeploymentAdmitted,
    /// A newer deployment waits, runs or was released.
    DeploymentSuperseded(SupersededDeployment),
    /// The tree was built before.
    ArtifactReused(Acquired),
    /// A build has begun.
    BuildStarted(StartedBuild),
    /// The build has ended well, and its output is kept.
    ArtifactBuilt(Artifact),
    /// It is known what the change set would do.
    ChangesPlanned(Planned),
    /// A person has to approve.
    ApprovalRequested,
    /// A person has decided.
    ApprovalDecided(Decision),
    /// The stack is as the template says. Traffic is where it was.
    ChangesApplied(Applied),
    /// The new versions have answered their probes as expected.
    ProbePassed(Probed),
    /// The new versions have a share of the traffic.
    TrafficShifted(Shifted),
    /// The new versions were judged at their share.
    CanaryJudged(Judged),
    /// The new versions have all of the traffic.
    TrafficPromoted(Shifted),
    /// The previous versions have all of the traffic again.
    TrafficRolledBack(RolledBack),
    /// The stack is as the live release's template says.
    StackRestored(Applied),
    /// The deployment is closed, and its release is live.
    DeploymentReleased(Released),
    /// The deployment is closed, because the stack was as it should be.
    DeploymentUnchanged,
    /// An attempt of a stage failed. The stage may be retried.
    AttemptFailed(AttemptFailed<Stage>),
    /// The execution has failed.
    DeploymentFailed(DeploymentFailed),
}

impl DeploymentEvent {
    /// Returns the event's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::DeploymentRequested(_) => "DeploymentRequested",
            Self::DeploymentRetried(_) => "DeploymentRetried",
            Self::DeploymentAccepted(_) => "DeploymentAccepted",
            Self::DeploymentIgnored(_) => "DeploymentIgnored",
            Self::DeploymentAdmitted => "DeploymentAdmitted",
            Self::DeploymentSuperseded(_) => "DeploymentSuperseded",
            Self::ArtifactReused(_) => "ArtifactReused",
            Self::BuildStarted(_) => "BuildStarted",
            Self::ArtifactBuilt(_) => "ArtifactBuilt",
            Self::ChangesPlanned(_) => "ChangesPlanned",
            Self::ApprovalRequested => "ApprovalRequested",
            Self::ApprovalDecided(_) => "ApprovalDecided",
            Self::ChangesApplied(_) => "ChangesApplied",
            Self::ProbePassed(_) => "ProbePassed",
            Self::TrafficShifted(_) => "TrafficShifted",
            Self::CanaryJudged(_) => "CanaryJudged",
            Self::TrafficPromoted(_) => "TrafficPromoted",
            Self::TrafficRolledBack(_) => "TrafficRolledBack",
            Self::StackRestored(_) => "StackRestored",
            Self::DeploymentReleased(_) => "DeploymentReleased",
            Self::DeploymentUnchanged => "DeploymentUnchanged",
            Self::AttemptFailed(_) => "AttemptFailed",
            Self::DeploymentFailed(_) => "DeploymentFailed",
        }
    }
}

/// The data of [`DeploymentEvent::DeploymentRequested`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRequested {
    /// The deployment.
    pub deployment: Deployment,
    /// The first execution.
    pub execution: Execution,
}

/// The data of [`DeploymentEvent::DeploymentRetried`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRetried {
    /// The execution that took over the deployment.
    pub execution: Execution,
}

/// The data of [`DeploymentEvent::DeploymentFailed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentFailed {
    /// The execution's ARN.
    pub execution_id: String,
    /// Its first failure.
    #[serde(flatten)]
    pub failure: DeploymentFailure,
}

impl From<Tracked> for DeploymentEvent {
    fn from(tracked: Tracked) -> Self {
        match tracked {
            Tracked::ProbePassed(probed) => Self::ProbePassed(probed),
            Tracked::TrafficShifted(shifted) => Self::TrafficShifted(shifted),
            Tracked::CanaryJudged(judged) => Self::CanaryJudged(judged),
            Tracked::TrafficPromoted(shifted) => Self::TrafficPromoted(shifted),
            Tracked::TrafficRolledBack(rolled_back) => Self::TrafficRolledBack(rolled_back),
            Tracked::ApprovalDecided(decision) => Self::ApprovalDecided(decision),
        }
    }
}
