//! `push-code local`: all of it on this machine, without an AWS account.

mod deepest;
mod deploy;
mod execution;
mod fail;
mod invoke;
mod options;
mod push;
mod session;
mod stack;

use std::collections::BTreeMap;
use std::io::Write;

use clap::Subcommand;
use local_aws::application::PUSH_CODE;
use local_aws::aws::{self, LocalAws, Record};
use local_aws::checkout::Checkout;
use local_aws::ministack::Ministack;
use local_aws::{ACCESS_KEY, REGION};
use serde_json::{Value, json};
use shell::progress::Progress;

use self::deepest::DeepestArgs;
use self::deploy::DeployArgs;
use self::invoke::InvokeArgs;
use self::push::PushArgs;
use self::stack::{AwsArgs, up_options};
use crate::Error;
use crate::results::Results;

const NOT_RUNNING: &str = "No local AWS is running: `push-code local up` starts it.";

/// What to do with the local AWS.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Deliver a commit: start what is not running, send the webhook, follow the push, and save its zip.
    ///
    /// The first run installs pinned tools into a cache folder and builds the functions, which takes 10 to 20 minutes.
    /// Later runs do again only what has changed.
    #[command(after_help = "Examples:\n  \
        push-code local push\n  \
        push-code local push ../project --ref v1.0 --option submodules=recursive\n  \
        push-code local push ../project --fail commit")]
    Push(PushArgs),
    /// Run a function in a container, as Lambda runs it, with an event of a real push, and print its answer. Needs
    /// Docker.
    ///
    /// A stage runs after those before it, which run in containers too. accept has the local AWS deliver the push.
    Invoke(InvokeArgs),
    /// Ask the example application for the deepest thread of Hacker News in the past hours: start what is not running,
    /// deploy the example, and print its answer.
    Deepest(DeepestArgs),
    /// Take the example from a push to production: tests, build, plan and canary in dev, then a merge, and prod takes
    /// the same bytes. Both are accounts of the local AWS.
    ///
    /// The first run builds the example as it is deployed, which takes some minutes.
    Deploy(DeployArgs),
    /// Start the local AWS and deploy the stack into it, as it is in this checkout now.
    Up(AwsArgs),
    /// End the local AWS. Everything in it is deleted.
    Down,
    /// Print whether the local AWS runs, where, and what is deployed. Exits with 1 if it does not run, does not answer,
    /// or has no stack.
    Status,
    /// Print what a shell needs to talk to the local AWS, as in `eval "$(push-code local env)"`.
    ///
    /// The key is that of its administrator, and changes whenever the local AWS is started.
    Env,
}

/// Runs the command. Returns `false` if `status` or `env` finds no local AWS that works.
///
/// # Errors
/// Returns an error if the command fails.
pub async fn run(
    command: LocalCommand,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    match command {
        LocalCommand::Push(args) => push::run(args, results, progress).await.map(|()| true),
        LocalCommand::Invoke(args) => invoke::run(args, results, progress).await.map(|()| true),
        LocalCommand::Deepest(args) => deepest::run(args, results, progress).await.map(|()| true),
        // Boxed, as the future holds those of two accounts.
        LocalCommand::Deploy(args) => Box::pin(deploy::run(args, results, progress)).await,
        LocalCommand::Up(args) => {
            let (settings, options) = up_options(&Checkout::find()?, &args, None)?;
            let local = LocalAws::up(&settings, &options, progress).await?;
            results.put(document(&local.record));
            results.text(describe(&local.record))?;
            Ok(true)
        }
        LocalCommand::Down => {
            let was_running = aws::down(&Checkout::find()?)?;
            results.put(json!({ "was_running": was_running }));
            results.text(if was_running {
                "The local AWS has ended."
            } else {
                "No local AWS was running."
            })?;
            Ok(true)
        }
        LocalCommand::Env => match aws::running(&Checkout::find()?)? {
            Some(record) => {
                let variables = environment(&record.ministack);
                results.put(BTreeMap::from(variables.clone()));
                // A shell may have a token or profile of another account. AWS tools would send the token, or prefer the
                // profile.
                let unset = "unset AWS_SESSION_TOKEN AWS_PROFILE".to_owned();
                // None of the values has a character that is special to a shell.
                let export = |(name, value)| format!("export {name}={value}");
                let lines: Vec<_> = [unset]
                    .into_iter()
                    .chain(variables.into_iter().map(export))
                    .collect();
                results.text(lines.join("\n"))?;
                Ok(true)
            }
            None => {
                results.put(json!({ "running": false }));
                // This goes to stderr, because a shell runs what is on stdout.
                progress.line(NOT_RUNNING);
                Ok(false)
            }
        },
        LocalCommand::Status => match aws::running(&Checkout::find()?)? {
            Some(record) => {
                let healthy = record.ministack.is_healthy().await;
                results.put(document(&record));
                results.put(json!({ "healthy": healthy }));
                results.text(describe(&record))?;
                if !healthy {
                    results.text("\nIt does not answer: end it with `push-code local down`.")?;
                }
                Ok(healthy && record.stacks.contains_key(PUSH_CODE.name))
            }
            None => {
                results.put(json!({ "running": false }));
                results.text(NOT_RUNNING)?;
                Ok(false)
            }
        },
    }
}

/// Returns what runs, where, what is deployed, and how to talk to it, as text.
fn describe(record: &Record) -> String {
    let aws = &record.ministack;
    let mut text = format!(
        "The local AWS runs at {} (process {}, log {}).\n",
        aws.endpoint(),
        aws.pid,
        aws.log.display(),
    );
    for (stack, deployed) in &record.stacks {
        text.push_str(&format!("\nThe stack {stack}:\n"));
        for (name, value) in &deployed.outputs {
            text.push_str(&format!("  {name:<20} {value}\n"));
        }
    }
    if !record.stacks.contains_key(PUSH_CODE.name) {
        text.push_str("\nThe stack push-code is not deployed: `push-code local up` deploys it.\n");
    }
    text.push_str("\nTo talk to it with the AWS CLI: eval \"$(push-code local env)\"");
    text
}

/// Returns the same as JSON.
fn document(record: &Record) -> Value {
    let stacks: Vec<_> = record
        .stacks
        .iter()
        .map(|(name, deployed)| json!({ "name": name, "outputs": deployed.outputs }))
        .collect();
    json!({
        "running": true,
        "endpoint": record.ministack.endpoint(),
        "process": record.ministack.pid,
        "log": record.ministack.log,
        "stacks": stacks,
    })
}

/// Returns the environment variables with which programs talk to the local AWS.
fn environment(aws: &Ministack) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", aws.endpoint()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", aws.secret_key.clone()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
    ]
}
