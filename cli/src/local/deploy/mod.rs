//! `push-code local deploy`: the example from a push to production, in two accounts of this machine.

mod alarm;
mod environment;
mod scratch;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use chrono::Utc;
use delivery::state::DeploymentStatus;
use deployed_stack::deployments::Shown;
use local_aws::ACCESS_KEY;
use local_aws::aws::{LocalAws, StackOptions};
use local_aws::checkout::Checkout;
use local_codebuild::CodeBuild;
use serde_json::json;
use shell::progress::Progress;
use tokio::sync::mpsc;

use self::environment::{Environment, Settings};
use self::scratch::{Break, DEV, MAIN, Scratch};
use super::deepest;
use super::session::{push_lock, session};
use super::stack::{AwsArgs, up_options};
use crate::Error;
use crate::deployments::describe;
use crate::origin::{served_login, served_url};
use crate::results::Results;

/// The account of prod. That of dev is the local AWS's own.
const PROD_ACCOUNT: &str = "222222222222";

/// What to deploy.
#[derive(Debug, clap::Args)]
pub struct DeployArgs {
    /// Break something, to see how the deployment to dev fails and what is left of it.
    #[arg(long = "break", value_name = "WHAT", value_enum)]
    broken: Option<Break>,
    /// The port of the local git host [default: the local AWS's port + 1].
    #[arg(long, value_name = "PORT")]
    git_port: Option<u16>,
    /// The port of the Hacker News that is made up [default: the local AWS's port + 2].
    #[arg(long, value_name = "PORT")]
    news_port: Option<u16>,
    #[command(flatten)]
    aws: AwsArgs,
}

/// Runs the command. Returns `false` if a deployment has not ended as it should.
pub(super) async fn run(
    args: DeployArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let checkout = Checkout::find()?;
    let (settings, options) = up_options(&checkout, &args.aws, args.git_port)?;
    let mut local = LocalAws::up(&settings, &options, progress).await?;
    let git_port = args.git_port.unwrap_or(local.record.ministack.port + 1);
    let (ministack, stack) = (local.record.ministack.clone(), local.stack()?);
    let lock = push_lock(&checkout)?;
    // The application's parameters name it, so another port each time would be another change each time.
    let news_port = args.news_port.unwrap_or(local.record.ministack.port + 2);
    let work = deploy(
        &mut local,
        &checkout,
        &options,
        [git_port, news_port],
        args.broken,
        results,
        progress,
    );
    session(&lock, &ministack, &stack, progress, work).await
}

async fn deploy(
    local: &mut LocalAws,
    checkout: &Checkout,
    options: &StackOptions,
    [git_port, news_port]: [u16; 2],
    broken: Option<Break>,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let password = local.record.git_password.clone();
    let log = local.folder().join("git-host.log");
    let scratch = Scratch::of(checkout, git_port, password.clone(), log).await?;
    let release = Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let commit = scratch.commit_change(broken, &release).await?;
    let news = deepest::serve(24, news_port, progress).await?;
    let url = served_url(&scratch.origin(), scratch::REPOSITORY)?;
    let builds = checkout.folder()?.join("builds");
    let dev_builder = builder(local, checkout, ACCESS_KEY, builds.join("dev"), progress).await?;
    let prod_builder = builder(local, checkout, PROD_ACCOUNT, builds.join("prod"), progress).await?;
    let dev_pushes = local.stack()?;
    let in_prod = StackOptions {
        access_key: PROD_ACCOUNT.to_owned(),
        ..options.clone()
    };
    let prod_pushes = local.deploy(&in_prod).await?;
    for pushes in [&dev_pushes, &prod_pushes] {
        pushes.put_git_secret(vec![served_login(&url, &password)]).await?;
    }
    let external_id = local.record.git_password.clone();
    let settings = |name, access_key, ref_name, codebuild| Settings {
        name,
        access_key,
        ref_name,
        codebuild,
        news: [news.search_url(), news.items_url()],
        parameters: vec![],
    };
    // Each names something of the other: prod the role, table and bucket that it reads, and dev who reads them.
    let of_dev = settings("dev", ACCESS_KEY, DEV, dev_builder.endpoint());
    let dev = Environment::deploy(local, dev_pushes.clone(), options, of_dev.clone()).await?;
    let mut of_prod = settings("prod", PROD_ACCOUNT, MAIN, prod_builder.endpoint());
    of_prod.parameters = vec![
        (
            "EvidenceRoleArn",
            format!(
                "arn:aws:iam::000000000000:role/{}-evidence",
                dev.deployments.stack().name()
            ),
        ),
        ("EvidenceTableName", dev_pushes.output("TableName")?.to_owned()),
        (
            "EvidenceBucketName",
            dev.deployments.stack().output("ArtifactBucketName")?.to_owned(),
        ),
        ("EvidenceExternalId", external_id.clone()),
    ];
    let prod = Environment::deploy(local, prod_pushes.clone(), options, of_prod).await?;
    let reader = prod.deployments.stack().output("AcquireRoleArn")?.to_owned();
    let of_dev = Settings {
        parameters: vec![("EvidenceReaderArn", reader), ("EvidenceExternalId", external_id)],
        ..of_dev
    };
    let dev = Environment::deploy(local, dev_pushes.clone(), options, of_dev).await?;
    for (pushes, name) in [(&dev_pushes, "dev"), (&prod_pushes, "prod")] {
        alarm::create(pushes, &environment::alarm(name)).await?;
    }

    let began = Instant::now();
    let raise = async || {
        if broken == Some(Break::Alarm) {
            alarm::set(&dev_pushes, &environment::alarm("dev"), "ALARM").await?;
        }
        Ok(())
    };
    let in_dev = dev
        .push(&scratch.origin(), None, &commit, progress, raise)
        .await?;
    report("dev", &in_dev, began, results)?;
    if in_dev.state.status != DeploymentStatus::Released {
        // What was asked for has happened.
        return Ok(broken.is_some());
    }
    let began = Instant::now();
    let (before, merge) = scratch.merge().await?;
    let in_prod = prod
        .push(&scratch.origin(), Some(before), &merge, progress, async || Ok(()))
        .await?;
    report("prod", &in_prod, began, results)?;
    let template = |shown: &Shown| {
        shown
            .state
            .artifact
            .as_ref()
            .map(|artifact| artifact.template.clone())
    };
    let same = template(&in_dev).is_some() && template(&in_dev) == template(&in_prod);
    results.put(json!({ "same_bytes": same }));
    results.text(if same {
        "prod runs the very bytes that were tested in dev."
    } else {
        "prod has built the tree itself."
    })?;
    Ok(broken.is_none() && in_prod.state.status == DeploymentStatus::Released)
}

/// Starts a CodeBuild for an account. What its builds log is shown as it is written.
async fn builder(
    local: &LocalAws,
    checkout: &Checkout,
    access_key: &str,
    folder: PathBuf,
    progress: Progress,
) -> Result<CodeBuild, Error> {
    let account = local_aws::account_of(access_key);
    let aws = local.record.ministack.sdk_config_of(access_key);
    let mut settings = local_codebuild::Settings::new(aws, account, folder);
    settings.path = local.tool_folders();
    // Dependencies are built once for all builds.
    let target = checkout.folder()?.join("builds/target");
    settings
        .variables
        .insert("CARGO_TARGET_DIR".to_owned(), target.display().to_string());
    let (sender, mut lines) = mpsc::unbounded_channel::<local_codebuild::LogLine>();
    settings.lines = Some(sender);
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            progress.line(&format!("    | {}", line.text));
        }
    });
    CodeBuild::start(settings)
        .await
        .map_err(|error| Error::CodeBuild(Box::new(error)))
}

fn report(name: &str, shown: &Shown, began: Instant, results: &mut Results<impl Write>) -> Result<(), Error> {
    let seconds = began.elapsed().as_secs_f64();
    results.put(json!({ name: { "deployment": shown.state, "events": shown.events, "seconds": seconds } }));
    results.text(describe(shown))?;
    results.text(format!("From the push to its end: {seconds:.1} s\n"))
}
