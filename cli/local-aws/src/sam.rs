//! Runs `sam build`, `sam deploy` and `sam local invoke` against the local AWS, as users run them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_config::SdkConfig;
use deployed_stack::{Stack, login};
use serde_json::Value;
use sha2::{Digest, Sha256};
use shell::process;
use shell::progress::Progress;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Error;
use crate::application::Application;
use crate::architecture::Architecture;
use crate::checkout::Checkout;
use crate::environment::only_local_aws;
use crate::tools::Sam;
use crate::{ACCESS_KEY, REGION};

/// Returns the folder that `sam build` writes to: for this machine's processors its own default for `template.yaml`,
/// and another one for any other template beside it.
#[must_use]
pub fn build_folder(checkout: &Checkout, application: &Application, architecture: Architecture) -> PathBuf {
    let stem = Path::new(application.template).file_stem();
    let name = stem
        .filter(|stem| *stem != "template")
        .unwrap_or("build".as_ref());
    let name = format!("{}{}", name.display(), suffix(architecture));
    checkout.template_folder(application).join(".aws-sam").join(name)
}

/// Returns the program of a function that `sam build` has built, such as that of `accept`.
#[must_use]
pub fn built(
    checkout: &Checkout,
    application: &Application,
    architecture: Architecture,
    function: &str,
) -> PathBuf {
    let (first, rest) = function.split_at(1);
    let resource = format!("{}{rest}Function", first.to_uppercase());
    build_folder(checkout, application, architecture)
        .join(resource)
        .join("bootstrap")
}

/// Returns what names of builds for other processors than this machine's end with.
pub(crate) fn suffix(architecture: Architecture) -> String {
    if architecture == Architecture::THIS {
        String::new()
    } else {
        format!("-{architecture}")
    }
}

/// Builds the functions of an application for a deployment, with all output in `log`.
///
/// # Errors
/// Returns [`Error::Build`] if that fails.
pub async fn build(
    checkout: &Checkout,
    (application, architecture): (&Application, Architecture),
    tools: &Sam,
    log: &Path,
) -> Result<(), Error> {
    let mut sam = sam(tools);
    sam.current_dir(checkout.template_folder(application))
        .arg("build")
        .arg("--template-file")
        .arg(checkout.template(application))
        .arg("--build-dir")
        .arg(build_folder(checkout, application, architecture))
        .args(["--parameter-overrides", &for_architecture(architecture)]);
    if process::run_logged(&mut sam, log).await?.success() {
        return Ok(());
    }
    Err(Error::Build {
        command: "sam build",
        tail: process::tail(log),
        log: log.to_owned(),
    })
}

/// Builds the command `push-code` as functions are built, with all output in `log`. Returns its file.
///
/// By zig, so that it needs no later C library than they do. It is told that it is built for a release.
///
/// # Errors
/// Returns [`Error::Build`] if that fails.
pub async fn build_command(
    checkout: &Checkout,
    architecture: Architecture,
    tools: &Sam,
    log: &Path,
) -> Result<PathBuf, Error> {
    const NAME: &str = "push-code";
    let folder = checkout.folder()?.join("command");
    let mut cargo = with_tools("cargo", tools);
    cargo
        .current_dir(checkout.root())
        .args(["lambda", "build", "--release", "--locked"])
        .args(["--package", NAME, "--bin", NAME])
        .args(["--target", architecture.target()])
        .arg("--lambda-dir")
        .arg(&folder)
        .env("PUSH_CODE_RELEASE", "1");
    if process::run_logged(&mut cargo, log).await?.success() {
        return Ok(folder.join(NAME).join("bootstrap"));
    }
    Err(Error::Build {
        command: "cargo lambda build",
        tail: process::tail(log),
        log: log.to_owned(),
    })
}

/// A stack that is to be deployed.
#[derive(Debug, Clone)]
pub struct Deployment<'a> {
    /// What is deployed.
    pub application: &'a Application,
    /// Its name.
    pub name: &'a str,
    /// The template's parameters that are not the default.
    pub parameters: &'a BTreeMap<String, String>,
    /// The local AWS.
    pub endpoint: &'a str,
    /// The access key id of its administrator in the stack's account.
    pub access_key: &'a str,
    /// The secret of that access key.
    pub secret_key: &'a str,
    /// Its template, which names the built functions.
    pub template: &'a Path,
}

impl Deployment<'_> {
    /// Returns a hash that changes whenever the stack has to be deployed again.
    #[must_use]
    pub fn fingerprint(&self, built: &str) -> String {
        let mut hash = Sha256::new();
        for part in [built, self.access_key, self.name] {
            hash.update(part);
            hash.update([0]);
        }
        for (name, value) in self.parameters {
            hash.update(parameter(name, value));
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }

    /// Deploys the stack.
    ///
    /// # Errors
    /// Returns [`Error::Deploy`] if that fails.
    pub async fn deploy(
        &self,
        checkout: &Checkout,
        tools: &Sam,
        log: &Path,
        progress: Progress,
    ) -> Result<(), Error> {
        let sam = self.sam(checkout, tools);
        let defaults = checkout.template_folder(self.application).join("samconfig.toml");
        let files = (self.template, defaults.as_path());
        // All stacks share what they upload.
        let target = Target {
            name: self.name,
            parameters: self.parameters,
            tags: &BTreeMap::new(),
        };
        deploy(sam, (target, REGION, None), files, (log, progress)).await
    }

    fn sam(&self, checkout: &Checkout, tools: &Sam) -> Command {
        let mut sam = as_administrator(checkout, tools, self.secret_key);
        sam.env("AWS_ENDPOINT_URL", self.endpoint)
            .env("AWS_ACCESS_KEY_ID", self.access_key);
        sam
    }
}

/// What a stack is to be.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its name.
    pub name: &'a str,
    /// The template's parameters. If the stack exists, those that are not named keep their values.
    pub parameters: &'a BTreeMap<String, String>,
    /// All its tags.
    pub tags: &'a BTreeMap<String, String>,
}

/// Deploys Push Code to the AWS of a configuration. `folder` has the defaults of sam.
///
/// # Errors
/// Returns [`Error::Deploy`] if that fails.
pub async fn deploy_to(
    config: &SdkConfig,
    tools: &Sam,
    target: Target<'_>,
    (folder, template): (&Path, &Path),
    (log, progress): (&Path, Progress),
) -> Result<Stack, Error> {
    let mut sam = as_user(config, tools).await?;
    sam.current_dir(folder);
    let region = config.region().ok_or(deployed_stack::Error::NoRegion)?;
    let defaults = folder.join("samconfig.toml");
    let files = (template, defaults.as_path());
    // The policy of a deployer names the stack's own uploads (docs/install/deployer-policy.json). `sam deploy --guided`
    // does the same.
    let stack = (target, region.as_ref(), Some(target.name));
    deploy(sam, stack, files, (log, progress)).await?;
    Ok(Stack::deployed(target.name, config.clone()).await?)
}

/// Runs `sam deploy`, with all output in `log`. What it uploads is below `prefix`, or below that of the defaults if
/// `None`.
async fn deploy(
    mut sam: Command,
    (target, region, prefix): (Target<'_>, &str, Option<&str>),
    (template, defaults): (&Path, &Path),
    (log, progress): (&Path, Progress),
) -> Result<(), Error> {
    let Target {
        name,
        parameters,
        tags,
    } = target;
    let step = progress.step(format!("Deploying the stack {name} with sam deploy"));
    sam.args(["deploy", "--stack-name", name, "--region", region])
        .arg("--template-file")
        .arg(template)
        // By default, sam looks for it beside the template.
        .arg("--config-file")
        .arg(defaults)
        .args([
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
        ]);
    if let Some(prefix) = prefix {
        sam.args(["--s3-prefix", prefix]);
    }
    if !parameters.is_empty() {
        sam.arg("--parameter-overrides");
        sam.args(parameters.iter().map(|(name, value)| parameter(name, value)));
    }
    if !tags.is_empty() {
        sam.arg("--tags");
        sam.args(tags.iter().map(|(key, value)| tag(key, value)));
    }
    if !process::run_logged(&mut sam, log).await?.success() {
        return Err(Error::Deploy {
            tail: process::tail(log),
            log: log.to_owned(),
        });
    }
    step.done(&format!("Deployed the stack {name} with sam deploy"));
    Ok(())
}

/// The functions that were built, to be run in containers.
#[derive(Debug)]
pub struct Functions {
    pub(crate) checkout: Checkout,
    pub(crate) tools: Sam,
    /// The secret of the administrator's access key, with which they run.
    pub(crate) secret_key: String,
    /// The values of the variables that the template sets for them.
    pub(crate) variables: tempfile::NamedTempFile,
    /// Further arguments of `sam local invoke`.
    pub(crate) arguments: Vec<String>,
}

impl Functions {
    /// Runs a function, and returns its response, which may be an error of its own. Its log goes to stderr.
    ///
    /// # Errors
    /// Returns [`Error::Invoke`] if it did not run.
    pub async fn invoke(&self, name: &str, event: &Value) -> Result<Value, Error> {
        let mut sam = as_administrator(&self.checkout, &self.tools, &self.secret_key);
        sam.args([
            "local",
            "invoke",
            &format!("{name}Function"),
            "--region",
            REGION,
            "--event",
            "-",
        ])
        .args(["--parameter-overrides", &for_architecture(Architecture::THIS)])
        .arg("--env-vars")
        .arg(self.variables.path())
        .args(&self.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
        let run = async {
            let mut sam = sam.spawn()?;
            if let Some(mut input) = sam.stdin.take() {
                input.write_all(event.to_string().as_bytes()).await?;
            }
            sam.wait_with_output().await
        };
        let output = run.await.map_err(Error::io("run", Path::new("sam")))?;
        // The response is the last line.
        let said = String::from_utf8_lossy(&output.stdout);
        let answer = said.lines().rev().find(|line| !line.trim().is_empty());
        answer
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(|| Error::Invoke {
                function: name.to_owned(),
                status: output.status,
            })
    }
}

/// Returns a command that runs sam with the credentials of a configuration.
async fn as_user(config: &SdkConfig, tools: &Sam) -> Result<Command, Error> {
    let mut sam = sam(tools);
    if let Some(credentials) = login::credentials(config).await? {
        sam.env("AWS_ACCESS_KEY_ID", credentials.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key())
            .envs(
                credentials
                    .session_token()
                    .map(|token| ("AWS_SESSION_TOKEN", token)),
            );
    }
    sam.envs(config.endpoint_url().map(|url| ("AWS_ENDPOINT_URL", url)));
    Ok(sam)
}

fn as_administrator(checkout: &Checkout, tools: &Sam, secret_key: &str) -> Command {
    let mut sam = sam(tools);
    sam.current_dir(checkout.root())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", secret_key)
        .env("AWS_DEFAULT_REGION", REGION);
    sam
}

fn sam(tools: &Sam) -> Command {
    let mut sam = with_tools(tools.bin().join("sam"), tools);
    sam.env("SAM_CLI_TELEMETRY", "0")
        .env("SAM_CLI_BETA_RUST_CARGO_LAMBDA", "1");
    sam
}

/// Returns a command that finds the tools: sam finds cargo-lambda, and cargo-lambda finds zig, by the variable PATH.
fn with_tools(program: impl AsRef<OsStr>, tools: &Sam) -> Command {
    let mut command = process::command(program);
    only_local_aws(&mut command);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(tools.bin()).chain(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(path) {
        command.env("PATH", path);
    }
    command
}

/// Returns the parameter by which sam knows for which processors the functions are.
fn for_architecture(architecture: Architecture) -> String {
    parameter("Architecture", architecture.name())
}

/// Formats a parameter for sam, quoted, because a value may contain spaces.
fn parameter(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name}=\"{value}\"")
}

/// Formats a tag for sam, quoted, because keys and values may contain spaces and equals signs. They contain no quotes.
fn tag(key: &str, value: &str) -> String {
    format!("\"{key}\"=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::PUSH_CODE;

    #[test]
    fn a_stack_is_deployed_again_for_other_builds_and_parameters() {
        let parameters = BTreeMap::from([("A".to_owned(), "b c".to_owned())]);
        let other = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
        let deployment = |parameters| Deployment {
            application: &PUSH_CODE,
            name: "push-code",
            parameters,
            endpoint: "http://127.0.0.1:4566",
            access_key: "test",
            secret_key: "secret",
            template: Path::new("template.yaml"),
        };
        let fingerprint = deployment(&parameters).fingerprint("built");
        assert_eq!(deployment(&parameters).fingerprint("built"), fingerprint);
        assert_ne!(deployment(&parameters).fingerprint("other"), fingerprint);
        assert_ne!(deployment(&other).fingerprint("built"), fingerprint);
    }

    #[test]
    fn parameters_are_quoted() {
        assert_eq!(parameter("Refs", r#"a "b" \c"#), r#"Refs="a \"b\" \\c""#);
    }
}
