//! The state of a deployment, which its events fold to, and which is stored beside them as the read model.

use std::fmt::Display;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::aggregate::{Aggregate, IllegalTransition, RecordedEvent};
use domain::digest::Digest;
use domain::execution::Execution;
use domain::flow::{AttemptFailed, Flow, Payload};
use domain::index::{Index, IndexKey};
use domain::push::PushId;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::contract::{
    Applied, Decision, Envelope, IgnoredDeployment, Planned, Released, Request, Stage, StartedBuild,
    SupersededDeployment,
};
use crate::deployment::{Cause, Deployment, DeploymentId};
use crate::event::{DeploymentEvent, DeploymentFailed, DeploymentRequested, DeploymentRetried};

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentStatus {
    /// An execution has begun.
    Requested,
    /// The deployment waits for the environment.
    Waiting,
    /// The environment is this deployment's.
    Admitted,
    /// A build runs.
    Building,
    /// There is an artifact.
    Built,
    /// It is known what would be done.
    Planned,
    /// A person has to approve.
    AwaitingApproval,
    /// The stack is as the template says, and traffic is where it was.
    Applied,
    /// The new versions have a share of the traffic.
    Shifting,
    /// The new versions have all of the traffic.
    Promoted,
    /// The deployment is closed, and its release was live when it was.
    Released,
    /// The deployment is closed, because the stack was as it should be.
    Unchanged,
    /// The deployment is closed, because there was nothing to deploy.
    Ignored,
    /// The deployment is closed, because of a newer one.
    Superseded,
    /// The deployment is closed, because its execution failed. Another execution may take it over.
    Failed,
}

impl DeploymentStatus {
    /// Returns whether the deployment is closed, whether or not it has failed.
    #[must_use]
    pub fn is_closed(self) -> bool {
        self == Self::Failed || self.is_complete()
    }

    /// Returns whether the deployment is closed without a failure.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Released | Self::Unchanged | Self::Ignored | Self::Superseded
        )
    }
}

impl std::fmt::Display for DeploymentStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// Everything that is known of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentState {
    /// The deployment's id.
    pub deployment_id: DeploymentId,
    /// The deployment.
    pub deployment: Deployment,
    /// How far it is.
    pub status: DeploymentStatus,
    /// The number of its events.
    pub version: u64,
    /// The digest of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// When the trail may be deleted, in seconds since the epoch, or `None` if it is kept for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When its first execution started.
    pub requested_at: DateTime<Utc>,
    /// When its last event was recorded.
    pub updated_at: DateTime<Utc>,
    /// The ARNs of its executions. The last one is in charge.
    pub executions: Vec<String>,
    /// What is deployed.
    pub request: Option<Request>,
    /// Why there is nothing to deploy.
    pub ignored: Option<IgnoredDeployment>,
    /// The newer deployment.
    pub superseded: Option<SupersededDeployment>,
    /// The build.
    pub build: Option<StartedBuild>,
    /// What was built, now or before.
    pub artifact: Option<Artifact>,
    /// Where the artifact was found, if it was built before.
    pub reused_from: Option<String>,
    /// What the plan says.
    pub planned: Option<Planned>,
    /// What a person has decided.
    pub decision: Option<Decision>,
    /// What the update of the stack has made.
    pub applied: Option<Applied>,
    /// The share of the new versions, in percent.
    pub percent: u8,
    /// What was released.
    pub released: Option<Released>,
    /// How many attempts of stages have failed.
    pub failed_attempts: u32,
    /// The failure of the execution in charge.
    pub failure: Option<DeploymentFailed>,
}

impl Aggregate for Deployment {
    type Id = DeploymentId;
    type Event = DeploymentEvent;
    type State = DeploymentState;
    type Delivery = ();

    const KIND: &'static str = "DEPLOYMENT";

    fn name(event: &DeploymentEvent) -> &'static str {
        event.name()
    }

    fn apply(
        state: Option<DeploymentState>,
        recorded: &RecordedEvent<DeploymentEvent>,
    ) -> Result<DeploymentState, IllegalTransition> {
        apply(state, recorded)
    }

    fn id(state: &DeploymentState) -> DeploymentId {
        state.deployment_id
    }

    fn version(state: &DeploymentState) -> u64 {
        state.version
    }

    fn head(state: &DeploymentState) -> Option<&Digest> {
        state.head.as_ref()
    }

    fn expires_at(state: &DeploymentState) -> Option<i64> {
        state.expires_at
    }

    /// The index by repository lists the deployments of an application in an environment, the one by status those of a
    /// push or of the release that is to be live again.
    fn index_keys(state: &DeploymentState) -> Vec<IndexKey> {
        let deployment = &state.deployment;
        let sort = state.requested_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let application = application_key(&deployment.environment, &deployment.application);
        let cause = match &deployment.cause {
            Cause::Push { push_id } => push_key(*push_id),
            Cause::Rollback { rollback_to, .. } => format!("DEPLOYMENT#{rollback_to}"),
        };
        [(Index::Repository, application), (Index::Status, cause)]
            .map(|(index, partition)| IndexKey {
                index,
                partition,
                sort: sort.clone(),
            })
            .into()
    }
}

impl Flow for Deployment {
    type Stage = Stage;

    const LARGE_OUTPUT: &'static str = "the template has too many resources or outputs";

    fn attempt_failed(failed: AttemptFailed<Stage>) -> DeploymentEvent {
        DeploymentEvent::AttemptFailed(failed)
    }

    fn executions(state: &DeploymentState) -> &[String] {
        &state.executions
    }

    fn is_over_for(state: &DeploymentState, execution_id: &str) -> bool {
        state.is_over_for(execution_id)
    }

    /// An event may come twice. The execution that it starts then must not continue what the first one has begun.
    fn is_of_another(state: &DeploymentState, execution_id: &str) -> bool {
        !state.is_in_charge(execution_id)
    }

    /// `Record` records failures, and `Release` looks for itself who has the environment.
    fn runs_when_over(stage: Stage) -> bool {
        matches!(stage, Stage::Record | Stage::Release)
    }
}

impl<T: Sync> Payload for Envelope<T> {
    type Flow = Deployment;

    fn id(&self) -> DeploymentId {
        self.deployment.id()
    }

    fn execution(&self) -> &Execution {
        &self.execution
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The first execution begins the trail, in whatever stage. Another one takes over a failed deployment in its first
    /// stage.
    fn opening_event(&self, stage: Stage, state: Option<&DeploymentState>) -> Option<DeploymentEvent> {
        let execution = &self.execution;
        match state {
            None => Some(DeploymentEvent::DeploymentRequested(DeploymentRequested {
                deployment: self.deployment.clone(),
                execution: execution.clone(),
            })),
            Some(state) if stage == Stage::Admit && state.may_be_retried_by(&execution.id) => {
                Some(DeploymentEvent::DeploymentRetried(DeploymentRetried {
                    execution: execution.clone(),
                }))
            }
            Some(_) => None,
        }
    }
}

/// Returns the key by which the index by repository finds the deployments of an application in an environment.
#[must_use]
pub fn application_key(environment: impl Display, application: impl Display) -> String {
    format!("APPLICATION#{environment}#{application}")
}

/// Returns the key by which the index by status finds the deployments of a push.
#[must_use]
pub fn push_key(push_id: PushId) -> String {
    format!("PUSH#{push_id}")
}

/// Folds one event into the state. This is the only place where an event changes the state.
///
/// `DeploymentRetried` begins again. What was built of the tree is found again by `Acquire`.
fn apply(
    state: Option<DeploymentState>,
    recorded: &RecordedEvent<DeploymentEvent>,
) -> Result<DeploymentState, IllegalTransition> {
    let (version, recorded_at) = (recorded.version, recorded.recorded_at);
    let Some(mut state) = state else {
        return match &recorded.event {
            DeploymentEvent::DeploymentRequested(requested) if version == 1 => Ok(begin(requested, recorded)),
            _ => Err(IllegalTransition::at_the_beginning::<Deployment>(recorded)),
        };
    };
    if version != state.version + 1 || !state.may_be_followed_by(&recorded.event) {
        return Err(IllegalTransition::after::<Deployment>(
            &state,
            state.status,
            recorded,
        ));
    }
    match recorded.event.clone() {
        DeploymentEvent::DeploymentRequested(_) => {}
        DeploymentEvent::DeploymentRetried(retried) => {
            let mut executions = std::mem::take(&mut state.executions);
            executions.push(retried.execution.id);
            state = DeploymentState {
                executions,
                failed_attempts: state.failed_attempts,
                expires_at: state.expires_at,
                ..DeploymentState::new(state.deployment, state.requested_at)
            };
        }
        DeploymentEvent::DeploymentAccepted(request) => {
            state.request = Some(request);
            state.status = DeploymentStatus::Waiting;
        }
        DeploymentEvent::DeploymentIgnored(ignored) => {
            state.ignored = Some(ignored);
            state.status = DeploymentStatus::Ignored;
        }
        DeploymentEvent::DeploymentAdmitted => state.status = DeploymentStatus::Admitted,
        DeploymentEvent::DeploymentSuperseded(superseded) => {
            state.superseded = Some(superseded);
            state.status = DeploymentStatus::Superseded;
        }
        DeploymentEvent::ArtifactReused(acquired) => {
            state.artifact = acquired.artifact;
            state.reused_from = acquired.from;
            state.status = DeploymentStatus::Built;
        }
        DeploymentEvent::BuildStarted(build) => {
            state.build = Some(build);
            state.status = DeploymentStatus::Building;
        }
        DeploymentEvent::ArtifactBuilt(artifact) => {
            state.artifact = Some(artifact);
            state.status = DeploymentStatus::Built;
        }
        DeploymentEvent::ChangesPlanned(planned) => {
            state.planned = Some(planned);
            state.status = DeploymentStatus::Planned;
        }
        DeploymentEvent::ApprovalRequested => state.status = DeploymentStatus::AwaitingApproval,
        DeploymentEvent::ApprovalDecided(decision) => {
            state.decision = Some(decision);
            state.status = DeploymentStatus::Planned;
        }
        DeploymentEvent::ChangesApplied(applied) => {
            state.applied = Some(applied);
            state.status = DeploymentStatus::Applied;
        }
        DeploymentEvent::ProbePassed(_) | DeploymentEvent::CanaryJudged(_) => {}
        DeploymentEvent::TrafficShifted(shifted) => {
            state.percent = shifted.percent;
            state.status = DeploymentStatus::Shifting;
        }
        DeploymentEvent::TrafficPromoted(_) => {
            state.percent = 100;
            state.status = DeploymentStatus::Promoted;
        }
        DeploymentEvent::TrafficRolledBack(_) => {
            state.percent = 0;
            state.status = DeploymentStatus::Applied;
        }
        DeploymentEvent::StackRestored(_) => state.status = DeploymentStatus::Admitted,
        DeploymentEvent::DeploymentReleased(released) => {
            state.released = Some(released);
            state.status = DeploymentStatus::Released;
        }
        DeploymentEvent::DeploymentUnchanged => state.status = DeploymentStatus::Unchanged,
        DeploymentEvent::AttemptFailed(_) => state.failed_attempts += 1,
        DeploymentEvent::DeploymentFailed(failed) => {
            if !state.status.is_complete() {
                state.status = DeploymentStatus::Failed;
            }
            state.failure = Some(failed);
        }
    }
    state.version = version;
    state.head = Some(recorded.sha256.clone());
    state.updated_at = recorded_at;
    Ok(state)
}

fn begin(requested: &DeploymentRequested, recorded: &RecordedEvent<DeploymentEvent>) -> DeploymentState {
    DeploymentState {
        executions: vec![requested.execution.id.clone()],
        updated_at: recorded.recorded_at,
        version: 1,
        head: Some(recorded.sha256.clone()),
        expires_at: recorded.expires_at,
        ..DeploymentState::new(requested.deployment.clone(), requested.execution.started_at)
    }
}

impl DeploymentState {
    fn new(deployment: Deployment, requested_at: DateTime<Utc>) -> Self {
        Self {
            deployment_id: deployment.id(),
            deployment,
            status: DeploymentStatus::Requested,
            version: 0,
            head: None,
            expires_at: None,
            requested_at,
            updated_at: requested_at,
            executions: Vec::new(),
            request: None,
            ignored: None,
            superseded: None,
            build: None,
            artifact: None,
            reused_from: None,
            planned: None,
            decision: None,
            applied: None,
            percent: 0,
            released: None,
            failed_attempts: 0,
            failure: None,
        }
    }

    /// Returns whether this execution is in charge of the deployment.
    #[must_use]
    pub fn is_in_charge(&self, execution_id: &str) -> bool {
        self.executions.last().is_some_and(|last| last == execution_id)
    }

    /// Returns whether another execution may begin the deployment again: it has failed, and this execution is a new
    /// one.
    #[must_use]
    pub fn may_be_retried_by(&self, execution_id: &str) -> bool {
        self.status == DeploymentStatus::Failed && !self.executions.iter().any(|id| id == execution_id)
    }

    /// Returns whether an execution is over, because another one has taken over the deployment or it has failed.
    #[must_use]
    pub fn is_over_for(&self, execution_id: &str) -> bool {
        let has_failed = self
            .failure
            .as_ref()
            .is_some_and(|failed| failed.execution_id == execution_id);
        has_failed || !self.is_in_charge(execution_id)
    }

    fn may_be_followed_by(&self, event: &DeploymentEvent) -> bool {
        use DeploymentEvent as E;
        use DeploymentStatus as S;
        let status = self.status;
        match event {
            E::DeploymentRequested(_) => false,
            E::DeploymentRetried(retried) => self.may_be_retried_by(&retried.execution.id),
            E::DeploymentAccepted(_) | E::DeploymentIgnored(_) => status == S::Requested,
            E::DeploymentAdmitted | E::DeploymentSuperseded(_) => status == S::Waiting,
            E::ArtifactReused(_) | E::BuildStarted(_) => status == S::Admitted,
            E::ArtifactBuilt(_) => status == S::Building,
            E::ChangesPlanned(_) => status == S::Built,
            E::ApprovalRequested => status == S::Planned,
            E::ApprovalDecided(_) => status == S::AwaitingApproval,
            E::ChangesApplied(_) => status == S::Planned,
            E::ProbePassed(_) => matches!(status, S::Applied | S::Shifting),
            // Each share is more than the one before.
            E::TrafficShifted(shifted) => {
                matches!(status, S::Applied | S::Shifting) && shifted.percent > self.percent
            }
            E::CanaryJudged(_) => status == S::Shifting,
            E::TrafficPromoted(_) => matches!(status, S::Applied | S::Shifting),
            E::TrafficRolledBack(_) => matches!(status, S::Applied | S::Shifting | S::Promoted),
            E::StackRestored(_) => status == S::Applied,
            E::DeploymentReleased(_) => status == S::Promoted,
            E::DeploymentUnchanged => status == S::Planned,
            E::AttemptFailed(_) => true,
            E::DeploymentFailed(failed) => self.is_in_charge(&failed.execution_id) && self.failure.is_none(),
        }
    }
}
