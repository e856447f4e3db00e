//! The stages' outputs as events, and where they are found again in the state.

use domain::flow::StageOutput;

use crate::artifact::Artifact;
use crate::closed::ClosedDeployment;
use crate::contract::{
    Abandoned, Acquired, Admitted, Applied, BuildProgress, Executed, Planned, Restored, StartedBuild,
    StartedPlan,
};
use crate::deployment::Deployment;
use crate::event::DeploymentEvent;
use crate::state::DeploymentState;

impl StageOutput<Deployment> for Admitted {
    fn event(&self) -> Option<DeploymentEvent> {
        Some(match self {
            Self::Deploy(request) => DeploymentEvent::DeploymentAccepted(request.clone()),
            Self::Ignore(ignored) => DeploymentEvent::DeploymentIgnored(ignored.clone()),
        })
    }

    fn recorded(state: &DeploymentState) -> Option<Self> {
        let request = state.request.clone().map(Self::Deploy);
        request.or_else(|| state.ignored.clone().map(Self::Ignore))
    }
}

impl StageOutput<Deployment> for Acquired {
    fn event(&self) -> Option<DeploymentEvent> {
        self.artifact
            .is_some()
            .then(|| DeploymentEvent::ArtifactReused(self.clone()))
    }

    fn recorded(state: &DeploymentState) -> Option<Self> {
        state.reused_from.clone().map(|from| Self {
            artifact: state.artifact.clone(),
            from: Some(from),
        })
    }
}

impl StageOutput<Deployment> for StartedBuild {
    fn event(&self) -> Option<DeploymentEvent> {
        Some(DeploymentEvent::BuildStarted(self.clone()))
    }

    fn recorded(state: &DeploymentState) -> Option<Self> {
        state.build.clone()
    }
}

impl StageOutput<Deployment> for BuildProgress {
    fn event(&self) -> Option<DeploymentEvent> {
        None
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}

impl StageOutput<Deployment> for Artifact {
    fn event(&self) -> Option<DeploymentEvent> {
        Some(DeploymentEvent::ArtifactBuilt(self.clone()))
    }

    fn recorded(state: &DeploymentState) -> Option<Self> {
        state.artifact.clone()
    }
}

impl StageOutput<Deployment> for StartedPlan {
    fn event(&self) -> Option<DeploymentEvent> {
        None
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}

impl StageOutput<Deployment> for Planned {
    fn event(&self) -> Option<DeploymentEvent> {
        self.complete
            .then(|| DeploymentEvent::ChangesPlanned(self.clone()))
    }

    fn recorded(state: &DeploymentState) -> Option<Self> {
        state.planned.clone()
    }
}

impl StageOutput<Deployment> for Applied {
    fn event(&self) -> Option<DeploymentEvent> {
        self.complete
            .then(|| DeploymentEvent::ChangesApplied(self.clone()))
    }

    fn recorded(state: &DeploymentState) -> Option<Self> {
        state.applied.clone()
    }
}

impl StageOutput<Deployment> for Restored {
    fn event(&self) -> Option<DeploymentEvent> {
        self.0
            .complete
            .then(|| DeploymentEvent::StackRestored(self.0.clone()))
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}

impl StageOutput<Deployment> for Executed {
    fn event(&self) -> Option<DeploymentEvent> {
        None
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}

impl StageOutput<Deployment> for Abandoned {
    fn event(&self) -> Option<DeploymentEvent> {
        None
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}

/// `Record` writes its event itself, because the trail decides which event it is.
impl StageOutput<Deployment> for ClosedDeployment {
    fn event(&self) -> Option<DeploymentEvent> {
        None
    }

    fn recorded(_: &DeploymentState) -> Option<Self> {
        None
    }
}
