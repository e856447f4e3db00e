//! The local AWS with the stack deployed into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde::{Deserialize, Serialize};
use shell::lock::{Lock, lock};
use shell::progress::Progress;

use crate::Error;
use crate::build::{Build, Profile, build};
use crate::checkout::{Checkout, read_json, write_json};
use crate::ministack::{Ministack, Settings};
use crate::sam::{self, Deployment};
use crate::stack::Stack;
use crate::tools::Tools;

/// What runs, and what is deployed.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the local AWS is started.
    pub settings: Settings,
    /// How the functions are built.
    pub profile: Profile,
    /// The stack's name.
    pub stack: String,
    /// The template's parameters, where they are not the default.
    pub parameters: BTreeMap<String, String>,
}

impl Default for Options {
    /// A stack `push-code` with the template's own defaults, on a free port.
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            profile: Profile::default(),
            stack: "push-code".to_owned(),
            parameters: BTreeMap::new(),
        }
    }
}

/// What is remembered of a local AWS from one command to the next.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The process.
    pub ministack: Ministack,
    /// The stack in it.
    pub deployed: Option<Deployed>,
    /// The password for the git host of `local push`.
    pub git_password: String,
    /// What each ref pointed to when it was pushed last, by repository and ref.
    pub pushed: BTreeMap<String, String>,
}

/// A stack that was deployed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployed {
    /// Its name.
    pub stack: String,
    /// The parameters that it was deployed with.
    pub parameters: BTreeMap<String, String>,
    /// Of build and parameters.
    pub fingerprint: String,
    /// Its outputs. `WebhookUrl` is that on this machine.
    pub outputs: BTreeMap<String, String>,
}

/// A local AWS with the stack in it.
///
/// One from [`LocalAws::start`] ends when it is dropped; one from [`LocalAws::up`] stays until [`down`].
#[derive(Debug)]
pub struct LocalAws {
    /// What is remembered of it.
    pub record: Record,
    checkout: Checkout,
    tools: Tools,
    folder: PathBuf,
    owned: Option<(Child, tempfile::TempDir)>,
    progress: Progress,
}

impl LocalAws {
    /// Starts a local AWS of its own, builds, and deploys. It ends when the returned value is dropped.
    ///
    /// # Errors
    /// Where any of that fails.
    pub async fn start(options: &Options, progress: Progress) -> Result<Self, Error> {
        let checkout = Checkout::find()?;
        let (tools, built) = build(&checkout, options.profile, progress).await?;
        let home = tempfile::Builder::new()
            .prefix("push-code-")
            .tempdir()
            .map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
        let folder = home.path().to_owned();
        let (ministack, child) = Ministack::start(&tools, &options.settings, &folder, true).await?;
        let mut local = Self {
            record: Record::new(ministack),
            checkout,
            tools,
            folder,
            owned: Some((child, home)),
            progress,
        };
        local.deploy(&built, &options.stack, &options.parameters).await?;
        Ok(local)
    }

    /// Makes sure that the checkout's local AWS runs, with the stack as it is in the checkout now. What has not changed
    /// is not done again.
    ///
    /// # Errors
    /// Where any of that fails.
    pub async fn up(options: &Options, progress: Progress) -> Result<Self, Error> {
        let checkout = Checkout::find()?;
        let (tools, built) = build(&checkout, options.profile, progress).await?;
        let folder = checkout.folder()?;
        let _lock = lock(&folder.join("up.lock"), Lock::Exclusive, progress).await?;
        let record = match running(&checkout)? {
            Some(record) => {
                check_same(&record.ministack, &options.settings)?;
                if !record.ministack.is_healthy().await {
                    return Err(record
                        .ministack
                        .failed("runs but does not answer (`push-code local down` ends it)".to_owned()));
                }
                record
            }
            None => {
                let step = progress.step("Starting the local AWS");
                let (ministack, _child) = Ministack::start(&tools, &options.settings, &folder, false).await?;
                step.done(&format!("Started the local AWS at {}", ministack.endpoint()));
                Record::new(ministack)
            }
        };
        let mut local = Self {
            record,
            checkout,
            tools,
            folder,
            owned: None,
            progress,
        };
        local.save()?;
        local.deploy(&built, &options.stack, &options.parameters).await?;
        Ok(local)
    }

    /// Deploys the stack with these parameters, where it is not deployed so already.
    async fn deploy(
        &mut self,
        built: &Build,
        name: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let mut parameters = parameters.clone();
        parameters
            .entry("Architecture".to_owned())
            .or_insert_with(|| sam::ARCHITECTURE.to_owned());
        let endpoint = self.endpoint();
        let deployment = Deployment {
            name,
            parameters: &parameters,
            endpoint: &endpoint,
            secret_key: &self.record.ministack.secret_key,
            template: &built.template,
        };
        let fingerprint = deployment.fingerprint(&built.fingerprint);
        if self
            .record
            .deployed
            .as_ref()
            .is_some_and(|deployed| deployed.fingerprint == fingerprint)
        {
            return Ok(());
        }
        let log = self.folder.join("sam-deploy.log");
        deployment
            .deploy(&self.checkout, &self.tools, &log, self.progress)
            .await?;
        let step = self.progress.step("Reading the stack's outputs");
        let stack = Stack::deployed(name, self.record.ministack.sdk_config(), &self.tools).await?;
        let mut outputs = stack.outputs().clone();
        if let Some(url) = webhook_url(&outputs, &endpoint) {
            outputs.insert("WebhookUrl".to_owned(), url);
        }
        drop(step);
        admit_plain_http(&stack).await?;
        self.record.deployed = Some(Deployed {
            stack: name.to_owned(),
            parameters,
            fingerprint,
            outputs,
        });
        self.save()
    }

    /// Writes the record down, where it is to be found by the next command.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        if self.owned.is_some() {
            return Ok(());
        }
        write_json(&record_file(&self.checkout)?, &self.record)
    }

    /// What the ref pointed to when it was pushed last. `None` if it never was.
    #[must_use]
    pub fn last_pushed(&self, repository: &str, ref_name: &str) -> Option<String> {
        self.record.pushed.get(&pushed_key(repository, ref_name)).cloned()
    }

    /// Remembers that the ref points to `object` now.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_last_pushed(&mut self, repository: &str, ref_name: &str, object: &str) -> Result<(), Error> {
        self.record
            .pushed
            .insert(pushed_key(repository, ref_name), object.to_owned());
        self.save()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.record.ministack.endpoint()
    }

    /// The folder of logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The stack in it.
    ///
    /// # Errors
    /// [`Error::NotDeployed`].
    pub fn stack(&self) -> Result<Stack, Error> {
        self.record.stack().ok_or(Error::NotDeployed)
    }

    /// The functions as they are built, with the values of all `variables` that the template gives them.
    ///
    /// # Errors
    /// If a file for the values cannot be written.
    pub(crate) fn functions(
        &self,
        variables: &BTreeMap<&str, String>,
        arguments: Vec<String>,
    ) -> Result<sam::Functions, Error> {
        let file = tempfile::NamedTempFile::new_in(&self.folder)
            .and_then(|mut file| {
                serde_json::to_writer(&mut file, &serde_json::json!({ "Parameters": variables }))?;
                Ok(file)
            })
            .map_err(Error::io("write a file in", &self.folder))?;
        Ok(sam::Functions {
            checkout: self.checkout.clone(),
            tools: self.tools.clone(),
            secret_key: self.record.ministack.secret_key.clone(),
            variables: file,
            arguments,
        })
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        if let Some((mut child, _home)) = self.owned.take() {
            shell::process::stop_group(self.record.ministack.pid, || {
                child.try_wait().is_ok_and(|ended| ended.is_some())
            });
            // Reaped: it was killed at the latest just now.
            let _ = child.wait();
        }
    }
}

impl Record {
    fn new(ministack: Ministack) -> Self {
        Self {
            ministack,
            deployed: None,
            git_password: uuid::Uuid::new_v4().simple().to_string(),
            pushed: BTreeMap::new(),
        }
    }

    /// The stack that is deployed. `None` if none is.
    #[must_use]
    pub fn stack(&self) -> Option<Stack> {
        let deployed = self.deployed.as_ref()?;
        let config = self.ministack.sdk_config();
        Some(Stack::new(&deployed.stack, deployed.outputs.clone(), config))
    }
}

/// Takes off the buckets' policies, which refuse what does not come over TLS: nothing on the loopback does.
async fn admit_plain_http(stack: &Stack) -> Result<(), Error> {
    for output in ["StagingBucketName", "DestinationBucket"] {
        let bucket = stack.output(output)?;
        let delete = stack.s3().delete_bucket_policy().bucket(bucket).send();
        delete
            .await
            .map_err(Error::aws(format!("take off the policy of the bucket {bucket}")))?;
    }
    Ok(())
}

/// Ends the checkout's local AWS. `false` where none runs.
///
/// # Errors
/// Where the record cannot be read or removed.
pub fn down(checkout: &Checkout) -> Result<bool, Error> {
    let was_running = match running(checkout)? {
        Some(record) => {
            record.ministack.stop();
            true
        }
        None => false,
    };
    let file = record_file(checkout)?;
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &file)(error)),
        _ => {
            // Only what the local AWS has put there; it may be gone already.
            let _ = std::fs::remove_dir_all(checkout.folder()?.join("tmp"));
            Ok(was_running)
        }
    }
}

/// The record of the checkout's local AWS; none where it does not run.
///
/// # Errors
/// Where the record cannot be read.
pub fn running(checkout: &Checkout) -> Result<Option<Record>, Error> {
    let record: Option<Record> = read_json(&record_file(checkout)?)?;
    Ok(record.filter(|record| record.ministack.is_running()))
}

fn pushed_key(repository: &str, ref_name: &str) -> String {
    format!("{repository} {ref_name}")
}

fn record_file(checkout: &Checkout) -> Result<PathBuf, Error> {
    Ok(checkout.folder()?.join("local.json"))
}

/// Where the local AWS takes what on AWS is sent to the output `WebhookUrl`, whose host is one on the internet.
fn webhook_url(outputs: &BTreeMap<String, String>, endpoint: &str) -> Option<String> {
    let (_, rest) = outputs.get("WebhookUrl")?.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let api = outputs.get("ApiId")?;
    Some(format!("{endpoint}/_aws/execute-api/{api}/$default/{path}"))
}

/// A running local AWS cannot move to another port.
fn check_same(running: &Ministack, wanted: &Settings) -> Result<(), Error> {
    if running.port == wanted.port {
        return Ok(());
    }
    Err(Error::RunsAlready {
        endpoint: running.endpoint(),
    })
}
