//! `Restore`: takes the stack back to the template of the live release, one step at each call.

use std::collections::BTreeMap;

use artifacts::bucket::ArtifactStore;
use audit::{AuditError, DeploymentTrail};
use delivery::artifact::Artifact;
use delivery::contract::{Applied, PlannedInput};
use delivery::deployment::{ApplicationName, EnvironmentName};
use delivery::slot::SlotKey;
use domain::execution::Execution;
use stacks::{ChangeSet, ChangeSetStatus, Phase, Stack, StackError};

use crate::{Deps, Error, change_set_name, load, start, template};

/// The releases of applications.
pub trait Releases: Send + Sync {
    /// Returns what is live of an application in an environment, or `None` if it was never released.
    fn live(
        &self,
        environment: &EnvironmentName,
        application: &ApplicationName,
    ) -> impl Future<Output = Result<Option<Live>, AuditError>> + Send;
}

/// What is live of an application.
#[derive(Debug, Clone)]
pub struct Live {
    /// What it was made of.
    pub artifact: Artifact,
    /// The values that the application's parameters have had.
    pub parameters: BTreeMap<String, String>,
}

impl<T: DeploymentTrail> Releases for T {
    async fn live(
        &self,
        environment: &EnvironmentName,
        application: &ApplicationName,
    ) -> Result<Option<Live>, AuditError> {
        let key = SlotKey {
            environment: environment.clone(),
            application: application.clone(),
        };
        let Some(last) = self.releases(&key, 1).await?.into_iter().next() else {
            return Ok(None);
        };
        let state = self.load(last.deployment_id).await?;
        let released = state.and_then(|state| state.released.zip(state.request));
        Ok(released.map(|(released, request)| Live {
            artifact: released.artifact,
            parameters: request.settings.parameters,
        }))
    }
}

/// Does the next step: waits until the stack is not being changed, creates the change set, executes it, and waits for
/// that. It is called again until it is complete.
///
/// # Errors
/// Returns an [`Error`] if the stack cannot be taken back.
pub async fn restore(
    deps: &Deps<'_, impl ArtifactStore>,
    releases: &impl Releases,
    execution: &Execution,
    input: &PlannedInput,
) -> Result<Applied, Error> {
    let request = &input.request;
    let settings = &request.settings;
    let failed = |reason: String| Error::NotRestored {
        stack: settings.stack.clone(),
        reason,
    };
    let stack = deps.stacks.stack(&settings.stack).await?;
    let stack = stack.ok_or_else(|| failed("it does not exist".to_owned()))?;
    match stack.phase() {
        Phase::Busy => return Ok(progress(&stack, false)),
        Phase::Ready | Phase::RolledBack => {}
        Phase::Stuck => {
            return Err(StackError::Stuck {
                stack: settings.stack.clone(),
                status: stack.status,
                reason: stack.reason,
            }
            .into());
        }
        Phase::Empty | Phase::NeverCreated | Phase::Deleted => {
            // There is nothing that could be taken back.
            return Ok(progress(&stack, true));
        }
    }
    let name = change_set_name("restore", request, execution);
    let change_set = deps.stacks.change_set(&settings.stack, &name).await?;
    let Some(ChangeSet { id, status, .. }) = change_set else {
        let live = releases
            .live(&settings.environment, &settings.application)
            .await?;
        let live = live.ok_or_else(|| Error::NeverReleased {
            application: settings.application.to_string(),
            environment: settings.environment.to_string(),
        })?;
        let mut template = load(deps.artifacts, &live.artifact.template).await?;
        template::fill(
            &mut template,
            &live.artifact,
            deps.artifacts.bucket(),
            deps.boundary,
        );
        let mut parameters = live.parameters;
        template::retain_declared(&mut parameters, &template);
        start(deps, request, template, parameters, name).await?;
        return Ok(progress(&stack, false));
    };
    match status {
        ChangeSetStatus::Creating | ChangeSetStatus::Executing => Ok(progress(&stack, false)),
        ChangeSetStatus::Available => {
            deps.stacks
                .execute(&stack.id, &id, &request.deployment_id.to_string())
                .await?;
            Ok(progress(&stack, false))
        }
        ChangeSetStatus::NothingToDo | ChangeSetStatus::Executed => Ok(progress(&stack, true)),
        ChangeSetStatus::Refused(reason) => Err(failed(reason)),
        ChangeSetStatus::Failed => {
            let reason = deps.stacks.failure_of(&stack).await?;
            Err(failed(reason))
        }
        ChangeSetStatus::Outdated => Err(failed("somebody else has changed it".to_owned())),
    }
}

fn progress(stack: &Stack, complete: bool) -> Applied {
    Applied {
        complete,
        status: stack.status.clone(),
        functions: vec![],
        outputs: match complete {
            true => stack.outputs.clone(),
            false => BTreeMap::new(),
        },
    }
}
