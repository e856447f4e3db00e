//! `Plan`, `CheckPlan`, `Restore` and `Abandon`: find out what an update of the application's stack would do, and take
//! an update back.
//!
//! The template is that of an artifact, in which only the bucket, the permissions boundary and the names of versions
//! are filled in. The versions that are live now are given as parameters, so that an update never moves traffic.

mod changes;
mod error;
mod restore;
mod template;

use std::collections::BTreeMap;

use artifacts::bucket::ArtifactStore;
use delivery::application::ApplicationSettings;
use delivery::artifact::{Digest, MAX_TEMPLATE_BYTES};
use delivery::contract::{Abandoned, PlanInput, Planned, PlannedInput, Request, Risk, RiskKind, StartedPlan};
use delivery::risk::risks;
use domain::execution::Execution;
use serde_json::Value;
use stacks::{
    ChangeSetStatus, DriftStatus, MAX_BODY_BYTES, NewChangeSet, Phase, Stack, StackError, Stacks,
    TemplateSource,
};
use uuid::Uuid;

pub use error::Error;
pub use restore::{Live, Releases, restore};

/// What the states need besides their inputs.
#[derive(Debug)]
pub struct Deps<'a, A> {
    /// CloudFormation and Lambda.
    pub stacks: &'a Stacks,
    /// The artifact bucket.
    pub artifacts: &'a A,
    /// The region, which is part of the URLs of objects.
    pub region: &'a str,
    /// The role with which CloudFormation makes the changes.
    pub execution_role: &'a str,
    /// The most that a role of the application can have.
    pub boundary: &'a str,
}

/// Starts a change set, and the detection of drift.
///
/// # Errors
/// Returns an [`Error`] if the stack cannot be changed now, or the template is not accepted.
pub async fn plan(
    deps: &Deps<'_, impl ArtifactStore>,
    execution: &Execution,
    input: &PlanInput,
) -> Result<StartedPlan, Error> {
    let request = &input.request;
    let name = change_set_name("deployment", request, execution);
    let mut template = load(deps.artifacts, &input.artifact.template).await?;
    template::check_aliases(&template, &request.settings)?;
    template::fill(
        &mut template,
        &input.artifact,
        deps.artifacts.bucket(),
        deps.boundary,
    );
    let mut parameters = request.settings.parameters.clone();
    if request.rollback.is_some() {
        template::retain_declared(&mut parameters, &template);
    }
    let started = start(deps, request, template, parameters, name).await?;
    let drift_detection = match started.is_new {
        true => None,
        false => Some(deps.stacks.detect_drift(&request.settings.stack).await?),
    };
    Ok(StartedPlan {
        stack_id: started.stack_id,
        change_set: started.change_set,
        drift_detection,
        live: started.live,
    })
}

/// Returns what a change set would do, once that is known.
///
/// # Errors
/// Returns an [`Error`] if CloudFormation refuses the change set, or if it would change a function without a new
/// version.
pub async fn check(stacks: &Stacks, input: &PlannedInput) -> Result<Planned, Error> {
    let (settings, plan) = (&input.request.settings, &input.plan);
    let change_set = stacks.change_set(&plan.stack_id, &plan.change_set).await?;
    let change_set = change_set.ok_or_else(|| Error::Outdated(plan.change_set.clone()))?;
    let mut planned = Planned {
        complete: false,
        changes: vec![],
        drift: vec![],
        risks: vec![],
        canary: true,
    };
    match change_set.status {
        ChangeSetStatus::Creating => return Ok(planned),
        ChangeSetStatus::Refused(reason) => return Err(Error::refused(reason)),
        ChangeSetStatus::Available | ChangeSetStatus::NothingToDo => {}
        _ => return Err(Error::Outdated(plan.change_set.clone())),
    }
    let mut unknown = None;
    if let Some(detection) = &plan.drift_detection {
        match stacks.drift_status(&settings.stack, detection).await? {
            DriftStatus::InProgress => return Ok(planned),
            DriftStatus::Complete => {}
            DriftStatus::Failed(reason) => unknown = Some(reason),
        }
        planned.drift = changes::drift(stacks.drifts(&settings.stack).await?);
    }
    planned.complete = true;
    planned.changes = changes::describe(&change_set.changes);
    if change_set.status == ChangeSetStatus::Available {
        let after = stacks.template(&plan.stack_id, Some(&plan.change_set)).await?;
        let before = match &plan.drift_detection {
            // A stack of which no drift can be detected is new.
            None => None,
            Some(_) => Some(stacks.template(&settings.stack, None).await?),
        };
        planned
            .changes
            .retain(|change| !changes::is_traffic(change, &after));
        changes::check_published(&planned.changes, settings, &after)?;
        planned.canary = changes::allows_canary(&planned.changes, settings);
        planned.risks = risks(&planned.changes, &planned.drift, before.as_ref(), &after);
        // What was changed by hand would be undone, so a person decides about that too.
        if let Some(reason) = unknown {
            planned.risks.push(Risk {
                kind: RiskKind::Drifted,
                detail: domain::plain(&format!("what was changed by hand is not known: {reason}"), 400),
            });
        }
    }
    Ok(planned)
}

/// Deletes the change set of a plan, which is not executed.
///
/// # Errors
/// Returns an [`Error`] if CloudFormation refuses it.
pub async fn abandon(stacks: &Stacks, input: &PlannedInput) -> Result<Abandoned, Error> {
    stacks
        .delete_change_set(&input.plan.stack_id, &input.plan.change_set)
        .await?;
    Ok(Abandoned {
        change_set: input.plan.change_set.clone(),
    })
}

/// A change set that is being created.
struct Started {
    stack_id: String,
    change_set: String,
    is_new: bool,
    live: BTreeMap<String, String>,
}

/// Starts the change set `name`, which takes the stack to a template, and moves no traffic.
async fn start(
    deps: &Deps<'_, impl ArtifactStore>,
    request: &Request,
    mut template: Value,
    mut parameters: BTreeMap<String, String>,
    name: String,
) -> Result<Started, Error> {
    let settings = &request.settings;
    template::name_versions(&mut template, settings, &parameters);
    let stack = deps.stacks.stack(&settings.stack).await?;
    let is_new = is_new(deps, &settings.stack, stack.as_ref()).await?;
    let live = match is_new {
        true => BTreeMap::new(),
        false => live(deps.stacks, request).await?,
    };
    for (function, version) in &live {
        let name = ApplicationSettings::live_version_parameter(function);
        if !template["Parameters"][&name].is_null() {
            parameters.insert(name, version.clone());
        }
    }
    let change_set = NewChangeSet {
        stack: settings.stack.clone(),
        name,
        creates: is_new,
        template: source(deps, template.to_string()).await?,
        parameters,
        role_arn: deps.execution_role.to_owned(),
    };
    let created = deps.stacks.create_change_set(&change_set).await?;
    Ok(Started {
        stack_id: created.stack_id,
        change_set: created.id,
        is_new,
        live,
    })
}

/// Returns whether a change set has to create the stack.
async fn is_new(
    deps: &Deps<'_, impl ArtifactStore>,
    name: &str,
    stack: Option<&Stack>,
) -> Result<bool, Error> {
    let Some(stack) = stack else { return Ok(true) };
    let busy = |reason: String| StackError::Busy {
        stack: name.to_owned(),
        reason,
    };
    match stack.phase() {
        Phase::Empty | Phase::Deleted => Ok(true),
        Phase::Ready | Phase::RolledBack => Ok(false),
        Phase::Busy => Err(busy(stack.status.clone()).into()),
        // CloudFormation has removed what it had created. All that can be done with what is left is to delete it.
        Phase::NeverCreated => {
            deps.stacks.delete(name, deps.execution_role).await?;
            Err(busy("it is being deleted, because its creation has failed".to_owned()).into())
        }
        Phase::Stuck => Err(StackError::Stuck {
            stack: name.to_owned(),
            status: stack.status.clone(),
            reason: stack.reason.clone(),
        }
        .into()),
    }
}

/// Returns the versions that take traffic now, by the functions' logical ids. A function that is new has none.
async fn live(stacks: &Stacks, request: &Request) -> Result<BTreeMap<String, String>, Error> {
    let resources = stacks.resources(&request.settings.stack).await?;
    let mut live = BTreeMap::new();
    for function in request.settings.functions.keys() {
        let Some(name) = resources.get(function) else {
            continue;
        };
        if let Some(version) = stacks.version(name, "live").await? {
            live.insert(function.clone(), version);
        }
    }
    Ok(live)
}

/// Loads the packaged template of an artifact.
async fn load(artifacts: &impl ArtifactStore, digest: &Digest) -> Result<Value, Error> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("template.json");
    artifacts.get(digest, MAX_TEMPLATE_BYTES, &path).await?;
    let text = tokio::fs::read(&path).await?;
    serde_json::from_slice(&text).map_err(|error| Error::Template {
        digest: digest.to_string(),
        reason: error.to_string(),
    })
}

/// Returns how CloudFormation gets a template: in the request if it fits, or else at a URL in the artifact bucket, at
/// its digest.
async fn source(deps: &Deps<'_, impl ArtifactStore>, text: String) -> Result<TemplateSource, Error> {
    if text.len() <= MAX_BODY_BYTES {
        return Ok(TemplateSource::Body(text));
    }
    let digest = Digest::of(&text);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("template.json");
    tokio::fs::write(&path, &text).await?;
    deps.artifacts.put(&digest, &path).await?;
    let location = deps.artifacts.location(&digest);
    let domain = match deps.region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    };
    let (bucket, region, key) = (location.bucket, deps.region, location.key);
    // The form that the AWS CLI gives CloudFormation too, which does not depend on the bucket's name being one of DNS.
    Ok(TemplateSource::Url(format!(
        "https://s3.{region}.{domain}/{bucket}/{key}"
    )))
}

/// Returns the name of a change set. An execution that retries a deployment makes another one, because the stack may
/// have changed.
fn change_set_name(kind: &str, request: &Request, execution: &Execution) -> String {
    let token = Uuid::new_v5(&Uuid::NAMESPACE_OID, execution.id.as_bytes()).simple();
    let token = token.to_string();
    format!("{kind}-{}-{}", request.deployment_id, &token[..8])
}
