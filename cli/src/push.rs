//! `push-code push`: the stages one after another in this process, without webhook and state machine.

use attestation::Unsigned;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::MemoryTrail;
use aws::destination::S3Destination;
use aws::failure::Failed;
use aws::secrets::{SecretError, Secrets};
use aws::staging::{S3Staging, Staging};
use aws_sdk_s3::config::ProvideCredentials as _;
use chrono::Utc;
use credentials::{GitSecretJson, Issuer};
use deployed_stack::trail::Trail;
use domain::contract::{
    Archive, Delivered, Envelope, FetchInput, FetchedInput, Ignored, RecordInput, Stage, Superseded,
    UploadInput, Uploaded, ValidateInput, Validated,
};
use domain::destination::{KeyTemplate, staging_key};
use domain::error::{Code, Coded};
use domain::execution::Execution;
use domain::flow::StageOutput;
use domain::push::{DeliveryId, Push, PushId, SourceName, Trigger};
use domain::remote_url::RemoteUrl;
use domain::source::GitHost;
use fetch::TransferProgram;
use record::NoHistories;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use shell::progress::{Progress, Step};
use uuid::Uuid;

use crate::origin::{self, LoginArgs, Origin};
use crate::results::Results;
use crate::summary::Summary;
use crate::{Error, repository};

/// How long one stage may take, as long as the longest Lambda.
const STAGE_TIME_LIMIT: Duration = Duration::from_secs(900);

/// What to deliver, and where to.
#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// A folder with a git repository, or a URL (https://, http://, ssh:// or git@host:path).
    #[arg(value_name = "REPO")]
    repository: String,
    /// The bucket for the zip. Its prefix pushes/ holds the intermediate objects meanwhile. A document of what the zip
    /// was made of stays beside it, {KEY}.provenance/{push id}.json, which is not signed.
    bucket: String,
    /// The key of the zip, such as project.zip; the placeholders of a key template work too.
    key: KeyTemplate,
    /// The branch or tag [default: the current or default branch].
    #[arg(long = "ref", value_name = "REF")]
    ref_name: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
}

/// Runs the command.
///
/// # Errors
/// Returns an error if a stage fails, or the bucket or the repository cannot be used.
pub async fn run(args: PushArgs, results: &mut Results<impl Write>, progress: Progress) -> Result<(), Error> {
    let began = Instant::now();
    let (origin, tip) =
        origin::resolve(&args.repository, args.ref_name.as_deref(), &args.login, progress).await?;
    let password = Uuid::new_v4().to_string();
    let served = match &origin {
        Origin::Folder(folder) => Some(folder.serve(&tip, 0, password.clone(), None).await?),
        Origin::Remote { .. } => None,
    };
    let (clone_url, login) = match (&served, &origin) {
        (Some(served), _) => {
            let url = origin::served_url(&served.origin(), &origin.repository())?;
            let login = origin::served_login(&url, &password);
            (url, Some(login))
        }
        (None, Origin::Remote { url, .. }) => (url.clone(), origin.login().await?),
        (None, Origin::Folder(_)) => unreachable!("a folder is served"),
    };
    let secret = GitSecretJson::of(login.into_iter().collect()).expose();
    let config = aws::user_config().await;
    if config.region().is_none() {
        let missing =
            "no AWS region is set: name it with AWS_REGION, or a profile that has one with AWS_PROFILE";
        return Err(Error::Usage(missing.to_owned()));
    }
    // This is checked here, because the error of S3 would be about the bucket.
    if let Some(provider) = config.credentials_provider() {
        let given = provider.provide_credentials().await;
        given.map_err(|error| Error::Credentials(error.into()))?;
    }
    // A push that changes nothing is one that was asked for by hand: it is delivered each time.
    let push = push(&origin, &tip, &clone_url, "smoke-test", Some(&tip.object))?;
    // This is checked here, because the error of the stage would be about the settings of a source.
    let key = args.key.render(&push);
    key.map_err(|error| Error::Usage(error.to_string()))?;
    let run = Run {
        issuer: Arc::new(Issuer::new(config.credentials_provider())),
        transfer: TransferProgram::this().map_err(Error::io("find", Path::new("this program")))?,
        push,
        trail: MemoryTrail::default(),
        secrets: GivenSecret(secret.map_err(deployed_stack::Error::aws("write the git secret"))?),
        staging: S3Staging::new(&config, args.bucket.clone()),
        store: S3Destination::new(&config, args.bucket.clone()),
        progress,
    };
    let settings = settings(
        &GitHost::of(&clone_url),
        &args.bucket,
        args.key.as_str(),
        &json!({}),
    );
    let ended = run.all(settings).await;
    if ended.is_err() {
        run.clean().await;
    }
    let push_id = run.push.push_id;
    let trail = Trail {
        events: run.trail.events_of(push_id),
        state: None,
    };
    results.text(format!("Events of push {push_id}\n{}", trail.lines().trim_end()))?;
    results.put(json!({ "push_id": push_id, "trail": trail.events }));
    let (delivered, archive) = ended.map_err(|failed| Error::ExecutionFailed {
        push_id: push_id.to_string(),
        error: failed.code.to_string(),
        cause: failed.cause,
    })?;
    let summary = Summary::new(
        push_id.to_string(),
        (&tip.ref_name, &tip.commit),
        &archive,
        &delivered,
        None,
        began.elapsed(),
    );
    results.put(&summary);
    results.text(&summary)
}

/// Returns the push that a webhook of `source` would have reported.
pub(crate) fn push(
    origin: &Origin,
    tip: &repository::Tip,
    clone_url: &RemoteUrl,
    source: &str,
    before: Option<&str>,
) -> Result<Push, Error> {
    let usage = |error: domain::Invalid| Error::Usage(error.to_string());
    let source: SourceName = source.parse().map_err(usage)?;
    let delivery_id: DeliveryId = Uuid::new_v4().to_string().parse().map_err(usage)?;
    let ref_name = tip.ref_name.parse().map_err(usage)?;
    Ok(Push {
        push_id: PushId::new(&source, &delivery_id, &ref_name),
        source,
        delivery_id,
        repository: origin.repository().parse().map_err(usage)?,
        clone_urls: vec![clone_url.to_string()],
        ref_name,
        destination: None,
        before: before.map(str::parse).transpose().map_err(usage)?,
        after: Some(tip.object.parse().map_err(usage)?),
        pusher: None,
        trigger: Trigger::default(),
        missed: None,
        rollback_to: None,
    })
}

/// Returns the settings of a source that may deliver this push and nothing else, as JSON.
pub(crate) fn settings(host: &GitHost, bucket: &str, key: &str, options: &Value) -> String {
    json!({
        "provider": "gitlab",
        "repositories": ["**"],
        "refs": ["refs/**"],
        "git_hosts": [host],
        "destination": { "bucket": bucket, "key_template": key },
        "options": options,
    })
    .to_string()
}

struct Run {
    issuer: Arc<Issuer>,
    transfer: TransferProgram,
    push: Push,
    trail: MemoryTrail,
    secrets: GivenSecret,
    staging: S3Staging,
    store: S3Destination,
    progress: Progress,
}

impl Run {
    /// Runs all stages. Returns where the zip is, and what it contains.
    async fn all(&self, settings: String) -> Result<(Delivered, Archive), Failed> {
        let validated = self
            .stage(
                Stage::Validate,
                ValidateInput { settings },
                async |envelope, _| validate::handle(&self.trail, envelope).await,
            )
            .await?;
        let Validated::Deliver(deliver) = validated else {
            unreachable!("these settings want every ref, and a tip is no deletion")
        };
        let input = FetchInput {
            deliver: deliver.clone(),
        };
        let fetched = self
            .stage(Stage::Fetch, input, async |envelope, step| {
                let deps = fetch::Deps {
                    issuer: &self.issuer,
                    trail: &self.trail,
                    transfer: &self.transfer,
                    bases: false,
                    secrets: &self.secrets,
                    staging: &self.staging,
                    progress: step.meter(fetch::Progress::bytes),
                };
                fetch::handle(&deps, envelope).await
            })
            .await?;
        let input = FetchedInput {
            deliver: deliver.clone(),
            fetched: fetched.clone(),
        };
        let archive = self
            .stage(Stage::Package, input, async |envelope, step| {
                let deps = package::Deps {
                    staging: &self.staging,
                    progress: step.meter(package::Progress::bytes),
                };
                package::handle(&deps, envelope).await
            })
            .await?;
        let input = UploadInput {
            deliver,
            fetched,
            archive: archive.clone(),
        };
        let uploaded = self
            .stage(Stage::Upload, input, async |envelope, _| {
                let deps = upload::Deps {
                    trail: &self.trail,
                    store: &self.store,
                    signer: &Unsigned,
                };
                upload::handle(&deps, envelope).await
            })
            .await?;
        let delivered = match uploaded {
            Uploaded::Delivered(delivered) => delivered,
            // The ref moved meanwhile, and another run was faster.
            Uploaded::Superseded(Superseded { because, .. })
            | Uploaded::Ignored(Ignored { detail: because, .. }) => {
                return Err(Failed {
                    code: Code::DestinationContended,
                    cause: format!("The zip was not delivered: {because}. Run the command again."),
                });
            }
        };
        self.stage(
            Stage::Record,
            RecordInput {
                failure: None,
                failed_attempts: 0,
            },
            async |envelope, _| record::handle(&self.trail, &self.staging, &NoHistories, envelope).await,
        )
        .await?;
        Ok((delivered, archive))
    }

    async fn stage<I, O, E, F>(&self, stage: Stage, input: I, work: F) -> Result<O, Failed>
    where
        I: Sync,
        O: StageOutput<Push> + Serialize,
        E: Coded,
        F: AsyncFn(&Envelope<I>, &Step) -> Result<O, E>,
    {
        let step = self.progress.state(&stage.to_string());
        let began = Instant::now();
        let envelope = Envelope {
            push: self.push.clone(),
            execution: Execution {
                id: "push-code push".to_owned(),
                started_at: Utc::now(),
            },
            attempt: 0,
            input,
        };
        let work = async |envelope: &Envelope<I>| work(envelope, &step).await;
        let output = workflow::execute(stage, &self.trail, &envelope, STAGE_TIME_LIMIT, work).await?;
        step.left(began.elapsed(), false);
        Ok(output)
    }

    /// Removes what a failed run has staged, because no other run could use it.
    async fn clean(&self) {
        let removed = match staging_key(&self.push.push_id, "") {
            Ok(prefix) => self.staging.remove_all(&prefix).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = removed {
            self.progress
                .line(&format!("! intermediate objects are left: {error}"));
        }
    }
}

/// Returns the git secret of this run.
struct GivenSecret(SecretString);

impl Secrets for GivenSecret {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        Ok(self.0.clone())
    }
}
