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

/// How the local AWS is started, and what is deployed into it.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the local AWS is started.
    pub settings: Settings,
    /// How the functions are built.
    pub profile: Profile,
    /// The stack's name.
    pub stack: String,
    /// The template's parameters that are not the default.
    pub parameters: BTreeMap<String, String>,
}

impl Default for Options {
    /// Returns the options of a stack `push-code` with the template's own defaults, on a free port.
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            profile: Profile::default(),
            stack: "push-code".to_owned(),
            parameters: BTreeMap::new(),
        }
    }
}

/// What one command records of a local AWS for the next one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The process.
    pub ministack: Ministack,
    /// The stack in it.
    pub deployed: Option<Deployed>,
    /// The password for the git host of `local push`.
    pub git_password: String,
    /// What each ref pointed to when it was last pushed, by repository and ref.
    pub pushed: BTreeMap<String, String>,
}

/// A stack that was deployed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployed {
    /// Its name.
    pub stack: String,
    /// The parameters that it was deployed with.
    pub parameters: BTreeMap<String, String>,
    /// The hash of the build and the parameters.
    pub fingerprint: String,
    /// Its outputs. `WebhookUrl` is that on this machine.
    pub outputs: BTreeMap<String, String>,
}

/// A local AWS with the stack in it.
///
/// One from [`LocalAws::start`] ends when it is dropped; one from [`LocalAws::up`] stays until [`down`].
#[derive(Debug)]
pub struct LocalAws {
    /// What is recorded of it.
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
    /// Returns an error if any of that fails.
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

    /// Makes sure that the checkout's local AWS runs, with the stack as it is in the checkout now. Steps whose inputs
    /// have not changed are skipped.
    ///
    /// # Errors
    /// Returns an error if any of that fails.
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
                        .failed("runs but does not respond (`push-code local down` ends it)".to_owned()));
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

    /// Deploys the stack with these parameters, unless it is already deployed so.
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

    /// Writes the record for the next command, unless the local AWS ends with this value.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save(&self) -> Result<(), Error> {
        if self.owned.is_some() {
            return Ok(());
        }
        write_json(&record_file(&self.checkout)?, &self.record)
    }

    /// Returns what the ref pointed to when it was last pushed, or `None` if it never was.
    #[must_use]
    pub fn last_pushed(&self, repository: &str, ref_name: &str) -> Option<String> {
        self.record.pushed.get(&pushed_key(repository, ref_name)).cloned()
    }

    /// Records that the ref points to `object` now.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
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

    /// Returns the folder of the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the stack in it.
    ///
    /// # Errors
    /// Returns [`Error::NotDeployed`] if there is none.
    pub fn stack(&self) -> Result<Stack, Error> {
        self.record.stack().ok_or(Error::NotDeployed)
    }

    /// Returns the functions as they are built, with these values of the `variables` that the template sets for them.
    ///
    /// # Errors
    /// Returns an error if a file for the values cannot be written.
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
            // It has ended by now, because it was killed, and is reaped.
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

    /// Returns the stack that is deployed, or `None` if there is none.
    #[must_use]
    pub fn stack(&self) -> Option<Stack> {
        let deployed = self.deployed.as_ref()?;
        let config = self.ministack.sdk_config();
        Some(Stack::new(&deployed.stack, deployed.outputs.clone(), config))
    }
}

/// Removes the buckets' policies, which refuse requests without TLS. On the loopback, there is no TLS.
async fn admit_plain_http(stack: &Stack) -> Result<(), Error> {
    for output in ["StagingBucketName", "DestinationBucket"] {
        let bucket = stack.output(output)?;
        let delete = stack.s3().delete_bucket_policy().bucket(bucket).send();
        delete
            .await
            .map_err(Error::aws(format!("remove the policy of the bucket {bucket}")))?;
    }
    Ok(())
}

/// Ends the checkout's local AWS. Returns `false` if none runs.
///
/// # Errors
/// Returns an error if the record cannot be read or removed.
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
            // The folder holds only the files of the local AWS, and may not exist.
            let _ = std::fs::remove_dir_all(checkout.folder()?.join("tmp"));
            Ok(was_running)
        }
    }
}

/// Returns the record of the checkout's local AWS, or `None` if it does not run.
///
/// # Errors
/// Returns an error if the record cannot be read.
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

/// Returns the URL at which the local AWS serves the webhook of the output `WebhookUrl`, whose host is on the internet.
fn webhook_url(outputs: &BTreeMap<String, String>, endpoint: &str) -> Option<String> {
    let (_, rest) = outputs.get("WebhookUrl")?.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let api = outputs.get("ApiId")?;
    Some(format!("{endpoint}/_aws/execute-api/{api}/$default/{path}"))
}

/// Checks that the running local AWS has the wanted port, because it cannot move to another one.
fn check_same(running: &Ministack, wanted: &Settings) -> Result<(), Error> {
    if running.port == wanted.port {
        return Ok(());
    }
    Err(Error::RunsAlready {
        endpoint: running.endpoint(),
    })
}
