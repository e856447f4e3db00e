//! The deployments of one application in one environment: what the audit trail has of them, and what people decide.

use std::collections::BTreeMap;

use audit::{DeploymentTrail as _, DynamoTrail, EventStore as _, SortKeys, StateIndex as _};
use aws::failure::chain;
use delivery::artifact::Artifact;
use delivery::contract::Decision;
use delivery::deployment::{Cause, Deployment, DeploymentId};
use delivery::event::DeploymentEvent;
use delivery::state::{DeploymentState, application_key, push_key};
use domain::aggregate::{Aggregate as _, RecordedEvent};
use domain::index::Index;
use domain::push::PushId;
use serde_json::Value;
use uuid::Uuid;

use crate::Error;
use crate::stack::Stack;

/// The delivery stack of an application in an environment.
#[derive(Debug, Clone)]
pub struct Deployments {
    stack: Stack,
    trail: DynamoTrail<Deployment>,
}

/// One deployment, with all its events.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What its events fold to.
    pub state: DeploymentState,
    /// The events, oldest first.
    pub events: Vec<RecordedEvent<DeploymentEvent>>,
}

/// A property that two templates have different values of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it is, such as `/Resources/AskFunction/Properties/Timeout`.
    pub pointer: String,
    /// Its value in the first template, or `None` if it is not there.
    pub before: Option<Value>,
    /// Its value in the second template, or `None` if it is not there.
    pub after: Option<Value>,
}

impl Deployments {
    /// Returns the deployments of a delivery stack.
    ///
    /// # Errors
    /// Returns [`Error::OutputMissing`] if it is not one.
    pub fn of(stack: Stack) -> Result<Self, Error> {
        let trail = DynamoTrail::new(stack.config(), stack.output("TableName")?.to_owned());
        Ok(Self { stack, trail })
    }

    /// Returns the delivery stack.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Returns the id of a push's deployment.
    ///
    /// # Errors
    /// Returns an error if the stack's outputs do not name an application and an environment.
    pub fn id_of(&self, push_id: PushId) -> Result<DeploymentId, Error> {
        let invalid = |error: domain::Invalid| Error::Aws {
            action: format!("read the outputs of the stack {}", self.stack.name()),
            message: error.to_string(),
        };
        let environment = self.stack.output("Environment")?.parse().map_err(invalid)?;
        let application = self.stack.output("ApplicationName")?.parse().map_err(invalid)?;
        let cause = Cause::Push { push_id };
        Ok(Deployment {
            environment,
            application,
            cause,
        }
        .id())
    }

    /// Returns the last deployments, the newest first.
    ///
    /// # Errors
    /// Returns an error if the trail cannot be read.
    pub async fn list(&self, limit: u32) -> Result<Vec<DeploymentState>, Error> {
        let application = application_key(
            self.stack.output("Environment")?,
            self.stack.output("ApplicationName")?,
        );
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let listed = self
            .trail
            .find(Index::Repository, &application, SortKeys::All, limit)
            .await;
        listed.map_err(Error::audit("list the deployments"))
    }

    /// Returns the deployments of a push in all environments, as the trail of the stack of the pushes has them, the
    /// newest first.
    ///
    /// # Errors
    /// Returns an error if the trail cannot be read.
    pub async fn of_push(stack: &Stack, push_id: PushId) -> Result<Vec<DeploymentState>, Error> {
        let trail: DynamoTrail<Deployment> =
            DynamoTrail::new(stack.config(), stack.output("TableName")?.to_owned());
        let listed = trail
            .find(Index::Status, &push_key(push_id), SortKeys::All, 100)
            .await;
        listed.map_err(Error::audit(format!("list the deployments of push {push_id}")))
    }

    /// Returns a deployment.
    ///
    /// # Errors
    /// Returns [`Error::NoDeployment`] if there is none with this id, or an error if the trail cannot be read.
    pub async fn show(&self, id: DeploymentId) -> Result<Shown, Error> {
        let failed = |message| Error::Aws {
            action: format!("read the deployment {id}"),
            message,
        };
        let events = self
            .trail
            .events(id)
            .await
            .map_err(|error| failed(chain(&error)))?;
        let state = Deployment::fold(&events).map_err(|illegal| failed(illegal.to_string()))?;
        let state = state.ok_or_else(|| Error::NoDeployment {
            id: id.to_string(),
            stack: self.stack.name().to_owned(),
        })?;
        Ok(Shown { state, events })
    }

    /// Tells the execution that waits for it what a person has decided.
    ///
    /// # Errors
    /// Returns [`Error::NotWaiting`] if the deployment does not wait for approval.
    pub async fn decide(
        &self,
        id: DeploymentId,
        approved: bool,
        comment: Option<String>,
    ) -> Result<(), Error> {
        let approval = self.trail.approval(id).await;
        let approval = approval.map_err(Error::audit(format!("read the approval of {id}")))?;
        let Some(approval) = approval else {
            return Err(Error::NotWaiting { id: id.to_string() });
        };
        let decision = Decision {
            approved,
            by: self.stack.caller().await?,
            comment,
        };
        let output = serde_json::to_string(&decision).map_err(|error| Error::Aws {
            action: format!("decide about {id}"),
            message: error.to_string(),
        })?;
        let sent = self
            .stack
            .step_functions()
            .send_task_success()
            .task_token(approval.task_token)
            .output(output)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            // The token was used, or its execution has ended.
            Err(error)
                if error.as_service_error().is_some_and(|error| {
                    error.is_task_timed_out() || error.is_invalid_token() || error.is_task_does_not_exist()
                }) =>
            {
                Err(Error::NotWaiting { id: id.to_string() })
            }
            Err(error) => Err(Error::aws(format!("decide about {id}"))(error)),
        }
    }

    /// Starts a deployment that makes an earlier release live again. Returns its id.
    ///
    /// # Errors
    /// Returns an error if there is no such release, or Step Functions refuses to start it.
    pub async fn roll_back(&self, to: DeploymentId) -> Result<DeploymentId, Error> {
        let shown = self.show(to).await?;
        if shown.state.released.is_none() {
            return Err(Error::NotReleased { id: to.to_string() });
        }
        let deployment = Deployment {
            cause: Cause::Rollback {
                rollback_to: to,
                request: Uuid::new_v4(),
                by: self.stack.caller().await?,
                takes_back: None,
            },
            ..shown.state.deployment
        };
        let id = deployment.id();
        let action = || format!("roll back to {to}");
        let input = serde_json::to_string(&deployment.cause).map_err(|error| Error::Aws {
            action: action(),
            message: error.to_string(),
        })?;
        self.stack
            .step_functions()
            .start_execution()
            .state_machine_arn(self.stack.output("StateMachineArn")?)
            .name(id.to_string())
            .input(input)
            .send()
            .await
            .map_err(Error::aws(action()))?;
        Ok(id)
    }

    /// Returns what differs between what two deployments have deployed.
    ///
    /// # Errors
    /// Returns an error if one of them has no artifact, or if a template cannot be read.
    pub async fn diff(&self, before: DeploymentId, after: DeploymentId) -> Result<Vec<Difference>, Error> {
        let (before, after) = (self.template(before).await?, self.template(after).await?);
        Ok(differences(&before, &after))
    }

    async fn template(&self, id: DeploymentId) -> Result<Value, Error> {
        let artifact: Option<Artifact> = self.show(id).await?.state.artifact;
        let Some(artifact) = artifact else {
            return Err(Error::NotReleased { id: id.to_string() });
        };
        let bucket = self.stack.output("ArtifactBucketName")?;
        let key = artifact.template.key();
        let action = || format!("read s3://{bucket}/{key}");
        let object = self.stack.s3().get_object().bucket(bucket).key(&key).send().await;
        let body = object.map_err(Error::aws(action()))?.body.collect().await;
        let body = body.map_err(Error::aws(action()))?.into_bytes();
        serde_json::from_slice(&body).map_err(|error| Error::Aws {
            action: action(),
            message: error.to_string(),
        })
    }
}

/// Returns the properties that differ, in the order of their places.
fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    flatten(before, String::new(), &mut left);
    flatten(after, String::new(), &mut right);
    let mut pointers: Vec<_> = left.keys().chain(right.keys()).collect();
    pointers.sort();
    pointers.dedup();
    pointers
        .into_iter()
        .filter(|pointer| left.get(*pointer) != right.get(*pointer))
        .map(|pointer| Difference {
            pointer: pointer.clone(),
            before: left.get(pointer).map(|value| (*value).clone()),
            after: right.get(pointer).map(|value| (*value).clone()),
        })
        .collect()
}

/// Adds the values that are no objects, by their places. Lists are compared as a whole.
fn flatten<'a>(value: &'a Value, pointer: String, into: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                flatten(value, format!("{pointer}/{name}"), into);
            }
        }
        value => {
            into.insert(pointer, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_their_places() {
        let before = json!({ "A": { "Timeout": 3, "Policies": [1], "Gone": {} }, "B": 1 });
        let after = json!({ "A": { "Timeout": 5, "Policies": [1, 2] }, "B": 1, "C": { "D": "new" } });
        let found: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|difference| (difference.pointer, difference.before, difference.after))
            .collect();
        assert_eq!(
            found,
            [
                ("/A/Gone".to_owned(), Some(json!({})), None),
                ("/A/Policies".to_owned(), Some(json!([1])), Some(json!([1, 2]))),
                ("/A/Timeout".to_owned(), Some(json!(3)), Some(json!(5))),
                ("/C/D".to_owned(), None, Some(json!("new"))),
            ]
        );
        assert_eq!(differences(&before, &before), []);
    }
}
