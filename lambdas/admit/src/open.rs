//! Opens a deployment: decides by the audit trail and the application's settings whether there is something to deploy.

use std::time::Duration;

use audit::{Deliveries, DeploymentTrail};
use aws::failure::Failed;
use delivery::application::ApplicationSettings;
use delivery::artifact::SourceZip;
use delivery::contract::{
    AdmitInput, Admitted, Envelope, IgnoreReason, IgnoredDeployment, PushedCommit, Request, Rollback, Stage,
};
use delivery::deployment::{Cause, DeploymentId};
use delivery::state::DeploymentState;
use domain::delivered::Delivery;
use domain::push::PushId;

use crate::{Deps, Error};

/// Runs the stage. A deployment that another execution has in hand, or has ended, is a duplicate, of which nothing is
/// written.
pub async fn run<P, D, T>(
    deps: &Deps<'_, P, D, T>,
    envelope: &Envelope<AdmitInput>,
    time_limit: Duration,
) -> Result<Admitted, Failed>
where
    P: Deliveries,
    D: DeploymentTrail,
    T: Sync,
{
    let state = deps
        .deployments
        .load(envelope.deployment.id())
        .await
        .map_err(|error| Failed::new(&error))?;
    if let Some(duplicate) = state.and_then(|state| duplicate(&state, &envelope.execution.id)) {
        return Ok(Admitted::Ignore(duplicate));
    }
    workflow::execute(
        Stage::Admit,
        deps.deployments,
        envelope,
        time_limit,
        async |envelope| decide(deps, envelope).await,
    )
    .await
}

fn duplicate(state: &DeploymentState, execution_id: &str) -> Option<IgnoredDeployment> {
    if state.is_in_charge(execution_id) || state.may_be_retried_by(execution_id) {
        return None;
    }
    let last = state.executions.last()?;
    Some(IgnoredDeployment {
        reason: IgnoreReason::Duplicate,
        detail: format!("{last} has the deployment, which is {}", state.status),
    })
}

async fn decide<P, D, T>(deps: &Deps<'_, P, D, T>, envelope: &Envelope<AdmitInput>) -> Result<Admitted, Error>
where
    P: Deliveries,
    D: DeploymentTrail,
{
    let deployment = &envelope.deployment;
    let settings = settings_of(deps, envelope)?;
    let (order, push, zip, rollback) = match &deployment.cause {
        Cause::Push { push_id } => {
            let delivered = deps.pushes.delivered(*push_id).await?;
            let delivered = delivered.ok_or(Error::NotDelivered(*push_id))?;
            if let Some(detail) = not_of_application(&delivered, &settings) {
                return Ok(Admitted::Ignore(IgnoredDeployment {
                    reason: IgnoreReason::NotOfApplication,
                    detail,
                }));
            }
            let (push, zip) = deliverable(*push_id, delivered)?;
            (push.sequence, push, zip, None)
        }
        Cause::Rollback {
            rollback_to,
            by,
            takes_back,
            ..
        } => {
            let released = deps.deployments.load(*rollback_to).await?;
            let (push, zip, rollback) = release(*rollback_to, by, &settings, released)?;
            let order = match takes_back {
                Some(taken_back) => order_of(deps, *taken_back).await?,
                // The numbers of pushes are the time in milliseconds too, at least.
                None => u64::try_from(envelope.execution.started_at.timestamp_millis()).unwrap_or_default(),
            };
            (order, push, zip, Some(rollback))
        }
    };
    Ok(Admitted::Deploy(Request {
        deployment_id: deployment.id(),
        order,
        settings,
        push,
        zip,
        rollback,
    }))
}

/// Returns the place of a deployment among those of the application.
async fn order_of<P, D: DeploymentTrail, T>(
    deps: &Deps<'_, P, D, T>,
    id: DeploymentId,
) -> Result<u64, Error> {
    let state = deps.deployments.load(id).await?;
    let request = state.and_then(|state| state.request);
    Ok(request.ok_or_else(|| Error::Unknown(id.to_string()))?.order)
}

/// Parses the settings, which have to be those of the deployment, and the deployment one of this stack.
fn settings_of<P, D, T>(
    deps: &Deps<'_, P, D, T>,
    envelope: &Envelope<AdmitInput>,
) -> Result<ApplicationSettings, Error> {
    let (environment, application) = (&deps.environment, &deps.application);
    let settings: ApplicationSettings =
        envelope
            .input
            .settings
            .parse()
            .map_err(|source| Error::Settings {
                application: application.to_string(),
                environment: environment.to_string(),
                source,
            })?;
    let deployment = &envelope.deployment;
    for found in [
        (&settings.environment, &settings.application),
        (&deployment.environment, &deployment.application),
    ] {
        if found != (environment, application) {
            return Err(Error::OtherSettings {
                found: format!("{} in {}", found.1, found.0),
                expected: format!("{application} in {environment}"),
            });
        }
    }
    Ok(settings)
}

fn not_of_application(delivered: &Delivery, settings: &ApplicationSettings) -> Option<String> {
    let push = &delivered.push;
    let wanted = (&settings.source, &settings.repository, &settings.ref_name);
    let pushed = (&push.source, &push.repository, &push.ref_name);
    (pushed != wanted).then(|| {
        format!(
            "{} is deployed from {} of {} by {}, and this push is one of {} of {} by {}",
            settings.application,
            settings.ref_name,
            settings.repository,
            settings.source,
            push.ref_name,
            push.repository,
            push.source
        )
    })
}

/// Returns what is deployed of a delivered push.
fn deliverable(push_id: PushId, delivered: Delivery) -> Result<(PushedCommit, SourceZip), Error> {
    let zip = delivered.zip;
    let version_id = zip.version_id.ok_or_else(|| Error::Unversioned {
        bucket: zip.bucket.clone(),
        key: zip.key.to_string(),
    })?;
    let push = PushedCommit {
        push_id,
        repository: delivered.push.repository,
        ref_name: delivered.push.ref_name,
        sequence: delivered.sequence,
        commit: delivered.commit,
        tree: delivered.tree,
        subject: delivered.subject,
        author: delivered.author.name,
        pusher: delivered.push.pusher,
    };
    let zip = SourceZip {
        bucket: zip.bucket,
        key: zip.key.to_string(),
        version_id,
        sha256: delivered.sha256.parse()?,
    };
    Ok((push, zip))
}

/// Returns what a rollback deploys.
fn release(
    rollback_to: DeploymentId,
    by: &str,
    settings: &ApplicationSettings,
    state: Option<DeploymentState>,
) -> Result<(PushedCommit, SourceZip, Rollback), Error> {
    let of_application = |state: &DeploymentState| {
        let deployment = &state.deployment;
        (&deployment.environment, &deployment.application) == (&settings.environment, &settings.application)
    };
    let released = state
        .filter(of_application)
        .and_then(|state| state.request.zip(state.released));
    let (request, released) = released.ok_or_else(|| Error::ReleaseNotFound {
        rollback_to: rollback_to.to_string(),
        application: settings.application.to_string(),
        environment: settings.environment.to_string(),
    })?;
    let rollback = Rollback {
        to: rollback_to,
        by: by.to_owned(),
        artifact: released.artifact,
    };
    Ok((request.push, request.zip, rollback))
}
