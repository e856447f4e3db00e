//! Why the status of a commit cannot be set.

use audit::AuditError;
use aws::secrets::SecretError;
use domain::Invalid;
use domain::error::{Code, Coded};
use http::StatusCode;
use workflow::ExecutionOver;

/// Why the status of a commit cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The git secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The execution is over.
    #[error(transparent)]
    ExecutionOver(#[from] ExecutionOver),
    /// The URL of the API cannot be used.
    #[error("the API cannot be called")]
    Url(#[from] Invalid),
    /// The request cannot be written.
    #[error("the request cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The git secret has no token for the API.
    #[error("the git secret has no token for {host} in api_tokens")]
    TokenMissing {
        /// The API.
        host: String,
    },
    /// The token cannot be sent.
    #[error("the token for {host} in api_tokens of the git secret has characters that cannot be sent")]
    TokenInvalid {
        /// The API.
        host: String,
    },
    /// The host may accept the same request later.
    #[error("{url} has not set the status of the commit: {code}")]
    Busy {
        /// The request's URL.
        url: String,
        /// The response's code.
        code: StatusCode,
    },
    /// The host refuses the request.
    #[error("{url} refuses to set the status of the commit: {code} {said}")]
    Refused {
        /// The request's URL.
        url: String,
        /// The response's code.
        code: StatusCode,
        /// What the host says of it.
        said: String,
    },
    /// The host refers to another URL, to which the token is not sent.
    #[error("{url} redirects to {to}, which is not followed")]
    Redirected {
        /// The request's URL.
        url: String,
        /// Where it leads.
        to: String,
    },
    /// There is no response.
    #[error(transparent)]
    Egress(#[from] egress::Error),
}

impl Coded for Error {
    fn code(&self) -> Code {
        use egress::Error as Egress;
        match self {
            Self::Audit(error) => error.code(),
            Self::Secret(error) => error.code(),
            Self::ExecutionOver(error) => error.code(),
            Self::Url(_) | Self::Json(_) => Code::InputInvalid,
            Self::TokenMissing { .. } => Code::CredentialsMissing,
            Self::TokenInvalid { .. } => Code::SecretInvalid,
            Self::Busy { .. } => Code::CommitStatusUnavailable,
            Self::Refused { .. } => Code::CommitStatusRefused,
            Self::Redirected { .. } => Code::GitHostRedirected,
            Self::Egress(error) => match error {
                Egress::AddressNotAllowed { .. } => Code::SourceInvalid,
                Egress::Certificate { .. } => Code::CertificateInvalid,
                Egress::Unreachable { .. }
                | Egress::Silent { .. }
                | Egress::Invalid { .. }
                | Egress::Late
                | Egress::Stopped => Code::CommitStatusUnavailable,
            },
        }
    }
}
