//! `Validate`: decides by the source's settings whether a push is delivered, from where to where, and gives it its
//! number.

use audit::{AuditError, PushTrail};
use domain::Invalid;
use domain::contract::{Deliver, Envelope, IgnoreReason, ValidateInput, Validated};
use domain::error::{Code, Coded};
use domain::policy::{self, Decision, PolicyError};
use domain::source::SettingsError;

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
    let wanted = match policy::decide(&settings, push).map_err(|source| Error::Policy { name, source })? {
        Decision::Deliver(wanted) => wanted,
        Decision::Ignore(ignored) => {
            if ignored.reason == IgnoreReason::RefDeleted {
                trail.number(push).await?;
            }
            return Ok(Validated::Ignore(ignored));
        }
    };
    let decided_before = trail
        .load(push.push_id)
        .await?
        .and_then(|state| state.decided_before);
    let sequence = match decided_before {
        Some(deliver) => deliver.sequence,
        None => trail.number(push).await?,
    };
    Ok(Validated::Deliver(Deliver {
        clone_url: wanted.clone_url,
        destination: wanted.destination,
        sequence,
        git_hosts: settings.git_hosts,
        submodule_repositories: [settings.repositories, settings.submodule_repositories].concat(),
        options: wanted.options,
    }))
}

#[cfg(test)]
mod tests;
