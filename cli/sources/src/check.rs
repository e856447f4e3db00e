//! Tries a source from end to end, and says what is wrong and what to do. Nothing is sent to the webhook, and nothing
//! is written.

mod arrivals;
mod destination;
mod from_fetch;
mod git_hosts;
mod outcome;
mod pipelines;
mod rights;
mod secrets;
mod stack;

use std::sync::Arc;

use aws::failure::chain;
use credentials::Issuer;
use deployed_stack::Stack;
use domain::git::RepositoryPath;
use domain::push::SourceName;
use remote::TransferProgram;

use self::from_fetch::FetchFunction;
use crate::{Error, Store, list};

pub use outcome::{Check, Outcome};

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
/// wildcard, or of the last push.
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
    let pushes = arrivals::last_pushes(stack, name).await;
    checks.push(arrivals::check(&pushes));
    if let Ok(settings) = &settings {
        if let Some(credentials) = &credentials {
            let function = FetchFunction::of(stack, name);
            let repositories =
                git_hosts::repositories(settings, repository, pushes.as_deref().unwrap_or_default());
            checks.extend(git_hosts::check(settings, credentials, &repositories, program, &function).await);
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
