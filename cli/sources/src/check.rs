//! Tries a source from end to end, and says what is wrong and what to do. Nothing is sent to the webhook, and nothing
//! is written.

mod arrivals;
mod destination;
mod from_fetch;
mod git_hosts;
mod pipelines;
mod rights;
mod secrets;
mod stack;

use std::sync::Arc;

use aws::failure::{Failed, chain};
use credentials::Issuer;
use deployed_stack::Stack;
use domain::git::RepositoryPath;
use domain::push::SourceName;
use remote::TransferProgram;
use serde::Serialize;

use self::from_fetch::FetchFunction;
use crate::{Error, Store, list};

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
    fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: Outcome::Ok { found: found.into() },
        }
    }

    fn wrong(subject: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: Outcome::Failed {
                reason: reason.into(),
                remedy: remedy.into(),
            },
        }
    }

    fn failed(subject: impl Into<String>, failed: &Failed) -> Self {
        Self::of_error(subject, failed.code.as_str(), &failed.cause)
    }

    /// What has failed with an error, whose cause ends with the remedy.
    fn of_error(subject: impl Into<String>, error: &str, cause: &str) -> Self {
        let remedy = domain::error::remedy(error);
        let reason = cause.strip_suffix(remedy).unwrap_or(cause).trim_end();
        Self::wrong(subject, format!("{error}: {reason}"), remedy)
    }

    fn not_checked(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: Outcome::NotChecked {
                reason: reason.into(),
            },
        }
    }

    /// Returns the same, but not checked if it has failed, as of what need not succeed.
    fn or_not_checked(self) -> Self {
        match self.outcome {
            Outcome::Failed { reason, .. } => {
                let reason = format!("this machine cannot, and need not: {reason}");
                Self::not_checked(self.subject, reason)
            }
            _ => self,
        }
    }

    fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok { .. })
    }

    /// Returns whether something is wrong.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

/// Tries all of a stack: what its sources share, then each of them. What cannot be read is not checked.
pub async fn check_stack(stack: &Stack, program: &TransferProgram) -> Vec<Check> {
    let mut checks = stack::check(stack).await;
    let sources = match list::list(stack).await {
        Ok(sources) => sources,
        Err(error) => {
            checks.push(Check::not_checked("sources", chain(&error)));
            return checks;
        }
    };
    if sources.is_empty() {
        checks.push(Check::wrong(
            "sources",
            "there is none, so every webhook is refused",
            "Add one: push-code sources add --help shows how.",
        ));
    }
    for source in sources {
        let of_source = check_named(stack, &source.name, program).await;
        checks.extend(of_source.into_iter().map(|check| Check {
            subject: format!("{}: {}", source.name, check.subject),
            ..check
        }));
    }
    checks
}

async fn check_named(stack: &Stack, name: &str, program: &TransferProgram) -> Vec<Check> {
    match name.parse::<SourceName>() {
        Ok(name) => match check(stack, &name, None, program).await {
            Ok(checks) => checks,
            Err(error) => vec![Check::not_checked("all of it", chain(&error))],
        },
        Err(invalid) => vec![Check::wrong(
            "name",
            invalid.to_string(),
            "Delete its SSM parameter, and add the source under another name.",
        )],
    }
}

/// Tries a source. The refs of `repository` are listed, or those of the repositories that the settings name without a
/// wildcard.
///
/// # Errors
/// Returns [`Error::Missing`] if there is no such source, and an error if it cannot be read.
pub async fn check(
    stack: &Stack,
    name: &SourceName,
    repository: Option<&RepositoryPath>,
    program: &TransferProgram,
) -> Result<Vec<Check>, Error> {
    let store = Store::of(stack)?;
    let text = store.settings(name).await?;
    let text = text.ok_or_else(|| Error::Missing(name.to_string()))?;
    let settings = list::read_settings(&text);
    let mut checks = vec![settings_check(&settings)];
    let provider = settings.as_ref().ok().map(|settings| settings.provider);
    checks.push(secrets::webhook(&store, name, provider).await?);
    // In AWS the function's role logs in at CodeCommit; here it is the caller.
    let issuer = Arc::new(Issuer::new(stack.config().credentials_provider()));
    let (credentials, check) = secrets::git(&store, name, &issuer).await?;
    checks.push(check);
    checks.push(arrivals::check(stack, name).await);
    if let Ok(settings) = &settings {
        if let Some(credentials) = &credentials {
            let function = FetchFunction::of(stack, name);
            checks.extend(git_hosts::check(settings, credentials, repository, program, &function).await);
        }
        let buckets = settings.buckets();
        for bucket in &buckets {
            checks.extend(destination::check(stack, bucket).await);
        }
        checks.extend(rights::check(stack, &buckets).await);
        checks.extend(pipelines::check(stack.config(), &buckets).await);
    }
    Ok(checks)
}

fn settings_check(settings: &Result<domain::source::SourceSettings, String>) -> Check {
    const SUBJECT: &str = "settings";
    match settings {
        Err(reason) => Check::wrong(
            SUBJECT,
            reason,
            "Correct the parameter: push-code sources schema prints what settings have.",
        ),
        Ok(settings) if settings.disabled => Check::wrong(
            SUBJECT,
            "the source is disabled, and ignores every push",
            "Enable it: push-code sources enable NAME.",
        ),
        Ok(settings) => Check::ok(
            SUBJECT,
            format!(
                "the functions can read them; the kind of git host is {}",
                settings.provider.name()
            ),
        ),
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
