//! The slot of an application in an environment, which one deployment has at a time, and in which the newest of those
//! that wait is next.
//!
//! A slot is written version by version. Whatever writes it then notifies the executions that wait. Their answers are a
//! part of what is written ([`Slot::pending`]) until they were notified, so that they get them even if the writer ends
//! in between.

use domain::push::PushId;
use serde::{Deserialize, Serialize};

use crate::contract::{Queued, SupersededDeployment};
use crate::deployment::{ApplicationName, Deployment, DeploymentId, EnvironmentName};

/// Which slot: an application in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SlotKey {
    /// The environment.
    pub environment: EnvironmentName,
    /// The application.
    pub application: ApplicationName,
}

impl SlotKey {
    /// Returns the slot that a deployment needs.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Self {
        Self {
            environment: deployment.environment.clone(),
            application: deployment.application.clone(),
        }
    }
}

impl std::fmt::Display for SlotKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}", self.environment, self.application)
    }
}

/// The slot of an application in an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// How often the slot was written.
    pub version: u64,
    /// The deployment that has the slot.
    pub holder: Option<Claim>,
    /// The deployment that is next.
    pub waiting: Option<Claim>,
    /// The deployments that are still to be told that a newer one has superseded them.
    pub superseded: Vec<SupersededClaim>,
    /// The newest deployment that was released.
    pub released: Option<ReleasedClaim>,
}

/// The claim of an execution to a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// The execution's ARN.
    pub execution_id: String,
    /// The deployment's place among those of the application in the environment.
    pub order: u64,
    /// The token by which the execution is told the answer. `None` once the execution knows that it has the slot.
    pub task_token: Option<String>,
}

/// A claim that a newer one has superseded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededClaim {
    /// The claim.
    pub claim: Claim,
    /// The newer deployment.
    pub superseded: SupersededDeployment,
}

/// The claim of a deployment that was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedClaim {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Its place.
    pub order: u64,
}

/// What is known of the execution that has the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// It runs, or there is no such execution.
    Present,
    /// It has ended, without giving the slot back.
    Gone {
        /// Whether its deployment was released before.
        was_released: bool,
    },
}

/// What an execution is still to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its claim.
    pub claim: Claim,
    /// The answer.
    pub answer: Queued,
}

impl Slot {
    /// Returns the slot after an execution has claimed it.
    ///
    /// The claim waits if another one has the slot, and supersedes the one that waits. It is itself superseded if a
    /// newer one waits, has the slot, or was released. An execution that claims the slot again is answered again.
    #[must_use]
    pub fn claim(&self, claim: Claim, holder: Holder) -> Self {
        let mut next = self.next();
        if let Holder::Gone { was_released } = holder {
            next.clear_holder(was_released);
        }
        if let Some(holder) = &mut next.holder
            && holder.execution_id == claim.execution_id
        {
            holder.task_token = claim.task_token;
            return next;
        }
        next.waiting
            .take_if(|waiting| waiting.execution_id == claim.execution_id);
        next.superseded
            .retain(|superseded| superseded.claim.execution_id != claim.execution_id);
        match next.newer_than(claim.order) {
            Some(superseded) => next.superseded.push(SupersededClaim { claim, superseded }),
            None => {
                let by = claim.deployment_id;
                if let Some(older) = next.waiting.replace(claim) {
                    next.superseded.push(SupersededClaim {
                        claim: older,
                        superseded: superseded(by, "is newer, and waits for the environment"),
                    });
                }
            }
        }
        next.pass_on();
        next
    }

    /// Returns the slot after an execution has given up its claim, or `None` if it has none.
    #[must_use]
    pub fn leave(&self, execution_id: &str, was_released: bool) -> Option<Self> {
        let is_its = |claim: &Claim| claim.execution_id == execution_id;
        let mut next = self.next();
        if next.holder.as_ref().is_some_and(is_its) {
            next.clear_holder(was_released);
            next.pass_on();
        } else if next.waiting.take_if(|waiting| is_its(waiting)).is_none() {
            return None;
        }
        Some(next)
    }

    /// Returns who is to be told what next, or `None` if all were told.
    #[must_use]
    pub fn pending(&self) -> Option<Pending> {
        if let Some(SupersededClaim { claim, superseded }) = self.superseded.first() {
            return Some(Pending {
                claim: claim.clone(),
                answer: Queued::Superseded(superseded.clone()),
            });
        }
        let holder = self.holder.as_ref()?;
        holder.task_token.as_ref()?;
        Some(Pending {
            claim: holder.clone(),
            answer: Queued::Go,
        })
    }

    /// Returns the slot after the execution of a pending answer was told.
    #[must_use]
    pub fn told(&self, told: &Pending) -> Self {
        let mut next = self.next();
        match told.answer {
            Queued::Superseded(_) => next
                .superseded
                .retain(|superseded| superseded.claim != told.claim),
            Queued::Go => {
                if let Some(holder) = &mut next.holder
                    && *holder == told.claim
                {
                    holder.task_token = None;
                }
            }
        }
        next
    }

    fn next(&self) -> Self {
        Self {
            version: self.version + 1,
            ..self.clone()
        }
    }

    fn clear_holder(&mut self, was_released: bool) {
        let Some(holder) = self.holder.take() else {
            return;
        };
        let is_newest = self
            .released
            .is_none_or(|released| released.order <= holder.order);
        if was_released && is_newest {
            self.released = Some(ReleasedClaim {
                deployment_id: holder.deployment_id,
                order: holder.order,
            });
        }
    }

    /// Returns why a claim with this order is superseded, or `None` if it is not.
    fn newer_than(&self, order: u64) -> Option<SupersededDeployment> {
        let of = |claim: &Claim| (claim.order, claim.deployment_id);
        let all = [
            (
                self.waiting.as_ref().map(of),
                "is newer, and waits for the environment",
            ),
            (self.holder.as_ref().map(of), "is newer, and runs"),
            (
                self.released
                    .map(|released| (released.order, released.deployment_id)),
                "is newer, and was released",
            ),
        ];
        let newer = all
            .into_iter()
            .find_map(|(claim, because)| claim.filter(|(other, _)| *other > order).zip(Some(because)));
        newer.map(|((_, by), because)| superseded(by, because))
    }

    fn pass_on(&mut self) {
        if self.holder.is_none() {
            self.holder = self.waiting.take();
        }
    }
}

fn superseded(by: DeploymentId, because: &str) -> SupersededDeployment {
    SupersededDeployment {
        by,
        because: format!("deployment {by} {because}"),
    }
}

/// A token with which a person's decision is told to Step Functions. It is kept outside the events, because whoever has
/// it decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalToken {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// The execution that waits.
    pub execution_id: String,
    /// The token.
    pub task_token: String,
}

/// A release of an application in an environment. What was released is in the trail of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The deployment that released it.
    pub deployment_id: DeploymentId,
    /// When it was released.
    pub released_at: chrono::DateTime<chrono::Utc>,
    /// The push.
    pub push_id: PushId,
    /// The commit.
    pub commit: domain::git::CommitId,
    /// The first line of the commit's message.
    pub subject: String,
    /// The deployment whose release was made live again, if the deployment was a rollback.
    pub rollback_to: Option<DeploymentId>,
}
