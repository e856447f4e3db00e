//! What can fail with a deployed stack, each with a remedy.

use audit::AuditError;
use aws::failure::chain;

/// An error of a deployed stack.
#[derive(Debug, strum::AsRefStr, thiserror::Error)]
pub enum Error {
    /// AWS does not know who asks.
    #[error(
        "{0}: log in (`aws sso login`), name a profile with AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Login(String),
    /// No region is set.
    #[error("no AWS region is set: set AWS_REGION, or name a profile that has one with AWS_PROFILE")]
    NoRegion,
    /// There is no such stack.
    #[error(
        "there is no stack {stack} in {region}: name another one with --stack, or another region with AWS_REGION (`aws cloudformation describe-stacks` shows those that there are)"
    )]
    NoStack {
        /// The stack.
        stack: String,
        /// The region.
        region: String,
    },
    /// There is no such deployment.
    #[error(
        "there is no deployment {id} in {stack}: `push-code deployments list` shows those that there are"
    )]
    NoDeployment {
        /// The id.
        id: String,
        /// The delivery stack.
        stack: String,
    },
    /// The deployment does not wait for approval.
    #[error(
        "the deployment {id} does not wait for approval: it was decided about, has expired, or never had to be approved (`push-code deployments show {id}` says which)"
    )]
    NotWaiting {
        /// The id.
        id: String,
    },
    /// The deployment has released nothing.
    #[error(
        "the deployment {id} has released nothing: name one that `push-code deployments list` shows as Released"
    )]
    NotReleased {
        /// The id.
        id: String,
    },
    /// The stack lacks an output that this command reads.
    #[error(
        "the stack {stack} has no output {name}: template.yaml is of another version than this command; build both from one checkout"
    )]
    OutputMissing {
        /// The stack.
        stack: String,
        /// The output.
        name: String,
    },
    /// An AWS call failed.
    #[error("cannot {action}: {message}")]
    Aws {
        /// What was tried.
        action: String,
        /// The whole chain of causes.
        message: String,
    },
    /// An HTTP call failed.
    #[error("cannot {action}")]
    Http {
        /// What was tried.
        action: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The webhook responded with an error.
    #[error("the webhook {url} responded with {status}: {message}")]
    WebhookRefused {
        /// The webhook.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The message of the response.
        message: String,
    },
    /// The push that is to be replayed is not over.
    #[error(
        "the push {push_id} is still running: wait for the execution {execution}, or stop it (`aws stepfunctions stop-execution --execution-arn ...`)"
    )]
    StillRunning {
        /// The push.
        push_id: String,
        /// The ARN of the execution in charge.
        execution: String,
    },
    /// The push cannot be rolled back to.
    #[error(
        "the push {push_id} cannot be rolled back to, because {reason}: `push-code pushes list` shows those that were delivered"
    )]
    NoVersion {
        /// The push.
        push_id: String,
        /// What it lacks.
        reason: String,
    },
    /// The stack is older than the index that was asked for.
    #[error(
        "the table of the stack {stack} lacks an index, because an earlier version of Push Code has deployed it: deploy this one (`push-code deploy`)"
    )]
    IndexMissing {
        /// The stack.
        stack: String,
    },
    /// The stack is older than the stream of its table.
    #[error(
        "the table of the stack {stack} has no stream to watch, because an earlier version of Push Code has deployed it: deploy this one (`push-code deploy`)"
    )]
    StreamMissing {
        /// The stack.
        stack: String,
    },
    /// The stream was turned off.
    #[error(
        "the stream of the table of the stack {stack} was turned off, so there is nothing more to watch: deploy the stack again (`push-code deploy`)"
    )]
    StreamOver {
        /// The stack.
        stack: String,
    },
    /// The trail cannot be read.
    #[error("the audit trail of the push {push_id} cannot be read: {message}")]
    Trail {
        /// The push.
        push_id: String,
        /// What is wrong.
        message: String,
    },
}

/// Returns the remedy for an error, or nothing if the cause contains it already, as that of a failed stage does.
#[must_use]
pub fn remedy(error: &str, cause: &str) -> String {
    let remedy = domain::error::remedy(error);
    if cause.contains(remedy) {
        String::new()
    } else {
        format!(" {remedy}")
    }
}

impl Error {
    /// Wraps an HTTP error with what was tried.
    pub fn http(action: impl Into<String>) -> impl FnOnce(reqwest::Error) -> Self {
        move |source| Self::Http {
            action: action.into(),
            source,
        }
    }

    /// Wraps an error of the AWS SDK, with all its causes.
    pub fn aws<E: std::error::Error>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self::Aws {
            action: action.into(),
            message: aws_sdk_sfn::error::DisplayErrorContext(error).to_string(),
        }
    }

    /// Wraps an error of the audit trail, with all its causes in one line.
    pub fn audit(action: impl Into<String>) -> impl FnOnce(AuditError) -> Self {
        move |error| Self::Aws {
            action: action.into(),
            message: chain(&error),
        }
    }

    /// Returns whether the command line is wrong, and nothing has failed.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(self, Self::NoRegion)
    }
}
