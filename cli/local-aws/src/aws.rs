//! The local AWS with the stacks deployed into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;

use deployed_stack::Stack;
use serde::{Deserialize, Serialize};
use shell::lock::{Lock, lock};
use shell::progress::Progress;

use crate::application::{Application, PUSH_CODE};
use crate::architecture::Architecture;
use crate::build::{Build, Profile, build};
use crate::checkout::{Checkout, read_json, write_json};
use crate::ministack::{Ministack, Settings};
use crate::sam::{self, Deployment};
use crate::tools::Tools;
use crate::{ACCESS_KEY, Error};

/// What is deployed, and how.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// What is deployed.
    pub application: Application,
    /// How its functions are built.
    pub profile: Profile,
    /// The stack's name.
    pub name: String,
    /// The template's parameters that are not the default.
    pub parameters: BTreeMap<String, String>,
    /// The access key id of the administrator of the account that it is deployed into. Twelve digits are an account of
    /// their own.
    pub access_key: String,
}

impl StackOptions {
    /// Returns the options of a stack that has the application's name and the template's own defaults.
    #[must_use]
    pub fn of(application: Application) -> Self {
        Self {
            application,
            profile: Profile::default(),
            name: application.name.to_owned(),
            parameters: BTreeMap::new(),
            access_key: ACCESS_KEY.to_owned(),
        }
    }

    /// Returns the name by which the stack is recorded: each account has its own stacks.
    fn place(&self) -> String {
        match self.access_key.as_str() {
            ACCESS_KEY => self.name.clone(),
            account => format!("{account}/{}", self.name),
        }
    }

    /// Returns the template's parameters, with those that a local AWS needs.
    fn all_parameters(&self) -> BTreeMap<String, String> {
        let mut parameters = self.parameters.clone();
        for (name, value) in [("Architecture", Architecture::THIS.name())]
            .iter()
            .chain(self.application.local_parameters)
        {
            parameters
                .entry((*name).to_owned())
                .or_insert_with(|| (*value).to_owned());
        }
        parameters
    }
}

/// What one command records of a local AWS for the next one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The process.
    pub ministack: Ministack,
    /// The stacks in it, by name. One in another account has `{account}/` before its name.
    #[serde(default)]
    pub stacks: BTreeMap<String, Deployed>,
    /// The password for the git host of `local push`.
    pub git_password: String,
    /// What each ref pointed to when it was last pushed, by repository and ref.
    pub pushed: BTreeMap<String, String>,
}

/// A stack that was deployed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployed {
    /// The parameters that it was deployed with.
    pub parameters: BTreeMap<String, String>,
    /// The hash of the build and the parameters.
    pub fingerprint: String,
    /// Its outputs. The URLs of its APIs are those on this machine.
    pub outputs: BTreeMap<String, String>,
}

/// How a stack is to be deployed.
struct PlannedDeployment {
    /// The template's parameters.
    parameters: BTreeMap<String, String>,
    /// The hash of the build and the parameters.
    fingerprint: String,
}

/// A local AWS with stacks in it.
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
    /// Builds an application, starts a local AWS of its own, and deploys the stack into it. It ends when the returned
    /// value is dropped.
    ///
    /// # Errors
    /// Returns an error if any of that fails.
    pub async fn start(
        settings: &Settings,
        options: &StackOptions,
        progress: Progress,
    ) -> Result<Self, Error> {
        let checkout = Checkout::find()?;
        let (tools, built) = build(&checkout, &options.application, options.profile, progress).await?;
        let home = tempfile::Builder::new()
            .prefix("push-code-")
            .tempdir()
            .map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
        let folder = home.path().to_owned();
        let (ministack, child) = Ministack::start(&tools, settings, &folder, true).await?;
        let mut local = Self {
            record: Record::new(ministack),
            checkout,
            tools,
            folder,
            owned: Some((child, home)),
            progress,
        };
        local.deploy_built(&built, options).await?;
        Ok(local)
    }

    /// Makes sure that the checkout's local AWS runs, with the stack as it is in the checkout now. Steps whose inputs
    /// have not changed are skipped.
    ///
    /// # Errors
    /// Returns an error if any of that fails.
    pub async fn up(settings: &Settings, options: &StackOptions, progress: Progress) -> Result<Self, Error> {
        let checkout = Checkout::find()?;
        let (tools, built) = build(&checkout, &options.application, options.profile, progress).await?;
        let folder = checkout.folder()?;
        let _lock = lock(&folder.join("up.lock"), Lock::Exclusive, progress).await?;
        let record = match running(&checkout)? {
            Some(record) => {
                check_same(&record.ministack, settings)?;
                if !record.ministack.is_healthy().await {
                    return Err(record
                        .ministack
                        .failed("runs but does not respond (`push-code local down` ends it)".to_owned()));
                }
                record
            }
            None => {
                let step = progress.step("Starting the local AWS");
                let (ministack, _child) = Ministack::start(&tools, settings, &folder, false).await?;
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
        local.deploy_built(&built, options).await?;
        Ok(local)
    }

    /// Builds an application, and deploys it as one more stack. Steps whose inputs have not changed are skipped.
    ///
    /// # Errors
    /// Returns an error if any of that fails.
    pub async fn deploy(&mut self, options: &StackOptions) -> Result<Stack, Error> {
        let built = self.build(options).await?;
        self.deploy_built(&built, options).await?;
        self.stack_named(&options.place())
    }

    async fn build(&self, options: &StackOptions) -> Result<Build, Error> {
        let (application, profile) = (&options.application, options.profile);
        let (_, built) = build(&self.checkout, application, profile, self.progress).await?;
        Ok(built)
    }

    /// Builds an application, and deploys it as one more stack, which is not recorded: no other command finds it.
    ///
    /// # Errors
    /// Returns an error if any of that fails.
    pub async fn deploy_unrecorded(&self, options: &StackOptions) -> Result<Stack, Error> {
        let built = self.build(options).await?;
        let Some(planned) = self.planned(&built, options) else {
            return self.stack_named(&options.place());
        };
        self.deploy_unrecorded_as(planned, &built.template, options).await
    }

    /// Deploys another version of an application as one more stack, or over one, which is not recorded: the template
    /// names functions that are built already.
    ///
    /// # Errors
    /// Returns an error if the deployment fails.
    pub async fn deploy_template(&self, template: &Path, options: &StackOptions) -> Result<Stack, Error> {
        let planned = PlannedDeployment {
            parameters: options.all_parameters(),
            fingerprint: String::new(),
        };
        self.deploy_unrecorded_as(planned, template, options).await
    }

    async fn deploy_unrecorded_as(
        &self,
        planned: PlannedDeployment,
        template: &Path,
        options: &StackOptions,
    ) -> Result<Stack, Error> {
        let deployed = self.deploy_planned(planned, template, options).await?;
        let config = self.record.ministack.sdk_config_of(&options.access_key);
        Ok(Stack::new(&options.name, deployed.outputs, config))
    }

    /// Deploys a stack and records it, unless it is already deployed as the options say.
    async fn deploy_built(&mut self, built: &Build, options: &StackOptions) -> Result<(), Error> {
        let Some(planned) = self.planned(built, options) else {
            return Ok(());
        };
        let place = options.place();
        // If this is interrupted the stack may be as it was, or as it is to be. So the next deployment is made in any
        // case.
        if let Some(deployed) = self.record.stacks.get_mut(&place) {
            deployed.fingerprint.clear();
            self.save()?;
        }
        let deployed = self.deploy_planned(planned, &built.template, options).await?;
        self.record.stacks.insert(place, deployed);
        self.save()
    }

    /// Returns what is to be deployed, or `None` if it is recorded as deployed as the options say.
    fn planned(&self, built: &Build, options: &StackOptions) -> Option<PlannedDeployment> {
        let parameters = options.all_parameters();
        let endpoint = self.endpoint();
        let deployment = self.deployment(&built.template, options, (&parameters, &endpoint));
        let fingerprint = deployment.fingerprint(&built.fingerprint);
        let deployed = self.record.stacks.get(&options.place());
        let is_deployed = deployed.is_some_and(|deployed| deployed.fingerprint == fingerprint);
        (!is_deployed).then_some(PlannedDeployment {
            parameters,
            fingerprint,
        })
    }

    fn deployment<'a>(
        &'a self,
        template: &'a Path,
        options: &'a StackOptions,
        (parameters, endpoint): (&'a BTreeMap<String, String>, &'a str),
    ) -> Deployment<'a> {
        Deployment {
            application: &options.application,
            name: &options.name,
            parameters,
            endpoint,
            access_key: &options.access_key,
            secret_key: &self.record.ministack.secret_key,
            template,
        }
    }

    /// Deploys a stack.
    async fn deploy_planned(
        &self,
        planned: PlannedDeployment,
        template: &Path,
        options: &StackOptions,
    ) -> Result<Deployed, Error> {
        let StackOptions {
            application, name, ..
        } = options;
        let PlannedDeployment {
            parameters,
            fingerprint,
        } = planned;
        let endpoint = self.endpoint();
        let deployment = self.deployment(template, options, (&parameters, &endpoint));
        let log = self
            .folder
            .join(format!("sam-deploy-{}.log", options.place().replace('/', "-")));
        deployment
            .deploy(&self.checkout, self.tools.sam(), &log, self.progress)
            .await?;
        let step = self.progress.step("Reading the stack's outputs");
        let config = self.record.ministack.sdk_config_of(&options.access_key);
        let stack = Stack::deployed(name, config).await?;
        drop(step);
        admit_plain_http(&stack, application).await?;
        Ok(Deployed {
            parameters,
            fingerprint,
            outputs: stack.outputs().clone(),
        })
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

    /// Returns the folders of the programs that builds need: SAM CLI, cargo-lambda and zig.
    #[must_use]
    pub fn tool_folders(&self) -> Vec<PathBuf> {
        vec![self.tools.sam().bin()]
    }

    /// Returns the folder of the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the stack of Push Code in it.
    ///
    /// # Errors
    /// Returns [`Error::NotDeployed`] if there is none.
    pub fn stack(&self) -> Result<Stack, Error> {
        self.stack_named(PUSH_CODE.name)
    }

    /// Returns the stack of this name in it.
    ///
    /// # Errors
    /// Returns [`Error::NotDeployed`] if there is none.
    pub fn stack_named(&self, name: &str) -> Result<Stack, Error> {
        let stack = self.record.stack_named(name);
        stack.ok_or_else(|| Error::NotDeployed(name.to_owned()))
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
            tools: self.tools.sam().clone(),
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
            stacks: BTreeMap::new(),
            git_password: uuid::Uuid::new_v4().simple().to_string(),
            pushed: BTreeMap::new(),
        }
    }

    /// Returns the stack of this name that is deployed, or `None` if there is none.
    #[must_use]
    pub fn stack_named(&self, name: &str) -> Option<Stack> {
        let deployed = self.stacks.get(name)?;
        let (account, name) = name.split_once('/').unwrap_or((ACCESS_KEY, name));
        let config = self.ministack.sdk_config_of(account);
        Some(Stack::new(name, deployed.outputs.clone(), config))
    }
}

/// Removes the buckets' policies, which refuse requests without TLS. On the loopback, there is no TLS.
async fn admit_plain_http(stack: &Stack, application: &Application) -> Result<(), Error> {
    for output in application.buckets {
        let bucket = stack.output(output)?;
        let delete = stack.s3().delete_bucket_policy().bucket(bucket).send();
        let action = format!("remove the policy of the bucket {bucket}");
        delete.await.map_err(deployed_stack::Error::aws(action))?;
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

/// Checks that the running local AWS has the wanted port, because it cannot move to another one.
fn check_same(running: &Ministack, wanted: &Settings) -> Result<(), Error> {
    if running.port == wanted.port {
        return Ok(());
    }
    Err(Error::RunsAlready {
        endpoint: running.endpoint(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deployment_that_was_interrupted_is_made_again() {
        let tools = Tools::install(Progress::Silent).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let (ministack, child) = Ministack::start(&tools, &Settings::default(), home.path(), true)
            .await
            .unwrap();
        let mut local = LocalAws {
            record: Record::new(ministack),
            checkout: Checkout::find().unwrap(),
            tools,
            folder: home.path().to_owned(),
            owned: Some((child, home)),
            progress: Progress::Silent,
        };
        let options = StackOptions::of(PUSH_CODE);
        let built = Build::of(local.checkout.template(&PUSH_CODE));
        let planned = local.planned(&built, &options).unwrap();
        let deployed = Deployed {
            parameters: planned.parameters,
            fingerprint: planned.fingerprint,
            outputs: BTreeMap::new(),
        };
        local.record.stacks.insert(options.place(), deployed);
        assert!(local.planned(&built, &options).is_none());
        let mut changed = options.clone();
        let option = ("SourceOptions".to_owned(), r#"{"lfs":true}"#.to_owned());
        changed.parameters.extend([option]);
        let deploy = local.deploy_built(&built, &changed);
        // sam has only begun to start.
        let interrupted = tokio::time::timeout(Duration::from_millis(100), deploy).await;
        assert!(interrupted.is_err());
        assert!(local.planned(&built, &options).is_some());
    }
}
