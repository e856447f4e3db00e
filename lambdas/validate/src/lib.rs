//! `Validate`: decides by the source's settings whether a push is delivered, from where to where, and gives it its
//! number.

use audit::{AuditError, PushTrail, RefKey};
use domain::Invalid;
use domain::contract::{Deliver, Envelope, Expire, IgnoreReason, Ignored, ValidateInput, Validated, Version};
use domain::error::{Code, Coded};
use domain::policy::{self, Decision, PolicyError};
use domain::push::{Push, PushId};
use domain::source::{Options, SettingsError};
use domain::state::PushState;

/// Why a push cannot be validated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are malformed.
    #[error("the settings of source {name} cannot be read")]
    Settings {
        /// The source.
        name: String,
        /// What is wrong with them.
        source: SettingsError,
    },
    /// The settings cannot be applied to this push.
    #[error("the settings of source {name} cannot be applied to this push")]
    Policy {
        /// The source.
        name: String,
        /// What prevents it.
        source: PolicyError,
    },
    /// The push's id is not the one of its source, delivery and ref.
    #[error("the push is not one that the webhook makes")]
    Identity(#[source] Invalid),
    /// There is nothing to roll back to.
    #[error("push {push_id} cannot be rolled back to: {reason}")]
    NoVersion {
        /// The push that was to be delivered again.
        push_id: PushId,
        /// What it lacks.
        reason: &'static str,
    },
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Policy {
                source: PolicyError::GitHostNotAllowed { .. },
                ..
            } => Code::GitHostNotAllowed,
            Self::Settings { .. } | Self::Policy { .. } => Code::SourceInvalid,
            Self::Identity(_) => Code::InputInvalid,
            Self::NoVersion { .. } => Code::VersionMissing,
            Self::Audit(error) => error.code(),
        }
    }
}

/// Validates one push.
///
/// A push that another execution has validated before keeps its number. A deletion gets a number too, because it is a
/// change of the ref between others.
///
/// # Errors
/// Returns an [`Error`] if the settings cannot be applied to the push, or if the trail fails.
pub async fn handle(trail: &impl PushTrail, envelope: &Envelope<ValidateInput>) -> Result<Validated, Error> {
    let push = &envelope.push;
    push.check_identity().map_err(Error::Identity)?;
    let name = push.source.to_string();
    let settings = envelope.input.parse().map_err(|source| Error::Settings {
        name: name.clone(),
        source,
    })?;
    let further = policy::further(&settings, push);
    let wanted = match policy::decide(&settings, push).map_err(|source| Error::Policy { name, source })? {
        Decision::Deliver(wanted) => wanted,
        Decision::Expire(plan) => {
            return Ok(Validated::Expire(Expire {
                clone_url: plan.clone_url,
                destination: plan.destination,
                sequence: trail.number(push).await?,
                further,
            }));
        }
        Decision::Ignore(ignored) if ignored.reason == IgnoreReason::RefDeleted => {
            trail.number(push).await?;
            return Ok(Validated::Ignore(Ignored { further, ..ignored }));
        }
        Decision::Ignore(ignored) => return Ok(Validated::Ignore(ignored)),
    };
    let to = match push.rollback_to {
        Some(to) => Some(delivered(trail, push, to).await?),
        None => None,
    };
    let decided_before = trail
        .load(push.push_id)
        .await?
        .and_then(|state| state.decided_before);
    let sequence = match decided_before {
        Some(deliver) => deliver.sequence,
        None => trail.number(push).await?,
    };
    Ok(Validated::Deliver(match to {
        None => Deliver {
            clone_url: wanted.clone_url,
            destination: wanted.destination,
            sequence,
            git_hosts: settings.git_hosts,
            submodule_repositories: [settings.repositories, settings.submodule_repositories].concat(),
            options: wanted.options,
            paths: wanted.paths,
            rollback: None,
            commit_status: wanted.commit_status,
            further,
        },
        Some((deliver, version)) => Deliver {
            clone_url: wanted.clone_url,
            destination: wanted.destination,
            sequence,
            options: Options {
                overwrite_foreign: wanted.options.overwrite_foreign,
                ..deliver.options
            },
            rollback: Some(version),
            commit_status: wanted.commit_status,
            further,
            ..deliver
        },
    }))
}

/// Returns how the push `to` was delivered, to which `rollback` goes back, and its zip.
async fn delivered(trail: &impl PushTrail, rollback: &Push, to: PushId) -> Result<(Deliver, Version), Error> {
    let no_version = |reason| Error::NoVersion { push_id: to, reason };
    let state = trail.load(to).await?;
    let state = state.ok_or_else(|| no_version("the trail has no such push"))?;
    if RefKey::of(&state.push) != RefKey::of(rollback) {
        return Err(no_version("it is of another source, repository or ref"));
    }
    let PushState {
        deliver: Some(deliver),
        delivered: Some(zip),
        ..
    } = state
    else {
        return Err(no_version("it was not delivered"));
    };
    let version_id = zip.version_id;
    let version_id = version_id.ok_or_else(|| no_version("its bucket keeps no versions"))?;
    let version = Version {
        push_id: to,
        bucket: zip.bucket,
        key: zip.key,
        version_id,
    };
    Ok((deliver, version))
}

#[cfg(test)]
mod tests;
