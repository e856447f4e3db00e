//! `push-code local`: all of it on this machine, without an AWS account.

pub mod aws;
pub mod checkout;
pub mod ministack;
pub mod push;
pub mod sam;
pub mod tools;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use clap::Subcommand;

use self::aws::{LocalAws, Options, Record};
use self::checkout::Checkout;
use self::ministack::Settings;
use self::push::PushArgs;
use crate::Error;
use crate::progress::Progress;

/// The region that the local AWS plays.
pub const REGION: &str = "us-east-1";
/// The access key id that the local AWS takes for its administrator's.
pub const ACCESS_KEY: &str = "test";
/// Its secret.
pub const SECRET_KEY: &str = "test";

/// The port of the local AWS where no other is asked for.
const PORT: u16 = 4566;

/// What to do with the local AWS.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Deliver a commit: start what is not running, send the webhook, follow the push, and save its zip.
    ///
    /// The first run installs pinned tools into a cache folder and builds the Lambdas, which takes some minutes. Later runs
    /// do again only what has changed.
    Push(PushArgs),
    /// Start the local AWS and deploy the stack into it, as it is in this checkout now.
    Up(AwsArgs),
    /// End the local AWS. Everything in it is gone.
    Down,
    /// Say what runs and where. Exits with 1 where nothing runs.
    Status,
}

/// How the local AWS is started.
#[derive(Debug, Clone, clap::Args)]
pub struct AwsArgs {
    /// The port of the local AWS on 127.0.0.1 [default: that of the running one, else 4566].
    #[arg(long)]
    port: Option<u16>,
    /// Enforce each function's IAM role, as AWS does.
    #[arg(long)]
    auth: bool,
}

/// Runs the command. What the user asked for goes to `out`, progress to stderr. `false` where the answer is no.
///
/// # Errors
/// [`Error`].
pub async fn run(command: LocalCommand, out: &mut impl Write, progress: Progress) -> Result<bool, Error> {
    let say = |out: &mut dyn Write, text: &str| {
        writeln!(out, "{text}").map_err(Error::io("write to", Path::new("standard output")))
    };
    match command {
        LocalCommand::Push(args) => push::run(args, out, progress).await.map(|()| true),
        LocalCommand::Up(args) => {
            let options = up_options(&Checkout::find()?, &args, None)?;
            let local = LocalAws::up(&options, progress).await?;
            say(out, &describe(&local.record))?;
            Ok(true)
        }
        LocalCommand::Down => {
            let was_running = aws::down(&Checkout::find()?)?;
            say(
                out,
                if was_running {
                    "The local AWS has ended."
                } else {
                    "No local AWS was running."
                },
            )?;
            Ok(true)
        }
        LocalCommand::Status => match aws::running(&Checkout::find()?)? {
            Some(record) => {
                let healthy = record.ministack.is_healthy().await;
                say(out, &describe(&record))?;
                if !healthy {
                    say(out, "\nIt does not answer: end it with `push-code local down`.")?;
                }
                Ok(healthy && record.deployed.is_some())
            }
            None => {
                say(out, "No local AWS is running: `push-code local up` starts it.")?;
                Ok(false)
            }
        },
    }
}

/// What the checkout's local AWS is to be: as it is, where it runs and nothing else is asked for.
fn up_options(checkout: &Checkout, args: &AwsArgs, git_port: Option<u16>) -> Result<Options, Error> {
    let running = aws::running(checkout)?;
    let port = args
        .port
        .or(running.as_ref().map(|record| record.ministack.port))
        .unwrap_or(PORT);
    let auth = args.auth || running.as_ref().is_some_and(|record| record.ministack.auth);
    let git_host = format!("http://127.0.0.1:{}", git_port.unwrap_or(port + 1));
    let deployed = running.and_then(|record| record.deployed);
    let mut hosts = deployed
        .and_then(|deployed| deployed.parameters.get("GitHosts").cloned())
        .unwrap_or_default();
    if !hosts.split(',').any(|host| host == git_host) {
        hosts = [git_host, hosts]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(",");
    }
    Ok(Options {
        settings: Settings {
            port,
            auth,
            wait_scale: None,
        },
        parameters: BTreeMap::from(
            [
                ("SourceName", "gitlab"),
                ("AllowedRepositories", "**"),
                ("WantedRefs", "refs/**"),
                ("GitHosts", &hosts),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        ..Options::default()
    })
}

/// What runs, where, what is deployed, and how to talk to it.
fn describe(record: &Record) -> String {
    let aws = &record.ministack;
    let mut text = format!(
        "The local AWS runs at {} (process {}, log {}){}.\n",
        aws.endpoint(),
        aws.pid,
        aws.log.display(),
        if aws.auth { ", IAM roles are enforced" } else { "" }
    );
    match &record.deployed {
        Some(deployed) => {
            text.push_str(&format!("\nThe stack {}:\n", deployed.stack));
            for (name, value) in &deployed.outputs {
                text.push_str(&format!("  {name:<20} {value}\n"));
            }
        }
        None => text.push_str("\nNo stack is deployed: `push-code local up` deploys it.\n"),
    }
    text.push_str(&format!(
        "\nTo talk to it with the AWS CLI:\n  \
         export AWS_ENDPOINT_URL={}\n  \
         export AWS_ACCESS_KEY_ID={ACCESS_KEY}\n  \
         export AWS_SECRET_ACCESS_KEY={SECRET_KEY}\n  \
         export AWS_DEFAULT_REGION={REGION}",
        aws.endpoint()
    ));
    text
}
