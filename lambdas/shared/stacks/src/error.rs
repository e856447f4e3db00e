//! Why a stack cannot be looked at or changed.

use aws::AwsFailure;
use domain::error::{Code, Coded};

/// The codes with which AWS says that the caller may not do what it has asked for.
const DENIED: [&str; 3] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];

/// Why a stack cannot be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// CloudFormation or Lambda failed, and a retry can help.
    #[error("{subject} cannot be reached")]
    Unavailable {
        /// The stack, or the function.
        subject: String,
        /// What happened.
        source: AwsFailure,
    },
    /// The caller may not do this.
    #[error("the role of this function lacks a right on {subject}")]
    Denied {
        /// The stack, or the function.
        subject: String,
        /// What happened.
        source: AwsFailure,
    },
    /// CloudFormation refuses the request.
    #[error("CloudFormation refuses a request about {subject}")]
    Refused {
        /// The stack, or the function.
        subject: String,
        /// What happened.
        source: AwsFailure,
    },
    /// The stack is being changed.
    #[error("the stack {stack} is being changed: {reason}")]
    Busy {
        /// The stack.
        stack: String,
        /// Its status, or what CloudFormation says.
        reason: String,
    },
    /// The stack cannot be changed as long as nobody has helped it.
    #[error("the stack {stack} is stuck in {status}: {reason}")]
    Stuck {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// Why it is in it.
        reason: String,
    },
    /// A response is not what the service's documentation says.
    #[error("{subject}: {reason}")]
    Unexpected {
        /// The stack, or the function.
        subject: String,
        /// What is wrong.
        reason: String,
    },
}

impl StackError {
    /// Creates the error of a request about `subject` that failed.
    #[must_use]
    pub fn new(subject: &str, source: AwsFailure) -> Self {
        let subject = subject.to_owned();
        let message = source.to_string();
        if source.transient {
            Self::Unavailable { subject, source }
        } else if DENIED.iter().any(|code| source.is(code)) {
            Self::Denied { subject, source }
        } else if message.contains("_IN_PROGRESS state")
            || message.contains("already in progress")
            || source.is("OperationInProgressException")
        {
            Self::Busy {
                stack: subject,
                reason: message,
            }
        } else {
            Self::Refused { subject, source }
        }
    }
}

impl Coded for StackError {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } | Self::Unexpected { .. } => Code::StackUnavailable,
            Self::Denied { .. } => Code::RightMissing,
            Self::Refused { .. } => Code::ChangeRefused,
            Self::Busy { .. } => Code::StackBusy,
            Self::Stuck { .. } => Code::StackStuck,
        }
    }
}
