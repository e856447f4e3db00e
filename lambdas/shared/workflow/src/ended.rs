//! How executions end that do not record their end themselves.

use domain::contract::Failure;

/// What a push has failed in whose execution has ended so, where a failure names the stage.
const EXECUTION: &str = "Execution";

/// How an execution has ended that did not record its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The error's name.
    pub error: String,
    /// What happened.
    pub cause: String,
}

impl Ended {
    /// Returns how an execution of this status has ended, by the error and the cause that Step Functions has of it.
    /// Returns `None` if it has not ended, or without a failure.
    #[must_use]
    pub fn of(status: &str, error: Option<&str>, cause: Option<&str>) -> Option<Self> {
        match status {
            "ABORTED" => Some(Self::aborted("The execution was stopped.", cause)),
            "TIMED_OUT" => {
                let what = "The execution reached its time limit.";
                Some(Self::new("ExecutionTimedOut", what, cause))
            }
            "FAILED" => {
                let error = error.unwrap_or("ExecutionFailed");
                Some(Self::new(error, "The execution failed.", cause))
            }
            _ => None,
        }
    }

    /// Returns the end of an execution of which nothing more is known than `what`, and a cause if there is one.
    #[must_use]
    pub fn aborted(what: &str, cause: Option<&str>) -> Self {
        Self::new("ExecutionAborted", what, cause)
    }

    fn new(error: &str, what: &str, cause: Option<&str>) -> Self {
        Self {
            error: error.to_owned(),
            cause: match cause {
                Some(cause) if !cause.is_empty() => format!("{what} {cause}"),
                _ => what.to_owned(),
            },
        }
    }

    /// Returns the failure of the execution's push.
    #[must_use]
    pub fn failure(self) -> Failure {
        Failure {
            stage: EXECUTION.to_owned(),
            error: self.error,
            cause: self.cause,
        }
    }
}
