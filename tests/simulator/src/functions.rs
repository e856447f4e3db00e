//! The functions, which are the handlers that are deployed, run by `workflow`. `Fetch` and `Package` are stand-ins that
//! read the simulated host and make no real zip, but stage their objects as the real ones do.

use attestation::Unsigned;
use audit::AuditError;
use std::sync::Arc;
use std::time::Duration;

use aws::failure::Failed;
use aws::secrets::{SecretCache, SecretError, Secrets};
use aws::staging::{Staging, StorageError};
use domain::closed::Closed;
use domain::contract::{
    Archive, Author, Envelope, ExpireInput, Expiry, FetchInput, FetchedCommit, FetchedInput, FindRefInput,
    FoundRef, RecordInput, Stage, UploadInput, Uploaded, ValidateInput, Validated,
};
use domain::error::{Code, Coded};
use domain::flow::StageOutput;
use domain::git::CommitId;
use domain::push::{Push, SourceName};
use domain::source::Options;
use record::NoHistories;
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::oneshot;
use workflow::{execute, time_limit};

use crate::digest::sha256;
use crate::host::{HostError, is_unchanged};
use crate::scheduler::{Label, TaskId};
use crate::world::{Simulation, World};

const ACCEPT_SECONDS: u64 = 10;
const VALIDATE_SECONDS: u64 = 30;
const WORK_SECONDS: u64 = 840;
const RECORD_SECONDS: u64 = 60;
/// The timeouts of the functions in seconds. The wiring tests compare them with the template.
pub const TIMEOUTS: [(&str, u64); 6] = [
    ("Accept", ACCEPT_SECONDS),
    ("Validate", VALIDATE_SECONDS),
    ("Fetch", WORK_SECONDS),
    ("Package", WORK_SECONDS),
    ("Upload", WORK_SECONDS),
    ("Record", RECORD_SECONDS),
];
/// How long the calls of a slow function take, in milliseconds. Such a function still completes.
const SLOW: u64 = 30_000;

/// The trail's message for an event that cannot follow. It never comes, in whatever order copies and executions run,
/// except for a copy that delivers what another one has found to be expired.
const ILLEGAL: &str = "cannot happen to push";

/// The token of the webhook, which its secret has.
pub const TOKEN: &str = "token";

/// The webhook secret.
struct WebhookToken;

impl Secrets for WebhookToken {
    async fn read(&self, _: &SourceName, _: &'static str) -> Result<SecretString, SecretError> {
        Ok(format!(r#"{{"token":"{TOKEN}"}}"#).into())
    }
}

/// The error of a function, as the state machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The error's name.
    pub name: String,
    /// What happened.
    pub cause: String,
}

impl Error {
    /// Creates an error of Lambda or Step Functions themselves.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cause: "simulated".to_owned(),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        Self {
            name: failed.code.to_string(),
            cause: failed.cause,
        }
    }
}

/// A function that was called.
pub struct Invocation<O> {
    /// Its task.
    pub task: TaskId,
    answer: oneshot::Receiver<Result<O, Error>>,
}

impl<O> Invocation<O> {
    /// Waits for the response. Returns `None` if the function has died.
    pub async fn answer(self) -> Option<Result<O, Error>> {
        self.answer.await.ok()
    }
}

/// Why nothing can be packaged.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The git host failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The staging area failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A limit is exceeded.
    #[error("the commit has more entries than the options allow")]
    Limit,
    /// There is nothing to fetch.
    #[error("the push has deleted its ref")]
    Nothing,
    /// The loaded object is not a pack.
    #[error("the loaded object is not a pack")]
    Pack,
}

impl Coded for WorkError {
    fn code(&self) -> Code {
        match self {
            Self::Host(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Limit => Code::LimitExceeded,
            Self::Nothing | Self::Pack => Code::RepositoryInvalid,
        }
    }
}

/// Returns the zip of a commit, which is the same for the same commit and options. Limits do not change its content.
pub fn zip(commit: &CommitId, options: &Options) -> String {
    format!(
        "zip of {} build_info={} attributes={}",
        commit.short(),
        options.build_info,
        options.attributes
    )
}

impl World {
    async fn fetch(&self, envelope: &Envelope<FetchInput>) -> Result<FetchedCommit, WorkError> {
        let push = &envelope.push;
        let after = push.after.as_ref().ok_or(WorkError::Nothing)?;
        let last = fetch::find_last(&*self.trail, push, &envelope.input.deliver).await?;
        let ref_now = self.host.list().await?;
        let (commit, pack) = self.host.fetch(after).await?;
        let unchanged_since = last.filter(|last| {
            let comparison = last.comparison(push, &envelope.input.deliver);
            comparison.is_some_and(|comparison| is_unchanged(&comparison.base, &commit))
        });
        let index = format!("index of {}", sha256(&pack)).into_bytes();
        let pack = self
            .staging
            .store_bytes(&push.push_id, "commit.pack", pack)
            .await?;
        let index = self
            .staging
            .store_bytes(&push.push_id, "commit.idx", index)
            .await?;
        Ok(FetchedCommit {
            tree: commit.as_str().parse().map_err(|_| WorkError::Pack)?,
            // In another order than that of the pushes.
            committed_at: chrono::DateTime::UNIX_EPOCH
                + chrono::TimeDelta::days(i64::from(commit.as_str().as_bytes()[0])),
            commit,
            author: Author {
                name: "A".to_owned(),
                email: "a@example.com".to_owned(),
            },
            subject: "A commit".to_owned(),
            url: envelope.input.deliver.clone_url.to_string(),
            ref_now,
            unchanged_since: unchanged_since.map(|last| last.push_id),
            pack,
            index,
            received_bytes: None,
            base: None,
            submodules: Vec::new(),
            lfs: None,
            signature: None,
        })
    }

    async fn package(&self, envelope: &Envelope<FetchedInput>) -> Result<Archive, WorkError> {
        let (push, input) = (&envelope.push, &envelope.input);
        self.staging.load(&input.fetched.pack, &self.workspace).await?;
        let pack = std::fs::read_to_string(&self.workspace).map_err(|_| WorkError::Pack)?;
        self.staging.load(&input.fetched.index, &self.workspace).await?;
        let index = std::fs::read_to_string(&self.workspace).map_err(|_| WorkError::Pack)?;
        if index != format!("index of {}", sha256(pack.as_bytes())) {
            self.core.is_wrong("the index is of another pack".to_owned());
        }
        if input.deliver.options.limits.entries == 0 {
            return Err(WorkError::Limit);
        }
        let commit = pack.split(' ').next().and_then(|commit| commit.parse().ok());
        let bytes = zip(&commit.ok_or(WorkError::Pack)?, &input.deliver.options).into_bytes();
        let sha256 = sha256(&bytes);
        let object = self
            .staging
            .store_bytes(&push.push_id, "archive.zip", bytes)
            .await?;
        Ok(Archive {
            object,
            sha256,
            entries: 1,
            format: None,
            taken_entries: None,
            warnings: Vec::new(),
        })
    }
}

impl Simulation {
    /// Calls a function that may run for `seconds`. Its response goes to whoever waits for it.
    fn call<O: 'static>(
        &self,
        label: Label,
        seconds: u64,
        work: impl Future<Output = Result<O, Failed>> + 'static,
    ) -> Invocation<O> {
        let (sender, answer) = oneshot::channel();
        let core = self.world.core.clone();
        let task = self.tasks.begin(label, async move {
            let ended = tokio::time::timeout(Duration::from_secs(seconds), work).await;
            let ended = match ended {
                Ok(ended) => ended.map_err(Error::from),
                Err(_) => Err(Error::new("Sandbox.Timedout")),
            };
            core.say(|| match &ended {
                Ok(_) => "ends".to_owned(),
                Err(error) => format!("fails: {}", error.name),
            });
            let is_illegal = ended.as_ref().is_err_and(|error| error.cause.contains(ILLEGAL));
            if is_illegal && core.weather.expiries == 0 {
                core.is_wrong("a stage has found that what it did cannot have happened".to_owned());
            }
            // The receiver may be gone.
            let _ = sender.send(ended);
        });
        Invocation { task, answer }
    }

    fn stage<I, O, E>(
        &self,
        stage: Stage,
        seconds: u64,
        envelope: Envelope<I>,
        work: impl AsyncFn(&World, &Envelope<I>) -> Result<O, E> + 'static,
    ) -> Invocation<O>
    where
        I: Sync + 'static,
        O: StageOutput<Push> + Serialize + 'static,
        E: Coded + 'static,
    {
        let label = Label {
            name: format!("{} {stage}", short(&envelope.execution.id)),
            execution: Some(envelope.execution.id.clone()),
            slowness: match seconds {
                WORK_SECONDS => *self.world.core.dice.pick(&[0, 0, 0, SLOW]),
                _ => 0,
            },
        };
        let world = self.world.clone();
        let time_limit = time_limit(Duration::from_secs(seconds));
        self.call(label, seconds, async move {
            let work = async |envelope: &Envelope<I>| work(&world, envelope).await;
            execute(stage, &*world.trail, &envelope, time_limit, work).await
        })
    }

    /// Calls `Validate`.
    pub fn validate(&self, envelope: Envelope<ValidateInput>) -> Invocation<Validated> {
        self.stage(
            Stage::Validate,
            VALIDATE_SECONDS,
            envelope,
            async |world, envelope| validate::handle(&*world.trail, envelope).await,
        )
    }

    /// Calls `Fetch`.
    pub fn fetch(&self, envelope: Envelope<FetchInput>) -> Invocation<FetchedCommit> {
        self.stage(Stage::Fetch, WORK_SECONDS, envelope, async |world, envelope| {
            world.fetch(envelope).await
        })
    }

    /// Calls `Package`.
    pub fn package(&self, envelope: Envelope<FetchedInput>) -> Invocation<Archive> {
        self.stage(Stage::Package, WORK_SECONDS, envelope, async |world, envelope| {
            world.package(envelope).await
        })
    }

    /// Calls `Upload`.
    pub fn upload(&self, envelope: Envelope<UploadInput>) -> Invocation<Uploaded> {
        self.stage(Stage::Upload, WORK_SECONDS, envelope, async |world, envelope| {
            let deps = upload::Deps {
                trail: &*world.trail,
                store: &world.store,
                signer: &Unsigned,
            };
            upload::handle(&deps, envelope).await
        })
    }

    /// Calls `FindRef`.
    pub fn find_ref(&self, envelope: Envelope<FindRefInput>) -> Invocation<FoundRef> {
        self.stage(Stage::FindRef, WORK_SECONDS, envelope, async |world, _| {
            let ref_now = world.host.list().await?;
            Ok::<_, WorkError>(FoundRef { ref_now })
        })
    }

    /// Calls `Expire`.
    pub fn expire(&self, envelope: Envelope<ExpireInput>) -> Invocation<Expiry> {
        self.stage(Stage::Expire, WORK_SECONDS, envelope, async |world, envelope| {
            upload::expire(&*world.trail, &world.store, envelope).await
        })
    }

    /// Calls `Keep`.
    pub fn keep(&self, envelope: Envelope<FetchedInput>) -> Invocation<Uploaded> {
        self.stage(Stage::Keep, WORK_SECONDS, envelope, async |world, envelope| {
            upload::keep(&*world.trail, &world.store, envelope).await
        })
    }

    /// Calls `Record`.
    pub fn record(&self, envelope: Envelope<RecordInput>) -> Invocation<Closed> {
        self.stage(
            Stage::Record,
            RECORD_SECONDS,
            envelope,
            async |world, envelope| {
                record::handle(&*world.trail, &*world.staging, &NoHistories, envelope).await
            },
        )
    }

    /// Calls the webhook's function.
    pub fn accept(
        &self,
        name: &str,
        request: aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    ) -> Invocation<i64> {
        let label = Label {
            name: format!("{name} webhook"),
            execution: None,
            slowness: 0,
        };
        let world: Arc<World> = self.world.clone();
        self.call(label, ACCEPT_SECONDS, async move {
            let secrets = SecretCache::new(WebhookToken, "webhook");
            let response = accept::handle(&world.machine, &secrets, &request).await;
            Ok(response.status_code)
        })
    }
}

/// Returns the last part of an execution's ARN, with a push's id shortened.
pub fn short(arn: &str) -> String {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    match name.split_at_checked(36) {
        Some((id, number)) => format!("{}{number}", &id[..6]),
        None => name.to_owned(),
    }
}
