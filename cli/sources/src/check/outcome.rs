//! What was tried, and what came of it.

use aws::failure::Failed;
use serde::Serialize;

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub subject: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it has to be.
    Ok {
        /// What was found.
        found: String,
    },
    /// It is wrong.
    Failed {
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// It could not be tried, and may be wrong.
    NotChecked {
        /// Why not.
        reason: String,
    },
}

impl Check {
    pub(super) fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: Outcome::Ok { found: found.into() },
        }
    }

    pub(super) fn wrong(
        subject: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            outcome: Outcome::Failed {
                reason: reason.into(),
                remedy: remedy.into(),
            },
        }
    }

    pub(super) fn failed(subject: impl Into<String>, failed: &Failed) -> Self {
        Self::of_error(subject, failed.code.as_str(), &failed.cause)
    }

    /// What has failed with an error, whose cause ends with the remedy.
    pub(super) fn of_error(subject: impl Into<String>, error: &str, cause: &str) -> Self {
        let remedy = domain::error::remedy(error);
        let reason = cause.strip_suffix(remedy).unwrap_or(cause).trim_end();
        Self::wrong(subject, format!("{error}: {reason}"), remedy)
    }

    pub(super) fn not_checked(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: Outcome::NotChecked {
                reason: reason.into(),
            },
        }
    }

    /// Returns the same, but not checked if it has failed, as of what need not succeed.
    pub(super) fn or_not_checked(self) -> Self {
        match self.outcome {
            Outcome::Failed { reason, .. } => {
                let reason = format!("this machine cannot, and need not: {reason}");
                Self::not_checked(self.subject, reason)
            }
            _ => self,
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok { .. })
    }

    /// Returns whether something is wrong.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

#[cfg(test)]
mod tests {
    use domain::error::Code;

    use super::*;

    #[test]
    fn a_failure_is_told_once_with_its_remedy() {
        let failed = Failed::with_cause(Code::HostKeyMismatch, "another key");
        let check = Check::failed("host", &failed);
        let Outcome::Failed { reason, remedy } = &check.outcome else {
            panic!("{check:?}");
        };
        assert_eq!(reason, "HostKeyMismatch: another key.");
        assert_eq!(remedy, Code::HostKeyMismatch.remedy());
        assert!(check.is_failed());
    }
}
