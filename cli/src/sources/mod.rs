//! `push-code sources`: what a stack delivers, from where and to where.

mod add;
mod list;
pub(crate) mod text;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::git::RepositoryPath;
use domain::push::SourceName;
use remote::TransferProgram;
use serde_json::json;
use shell::ask;
use shell::progress::Progress;
use sources::{Captured, Check, Store, Sweep};

use self::add::AddArgs;
use crate::Error;
use crate::pushes::StackArgs;
use crate::results::Results;

/// What to do with sources.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SourcesArgs {
    /// What to do. By default they are listed.
    #[command(subcommand)]
    command: Option<SourcesCommand>,
    /// Their stack.
    #[command(flatten)]
    stack: StackArgs,
}

/// A command for sources.
#[derive(Debug, Subcommand)]
enum SourcesCommand {
    /// List the sources, as the command does without another one.
    List {
        /// Their stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Add a source, and print what its git host has to be told: the webhook's URL and secret, and the key to log in
    /// by.
    ///
    /// The secret is printed this once.
    #[command(after_help = add::EXAMPLES)]
    Add(Box<AddArgs>),
    /// Show a source: its settings, its webhook's URL, which secrets it has, and the public part of its key.
    #[command(after_help = "Example:\n  push-code sources show gitlab --local")]
    Show(SourceArgs),
    /// Try a source from end to end: settings, secrets, host keys, logins, repositories and the destination bucket.
    ///
    /// Nothing is sent to the webhook and nothing is written. Exits with 1 if something is wrong.
    #[command(after_help = "Examples:\n  \
        push-code sources test gitlab --repository group/project\n  \
        push-code sources test gitlab --payload hook.http\n  \
        push-code sources test gitlab --payload body.json --header 'X-Gitlab-Event: Push Hook'")]
    Test {
        /// A repository whose refs are listed. By default those that the settings name without a wildcard.
        #[arg(long, value_name = "PATH")]
        repository: Option<RepositoryPath>,
        /// Say only what would come of the captured webhook in this file: an HTTP request with its head, or a body
        /// alone.
        #[arg(long, value_name = "FILE", conflicts_with = "repository")]
        payload: Option<PathBuf>,
        /// A header field of the captured webhook, such as 'X-Gitlab-Event: Push Hook'. Several may be given.
        #[arg(long, value_name = "FIELD", requires = "payload")]
        header: Vec<String>,
        /// Which source.
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Make a new secret for a source's webhook, and print it this once. The previous one is accepted until --finish.
    #[command(after_help = "Examples:\n  \
        push-code sources rotate gitlab            # then give the new secret to the git host\n  \
        push-code sources rotate gitlab --finish   # then the old one is refused, within 5 minutes")]
    Rotate {
        /// Accept only the last secret from now on.
        #[arg(long)]
        finish: bool,
        /// Which source.
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Ignore every push of a source, until it is enabled again. Its webhooks are still accepted.
    #[command(after_help = "Example:\n  push-code sources disable gitlab")]
    Disable(SourceArgs),
    /// Deliver the pushes of a disabled source again. The sweep delivers those that were ignored meanwhile.
    #[command(after_help = "Example:\n  push-code sources enable gitlab")]
    Enable(SourceArgs),
    /// Remove a source. Its secrets can be restored for seven days, and what it has delivered stays.
    #[command(after_help = "Example:\n  push-code sources remove gitlab --yes")]
    Remove {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Which source.
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Print the JSON schema of a source's settings.
    #[command(after_help = "Example:\n  push-code sources schema > source.schema.json")]
    Schema,
}

/// A source of a stack.
#[derive(Debug, Args)]
struct SourceArgs {
    /// The source.
    name: SourceName,
    /// Its stack.
    #[command(flatten)]
    stack: StackArgs,
}

impl SourceArgs {
    async fn open(&self, progress: Progress) -> Result<Store, Error> {
        Ok(Store::of(&self.stack.open(progress).await?)?)
    }
}

/// Runs the command. Returns `false` if something of a source is wrong.
///
/// # Errors
/// Returns an error if there is no such source, or if the stack cannot be read or changed.
pub async fn run(
    args: SourcesArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    match args.command {
        None => list_all(&args.stack, results, progress).await,
        Some(SourcesCommand::List { stack }) => list_all(&stack, results, progress).await,
        Some(SourcesCommand::Add(args)) => add::run(*args, results, progress).await.map(|()| true),
        Some(SourcesCommand::Show(source)) => show(&source, results, progress).await.map(|()| true),
        Some(SourcesCommand::Test {
            repository,
            payload: None,
            source,
            ..
        }) => test(&source, repository.as_ref(), results, progress).await,
        Some(SourcesCommand::Test {
            payload: Some(file),
            header,
            source,
            ..
        }) => expect(&source, &file, &header, results, progress).await,
        Some(SourcesCommand::Rotate { finish, source }) => {
            rotate(&source, finish, results, progress).await.map(|()| true)
        }
        Some(SourcesCommand::Disable(source)) => set_disabled(&source, true, results, progress)
            .await
            .map(|()| true),
        Some(SourcesCommand::Enable(source)) => set_disabled(&source, false, results, progress)
            .await
            .map(|()| true),
        Some(SourcesCommand::Remove { yes, source }) => {
            remove(&source, yes, results, progress).await.map(|()| true)
        }
        Some(SourcesCommand::Schema) => {
            let schema = sources::schema();
            results.text(format!("{schema:#}"))?;
            results.put(schema);
            Ok(true)
        }
    }
}

async fn list_all(
    stack: &StackArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let stack = stack.open(progress).await?;
    let sources = sources::list(&stack).await?;
    let sweep = Sweep::of(&stack);
    results.text(list::text(&sources, &sweep))?;
    results.put(list::document(&sources, &sweep));
    Ok(sources.iter().all(|source| source.settings.is_ok()))
}

async fn show(
    source: &SourceArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let shown = sources::show(&source.open(progress).await?, &source.name).await?;
    results.put(text::document(&source.name, &shown));
    results.text(text::shown(&source.name, &shown))
}

async fn test(
    source: &SourceArgs,
    repository: Option<&RepositoryPath>,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let stack = source.stack.open(progress).await?;
    let step = progress.step("Trying the source");
    let checks = sources::check(&stack, &source.name, repository, &program()?).await?;
    drop(step);
    results.put(json!({ "checks": checks }));
    results.text(text::checks(&checks))?;
    Ok(!checks.iter().any(Check::is_failed))
}

async fn expect(
    source: &SourceArgs,
    file: &Path,
    headers: &[String],
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
    let mut captured = Captured::read(&bytes)?;
    for header in headers {
        captured = captured.with_header(header)?;
    }
    let store = source.open(progress).await?;
    let (proof, expected) = sources::expect(&store, &source.name, &captured).await?;
    results.put(json!({ "webhook": proof, "expected": expected }));
    results.text(text::expected(&proof, &expected))?;
    Ok(text::is_good(&proof, &expected))
}

async fn rotate(
    source: &SourceArgs,
    finish: bool,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let store = source.open(progress).await?;
    let name = &source.name;
    if finish {
        let others = sources::finish_rotation(&store, name).await?;
        results.put(json!({ "source": name, "no_longer_accepted": others }));
        return results.text(format!(
            "The webhook of {name} accepts only its last secret now, within 5 minutes. No longer accepted: {others}"
        ));
    }
    let rotated = sources::rotate(&store, name).await?;
    results.put(text::rotated_document(name, &rotated));
    results.text(text::rotated(name, &rotated))
}

async fn set_disabled(
    source: &SourceArgs,
    disabled: bool,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let store = source.open(progress).await?;
    let name = &source.name;
    let changed = sources::set_disabled(&store, name, disabled).await?;
    results.put(json!({ "source": name, "disabled": disabled, "changed": changed }));
    let state = if disabled { "disabled" } else { "enabled" };
    let before = if changed { "" } else { " already" };
    results.text(format!("The source {name} is {state}{before}."))?;
    if changed && store.is_of_the_template(name) {
        results.text("A deployment that changes its parameters writes its settings anew, and enables it.")?;
    }
    Ok(())
}

async fn remove(
    source: &SourceArgs,
    yes: bool,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let store = source.open(progress).await?;
    let name = &source.name;
    if !yes {
        let question = format!(
            "Remove the source {name}? Its webhooks are refused from then on: delete them in the git host first."
        );
        agree(&question, "--yes")?;
    }
    let removed = sources::remove(&store, name).await?;
    results.put(json!({ "source": name, "settings": removed.settings, "secrets": removed.secrets }));
    results.text(format!(
        "The source {name} is removed. Its secrets can be restored for {} days.",
        sources::RECOVERY_DAYS
    ))
}

/// Asks a person.
///
/// # Errors
/// Returns [`Error::NotConfirmed`] if the person does not agree, and [`Error::Usage`] if there is nobody to ask: then
/// the option `instead` is needed.
pub(crate) fn agree(question: &str, instead: &str) -> Result<(), Error> {
    match ask::confirm(question).map_err(Error::io("ask on", Path::new("the terminal")))? {
        Some(true) => Ok(()),
        Some(false) => Err(Error::NotConfirmed),
        None => Err(Error::Usage(format!(
            "there is no terminal to ask on: give {instead} instead"
        ))),
    }
}

/// This program, which speaks to git hosts in a process of its own.
pub(crate) fn program() -> Result<TransferProgram, Error> {
    TransferProgram::this().map_err(Error::io("find", Path::new("this program")))
}
