//! `push-code local invoke`: the functions in containers, as `sam local invoke` runs them, for one push.

use std::io::Write;

use chrono::Utc;
use clap::ValueEnum;
use deployed_stack::webhook_client::{Accepted, Webhook};
use domain::contract::{
    Archive, Deliver, Envelope, FetchInput, FetchedCommit, FetchedInput, RecordInput, ReportInput, Stage,
    UploadInput, ValidateInput,
};
use domain::execution::Execution;
use domain::push::Push;
use domain::source::GitHost;
use local_aws::aws::LocalAws;
use local_aws::build::Profile;
use local_aws::checkout::Checkout;
use local_aws::containers::{Containers, Forward, gateway};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shell::progress::Progress;
use webhook::gitlab::{Delivery, PushHook};

use super::execution::{deliver, hook};
use super::session::{push_lock, session};
use super::stack::{AwsArgs, SOURCE, allow_host_of, up_options};
use crate::Error;
use crate::origin::{self, LoginArgs, Origin, Served};
use crate::push::{push, settings};
use crate::repository::Tip;
use crate::results::Results;

/// The key of the zips, which is the template's default.
const KEY_TEMPLATE: &str = "{source}/{repository}/{ref}.zip";

/// A function, by the name of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Function {
    Authorize,
    Accept,
    Validate,
    Fetch,
    Package,
    Upload,
    Record,
    Report,
    Sweep,
    Checkpoint,
}

/// Which function to run, for which push.
#[derive(Debug, clap::Args)]
pub struct InvokeArgs {
    /// The function. A stage runs after those before it, each in a container; accept starts an execution of the local
    /// AWS.
    #[arg(value_enum, ignore_case = true)]
    function: Function,
    /// A folder with a git repository, or a URL (https://, http://, ssh:// or git@host:path).
    #[arg(default_value = ".")]
    repository: String,
    /// The branch or tag [default: the current or default branch].
    #[arg(long = "ref", value_name = "REF")]
    ref_name: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
    /// This machine's address as containers know it [default: the gateway of Docker's network `bridge`].
    #[arg(long, value_name = "ADDRESS")]
    container_host: Option<std::net::IpAddr>,
    /// The port of the local git host [default: the local AWS's port + 1].
    #[arg(long, value_name = "PORT")]
    git_port: Option<u16>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Further arguments of `sam local invoke`, such as --skip-pull-image or --debug.
    #[arg(last = true, value_name = "SAM ARGUMENTS")]
    sam: Vec<String>,
}

/// Runs the command.
pub(super) async fn run(
    args: InvokeArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let (origin, tip) =
        origin::resolve(&args.repository, args.ref_name.as_deref(), &args.login, progress).await?;
    // Asked for before the functions are built, which takes many minutes.
    let host = match args.container_host {
        Some(host) => host,
        None => gateway().await?,
    };
    let checkout = Checkout::find()?;
    let (aws_settings, mut options) = up_options(&checkout, &args.aws, args.git_port)?;
    allow_host_of(&origin, &mut options);
    // Lambda's image does not have this machine's C library.
    options.profile = Profile::Release;
    let mut local = LocalAws::up(&aws_settings, &options, progress).await?;
    let git_port = args.git_port.unwrap_or(local.record.ministack.port + 1);
    let (ministack, stack) = (local.record.ministack.clone(), local.stack()?);
    let invoke = async {
        let containers = Containers::reach(&local, host, args.sam, progress).await?;
        match args.function {
            Function::Authorize => {
                let hook = hook(&origin, &tip, None, Some(format!("http://127.0.0.1:{git_port}"))).await?;
                let event = stack.webhook().await?.authorizer_event(&hook, &Delivery::fresh());
                Ok(containers.invoke("Authorize", &event).await?)
            }
            Function::Accept => {
                let send =
                    async |webhook: &Webhook, hook: &PushHook| accept(&containers, webhook, hook).await;
                let (_, delivered) =
                    deliver(&mut local, &origin, &tip, git_port, results, progress, send).await?;
                Ok(json!(delivered))
            }
            // The function lists the refs of the local source, and reports what it could not reach.
            Function::Sweep => Ok(containers
                .invoke("Sweep", &json!({ "sources": [SOURCE] }))
                .await?),
            Function::Checkpoint => Ok(containers.invoke("Checkpoint", &json!({})).await?),
            _ => {
                let run = Run::new(&mut local, &containers, &origin, &tip, git_port).await?;
                run.through(args.function).await
            }
        }
    };
    let answer = session(&push_lock(&checkout)?, &ministack, &stack, progress, invoke).await?;
    results.text(format!("{answer:#}"))?;
    results.put(json!({ "answer": answer }));
    Ok(())
}

/// Invokes `Accept` with a webhook.
async fn accept(containers: &Containers, webhook: &Webhook, hook: &PushHook) -> Result<Accepted, Error> {
    let response = containers
        .invoke("Accept", &webhook.event(hook, &Delivery::fresh()))
        .await?;
    let body = response["body"].as_str().unwrap_or_default();
    let status = response["statusCode"].as_u64().unwrap_or_default() as u16;
    Ok(webhook.accepted(status, body)?)
}

/// One push, whose stages run in containers.
struct Run<'a> {
    containers: &'a Containers,
    push: Push,
    execution: Execution,
    settings: String,
    /// What the push is fetched from.
    _served: Option<(Served, Forward)>,
}

impl<'a> Run<'a> {
    async fn new(
        local: &mut LocalAws,
        containers: &'a Containers,
        origin: &Origin,
        tip: &Tip,
        git_port: u16,
    ) -> Result<Self, Error> {
        let (served, clone_url, login) = match origin {
            Origin::Folder(folder) => {
                let password = local.record.git_password.clone();
                let log = Some(local.folder().join("git-host.log"));
                let served = folder.serve(tip, git_port, password.clone(), log).await?;
                let forward = containers.forward(git_port).await?;
                let host = containers.url(git_port);
                let clone_url = origin::served_url(&host, &origin.repository())?;
                let login = origin::served_login(&clone_url, &password);
                (Some((served, forward)), clone_url, Some(login))
            }
            Origin::Remote { url, .. } => (None, url.clone(), origin.login().await?),
        };
        let stack = local.stack()?;
        stack.put_git_secret(login.into_iter().collect()).await?;
        // A ref that was pushed before moves from where it was then. Otherwise this push would be the same change
        // again.
        let before = local.last_pushed(&origin.repository(), &tip.ref_name);
        let push = push(origin, tip, &clone_url, SOURCE, before.as_deref())?;
        local.set_last_pushed(&origin.repository(), &tip.ref_name, &tip.object)?;
        let settings = settings(
            &GitHost::of(&clone_url),
            stack.output("DestinationBucket")?,
            KEY_TEMPLATE,
            &json!({}),
        );
        Ok(Self {
            containers,
            execution: Execution {
                id: format!("{}-invoke", stack.execution_arn(&push.push_id.to_string())?),
                started_at: Utc::now(),
            },
            push,
            settings,
            _served: served,
        })
    }

    /// Runs the stages one after another up to `last`, and returns its output.
    async fn through(&self, last: Function) -> Result<Value, Error> {
        let settings = self.settings.clone();
        let answer = self.stage(Stage::Validate, ValidateInput { settings }).await?;
        if last == Function::Validate {
            return Ok(answer);
        }
        let deliver: Deliver = read(Stage::Validate, answer)?;
        let input = FetchInput {
            deliver: deliver.clone(),
        };
        let answer = self.stage(Stage::Fetch, input).await?;
        if last == Function::Fetch {
            return Ok(answer);
        }
        let fetched: FetchedCommit = read(Stage::Fetch, answer)?;
        let input = FetchedInput {
            deliver: deliver.clone(),
            fetched: fetched.clone(),
        };
        let answer = self.stage(Stage::Package, input).await?;
        if last == Function::Package {
            return Ok(answer);
        }
        let archive: Archive = read(Stage::Package, answer)?;
        let answer = self
            .stage(
                Stage::Upload,
                UploadInput {
                    deliver,
                    fetched,
                    archive,
                },
            )
            .await?;
        if last == Function::Upload {
            return Ok(answer);
        }
        let answer = self
            .stage(
                Stage::Record,
                RecordInput {
                    failure: None,
                    failed_attempts: 0,
                },
            )
            .await?;
        if last == Function::Record {
            return Ok(answer);
        }
        self.stage(Stage::Report, ReportInput { failure: None }).await
    }

    async fn stage(&self, stage: Stage, input: impl Serialize) -> Result<Value, Error> {
        let event = json!(Envelope {
            push: self.push.clone(),
            execution: self.execution.clone(),
            attempt: 0,
            input,
        });
        Ok(self.containers.invoke(&stage.to_string(), &event).await?)
    }
}

fn read<T: DeserializeOwned>(stage: Stage, answer: Value) -> Result<T, Error> {
    let read = serde_json::from_value(answer).map_err(|error| deployed_stack::Error::Aws {
        action: format!("go on after {stage}"),
        message: error.to_string(),
    });
    Ok(read?)
}
