//! What can fail with the sources of a stack, each with a remedy.

use aws::AwsFailure;
use aws::failure::Failed;
use domain::Invalid;

/// An error of the sources of a stack.
#[derive(Debug, strum::AsRefStr, thiserror::Error)]
pub enum Error {
    /// The name is not one of a source.
    #[error(transparent)]
    Name(#[from] Invalid),
    /// There is a source of this name.
    #[error(
        "there is a source {0} already: `push-code sources show {0}` shows it, and `push-code sources rotate {0}` makes a new secret for its webhook"
    )]
    Exists(String),
    /// Another command has added a source of this name at the same time.
    #[error(
        "another command has added the source {0} at the same time, and its secrets may be those of this command now: remove it (`push-code sources remove {0}`), then add it again"
    )]
    AddedMeanwhile(String),
    /// There is no source of this name.
    #[error("there is no source {0}: `push-code sources list` shows those that there are")]
    Missing(String),
    /// The source belongs to the template.
    #[error(
        "the source {0} is part of the stack's template and is not removed by itself: disable it (`push-code sources disable {0}`), or give it other settings by the parameters of `sam deploy`"
    )]
    OfTheTemplate(String),
    /// The settings cannot be used.
    #[error("the settings cannot be used: {0} (`push-code sources schema` prints what they have)")]
    Settings(String),
    /// There is no login for a host.
    #[error(
        "{0} needs an SSH key, and the git secret has none for it: leave out --git-secret, and a key is generated"
    )]
    NoKey(String),
    /// The webhook secret cannot be used.
    #[error(
        "the webhook secret of {name} {reason}: remove the source (`push-code sources remove {name}`), then add it again"
    )]
    WebhookSecret {
        /// The source.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A captured request cannot be read.
    #[error("the captured request cannot be read: {0}")]
    Captured(String),
    /// The host presents another key than the one that was given.
    #[error("the host key of {host} is not trusted: {reason}")]
    HostKey {
        /// The host.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The git host cannot be asked.
    #[error(transparent)]
    GitHost(#[from] Failed),
    /// No key pair can be made.
    #[error("no key pair can be made")]
    KeyPair(#[source] ssh_key::Error),
    /// There is no randomness.
    #[error("the operating system has no random bytes")]
    Random(#[source] rand_core::Error),
    /// A secret cannot be written as JSON.
    #[error("a secret cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A call to AWS failed.
    #[error(transparent)]
    Aws(#[from] AwsFailure),
    /// The stack cannot be used.
    #[error(transparent)]
    Stack(#[from] deployed_stack::Error),
}

impl Error {
    /// Returns whether the command line is wrong, and nothing has failed.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            Self::Name(_) | Self::Settings(_) | Self::NoKey(_) | Self::Captured(_)
        )
    }
}
