//! The inputs and outputs of the workflow's states. An output is also the data of the state's event, so it has
//! references, never file content, secrets or task tokens.

use std::collections::BTreeMap;

use domain::execution::Execution;
use domain::git::{CommitId, ObjectId, RefName, RepositoryPath};
use domain::push::PushId;
use serde::{Deserialize, Serialize};

use crate::application::ApplicationSettings;
use crate::artifact::{Artifact, SourceZip};
use crate::deployment::{Deployment, DeploymentId};

/// A state of the workflow that calls a function. Its name is the state's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Opens the deployment, or says why there is none.
    Admit,
    /// Waits until no other deployment of the application runs in the environment.
    Queue,
    /// Finds what was built of the tree before.
    Acquire,
    /// Starts a build.
    Build,
    /// Returns how far the build is.
    CheckBuild,
    /// Takes what the build has made, and keeps it by its digests.
    Collect,
    /// Starts a change set and the detection of drift.
    Plan,
    /// Returns what the change set would do, once that is known.
    CheckPlan,
    /// Writes that a person has to approve, and takes the token with which they do.
    Approve,
    /// Executes the change set.
    Apply,
    /// Returns how far the stack's update is.
    CheckStack,
    /// Starts a change set with the template of the live release.
    Restore,
    /// Deletes the change set, which is not executed.
    Abandon,
    /// Writes what a state without a function has done.
    Track,
    /// Closes the deployment.
    Record,
    /// Passes the environment's slot on.
    Release,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}

/// The payload that every stage is called with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The stage.
    pub stage: Stage,
    /// The deployment.
    pub deployment: Deployment,
    /// The execution that calls the stage.
    pub execution: Execution,
    /// The number of this attempt of the state, from 0.
    pub attempt: u32,
    /// The stage's own input.
    pub input: T,
}

/// The input of `Admit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitInput {
    /// The application's settings, as the SSM parameter's JSON text.
    pub settings: String,
}

/// The output of `Admit`.
#[expect(
    clippy::large_enum_variant,
    reason = "a deployment has one, which is made, written and dropped"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Admitted {
    /// There is something to deploy.
    Deploy(Request),
    /// There is nothing to deploy.
    Ignore(IgnoredDeployment),
}

/// What is to be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Its place among the deployments of the application in the environment: later pushes and rollbacks have higher
    /// numbers.
    pub order: u64,
    /// The application's settings.
    pub settings: ApplicationSettings,
    /// The push that is deployed. For a rollback it is that of the earlier release.
    pub push: PushedCommit,
    /// The push's zip.
    pub zip: SourceZip,
    /// What a rollback deploys. `None` if a push is deployed.
    pub rollback: Option<Rollback>,
}

/// A release that is to be live again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The deployment that released it.
    pub to: DeploymentId,
    /// Who asks, or which alarm.
    pub by: String,
    /// What is deployed, without a build.
    pub artifact: Artifact,
}

/// The push that is deployed, as the audit trail has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedCommit {
    /// The push.
    pub push_id: PushId,
    /// The repository.
    pub repository: RepositoryPath,
    /// The ref.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The push's number among those of the ref.
    pub sequence: u64,
    /// The commit.
    pub commit: CommitId,
    /// The commit's tree.
    pub tree: ObjectId,
    /// The first line of the commit's message.
    pub subject: String,
    /// The commit's author.
    pub author: String,
    /// Who pushed, as the git host names them. Whoever may push to the ref has approved what is deployed.
    pub pusher: Option<String>,
}

/// Why there is nothing to deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredDeployment {
    /// The reason, for programs.
    pub reason: IgnoreReason,
    /// The reason, for people.
    pub detail: String,
}

/// Why there is nothing to deploy, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IgnoreReason {
    /// Another execution has this deployment in hand, or has ended it.
    Duplicate,
    /// The push is not one of the application's source, repository and ref.
    NotOfApplication,
}

/// The input of `Queue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueInput {
    /// The output of `Admit`.
    pub request: Request,
    /// With it Step Functions is told that the environment is free.
    pub task_token: String,
}

/// The output of `Queue`, which comes with the task token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision")]
pub enum Queued {
    /// The environment is this deployment's.
    Go,
    /// A newer deployment waits, runs or was released.
    Superseded(SupersededDeployment),
}

/// The newer deployment that superseded one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededDeployment {
    /// The newer deployment.
    pub by: DeploymentId,
    /// Why it is newer.
    pub because: String,
}

/// The input of `Acquire` and `Build`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInput {
    /// The output of `Admit`.
    pub request: Request,
}

/// The output of `Acquire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquired {
    /// What was built of the tree before. `None` if it has to be built.
    pub artifact: Option<Artifact>,
    /// Where it was found: `own`, or the role of the other account. `None` if it was not.
    pub from: Option<String>,
}

/// The output of `Build`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedBuild {
    /// The build's id.
    pub build_id: String,
    /// The key of its output in the artifact bucket.
    pub output_key: String,
}

/// The input of `CheckBuild` and `Collect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltInput {
    /// The output of `Admit`.
    pub request: Request,
    /// The output of `Build`.
    pub build: StartedBuild,
}

/// The output of `CheckBuild`. A failed build is a failure of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildProgress {
    /// Whether the build has ended well.
    pub complete: bool,
    /// The phase that it is in.
    pub phase: String,
    /// The log, once there is one.
    pub log: Option<BuildLog>,
}

/// The log of a build in CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildLog {
    /// The log group's name.
    pub group: String,
    /// The log stream's name.
    pub stream: String,
}

/// The input of `Plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInput {
    /// The output of `Admit`.
    pub request: Request,
    /// What is deployed.
    pub artifact: Artifact,
}

/// The output of `Plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedPlan {
    /// The ARN of the stack.
    pub stack_id: String,
    /// The change set's ARN.
    pub change_set: String,
    /// The id of the drift detection, or `None` if the stack is new.
    pub drift_detection: Option<String>,
    /// The versions that take traffic now, by the functions' logical ids. Empty if the stack is new.
    pub live: BTreeMap<String, String>,
}

/// The input of `CheckPlan`, `Abandon` and `Apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedInput {
    /// The output of `Admit`.
    pub request: Request,
    /// The output of `Plan`.
    pub plan: StartedPlan,
}

/// The output of `CheckPlan`. A change set that CloudFormation refuses is a failure of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Whether all is known.
    pub complete: bool,
    /// What would be done to the stack's resources. If there is nothing to do, it is empty.
    pub changes: Vec<Change>,
    /// What was changed in the stack by hand.
    pub drift: Vec<Drift>,
    /// Why a person has to approve. If there is nothing, it is empty.
    pub risks: Vec<Risk>,
    /// Whether the changes may get a share of the traffic first. A function whose role changes cannot have two versions
    /// at the alias.
    pub canary: bool,
}

/// What would be done to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `Add`, `Modify` or `Remove`.
    pub action: String,
    /// The resource's logical id.
    pub logical_id: String,
    /// The resource's type.
    pub resource_type: String,
    /// `True`, `False` or `Conditional`.
    pub replacement: String,
    /// The properties that change.
    pub properties: Vec<String>,
}

/// A property that was changed by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The resource's logical id.
    pub logical_id: String,
    /// The property's path, or `None` if the resource was deleted.
    pub property: Option<String>,
    /// Its value by the template.
    pub expected: Option<String>,
    /// Its value now.
    pub actual: Option<String>,
}

/// Why a person has to approve a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// The kind of risk.
    pub kind: RiskKind,
    /// What would happen, to which resource.
    pub detail: String,
}

/// A kind of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RiskKind {
    /// A resource that has data would be replaced or removed.
    DataLost,
    /// Rights would be given.
    RightsWidened,
    /// The stack was changed by hand, which would be undone.
    Drifted,
}

/// The input of `Approve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproveInput {
    /// The output of `CheckPlan`.
    pub planned: Planned,
    /// With it Step Functions is told what the person has decided.
    pub task_token: String,
}

/// What a person has decided, which comes with the task token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the plan is executed.
    pub approved: bool,
    /// Who has decided: the ARN of the caller.
    pub by: String,
    /// Why, in their words.
    pub comment: Option<String>,
}

/// The output of `Apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The change set's ARN.
    pub change_set: String,
}

/// The output of `Abandon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// The change set's ARN.
    pub change_set: String,
}

/// The output of `CheckStack`. An update that fails is a failure of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Whether the update has ended.
    pub complete: bool,
    /// The stack's status.
    pub status: String,
    /// The functions that take traffic.
    pub functions: Vec<FunctionVersions>,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
}

/// The output of `Restore`, once the stack is as the live release's template says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Restored(pub Applied);

/// The versions of one function after the update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionVersions {
    /// The function's logical id.
    pub logical_id: String,
    /// The function's name.
    pub name: String,
    /// The version that takes the traffic.
    pub stable: String,
    /// The version that was published. It is `stable` if nothing has changed, and in a new stack.
    pub candidate: String,
}

/// The input of `Track`: what a state without a function has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Tracked {
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
    /// A person has decided about the plan.
    ApprovalDecided(Decision),
}

/// The probes of new versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The alias that was called: `next`, or `live` while the new version has a share.
    pub alias: String,
    /// The logical ids of the functions that were called.
    pub functions: Vec<String>,
}

/// A share of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shifted {
    /// The share of the new versions, in percent.
    pub percent: u8,
    /// The functions.
    pub functions: Vec<FunctionVersions>,
}

/// A verdict about new versions at their share of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Their share, in percent.
    pub percent: u8,
    /// The alarms that were raised.
    pub raised: Vec<String>,
    /// The alarms that have no data.
    pub without_data: Vec<String>,
}

/// A verdict about new versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// No alarm was raised.
    Pass,
    /// An alarm was raised.
    Fail,
    /// No alarm was raised, but some have no data.
    NoData,
}

/// Why traffic was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The error's code.
    pub error: String,
    /// The functions, whose `stable` versions have all of the traffic.
    pub functions: Vec<FunctionVersions>,
}

/// The input of `Record`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordInput {
    /// What was released, or `None` if the deployment has failed, or if nothing was to be done.
    #[serde(deserialize_with = "Option::deserialize")]
    pub released: Option<Released>,
    /// The failure that ended the execution, or `None` if it has not failed.
    #[serde(deserialize_with = "Option::deserialize")]
    pub failure: Option<DeploymentFailure>,
}

/// A release, which a rollback can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// What was deployed.
    pub artifact: Artifact,
    /// The functions, whose `candidate` versions have all of the traffic.
    pub functions: Vec<FunctionVersions>,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
}

/// The first failure of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentFailure {
    /// The name of the state that failed.
    pub stage: String,
    /// The error's name, such as `TestsFailed`.
    pub error: String,
    /// What happened, to what, and what to do.
    pub cause: String,
    /// Whether production is as it was before the deployment. If not, the cause says what is left.
    pub clean: bool,
}
