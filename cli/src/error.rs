//! What can go wrong on this machine, each with what to do about it.

use std::path::{Path, PathBuf};

use crate::output::one_line;

/// An error of the `push-code` command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The local AWS runs the Lambdas' Linux binaries as they are.
    #[error(
        "the local AWS runs on Linux only, as it runs the Lambdas' own Linux binaries: use a Linux machine, virtual machine or container"
    )]
    NotLinux,
    /// Neither the current folder nor where this was built is a checkout of Push Code.
    #[error(
        "{} is not in a checkout of Push Code (a folder with template.yaml and lambdas/): change into one, then run it again", .0.display()
    )]
    NoCheckout(PathBuf),
    /// There is no usable Python.
    #[error(
        "{found}: install Python 3.10 to 3.14, so that one of `{tried}` is it (Debian: apt install python3 python3-venv)"
    )]
    Python {
        /// What was found instead.
        found: String,
        /// The names that were tried.
        tried: String,
    },
    /// Python comes without venv.
    #[error(
        "{python} cannot make a virtual environment, as its module venv or ensurepip is missing: install it (Debian: apt install python3-venv), then run this again\n{detail}"
    )]
    VenvMissing {
        /// The interpreter.
        python: String,
        /// What it said.
        detail: String,
    },
    /// pip failed.
    #[error(
        "the Python tools in {requirements} could not be installed: check the network and pip's settings (pip config list), then run this again\n{tail}\nThe whole log: {}", log.display()
    )]
    Pip {
        /// The requirements file.
        requirements: &'static str,
        /// pip's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// No AWS credentials.
    #[error(
        "there are no AWS credentials that can be used: log in (`aws sso login`), name a profile with AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// git is not installed.
    #[error("git was not found: install it (Debian: apt install git), then run this again")]
    GitMissing,
    /// A git command failed.
    #[error("`git {command}` failed: {message}")]
    Git {
        /// Its arguments.
        command: String,
        /// What it said.
        message: String,
    },
    /// The remote repository cannot be read.
    #[error(
        "the refs of {url} cannot be read: check the URL; a private repository needs --token (http, https) or --identity and --known-hosts (ssh)\ngit says: {message}"
    )]
    Remote {
        /// The repository.
        url: String,
        /// What git said.
        message: String,
    },
    /// The host sends elsewhere, and the token is for this host alone.
    #[error(
        "{url} has moved: its host redirects to another address, which was not asked, as the token is for this one alone. \
         Run this again with the repository's new URL, which the host's own pages name"
    )]
    Redirected {
        /// The repository.
        url: String,
    },
    /// The folder is no git repository, or git refuses to read it.
    #[error(
        "{repository} is not a git repository that can be served: name another folder or a URL, as in `push-code local push ../project`\ngit says: {message}"
    )]
    NotARepository {
        /// The folder.
        repository: String,
        /// What git said.
        message: String,
    },
    /// There is nothing to push yet.
    #[error(
        "{repository} has no commit on its current branch yet: commit something, or name another ref with --ref"
    )]
    UnbornHead {
        /// The folder.
        repository: String,
    },
    /// There is no such ref.
    #[error("{repository} has no branch or tag {name:?}: `git ls-remote {repository}` lists what there is")]
    RefUnknown {
        /// The name as it was given.
        name: String,
        /// The folder or URL.
        repository: String,
    },
    /// Only branches and tags make webhooks.
    #[error(
        "{name} is neither a branch nor a tag: git hosts send webhooks for refs/heads/ and refs/tags/ only, so name one of these with --ref"
    )]
    NotBranchOrTag {
        /// The full name.
        name: String,
    },
    /// Something else listens there.
    #[error(
        "port {port} of 127.0.0.1, wanted for {purpose}, is in use: end what uses it, or choose another with {remedy}"
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// What wanted it.
        purpose: &'static str,
        /// The option that chooses another.
        remedy: &'static str,
    },
    /// The git host does not serve.
    #[error(transparent)]
    GitHost(git_host::Error),
    /// The functions could not be built.
    #[error("{command} failed: correct what it names, then run this again\n{tail}\nThe whole log: {}", log.display())]
    Build {
        /// What was run.
        command: &'static str,
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// `sam deploy` failed.
    #[error("sam deploy failed: correct what it names, then run this again\n{tail}\nThe whole log: {}", log.display())]
    Deploy {
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// The local AWS did not start, or is gone.
    #[error("the local AWS {what}: run `push-code local up` to start a new one\n{tail}\nThe whole log: {}", log.display())]
    LocalAws {
        /// What happened to it.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// There is nothing that runs containers.
    #[error("no container engine answers: start Docker, or name another one with DOCKER_HOST, then run this again\ndocker says: {}", one_line(.message))]
    NoContainerEngine {
        /// Why not.
        message: String,
    },
    /// Containers cannot be let in.
    #[error(
        "cannot listen on {host}:{port}, where containers are to reach this machine: name its address in their network with --container-host"
    )]
    Forward {
        /// The address.
        host: std::net::IpAddr,
        /// The port.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// A function did not run.
    #[error("{function} has not answered: sam local invoke ended ({status}), and says above why")]
    Invoke {
        /// The function.
        function: String,
        /// How sam ended.
        status: std::process::ExitStatus,
    },
    /// A function failed.
    #[error("{function} failed with {error}: {}{}", one_line(.cause), remedy(.error, .cause))]
    FunctionFailed {
        /// The function.
        function: String,
        /// The error's name.
        error: String,
        /// What happened.
        cause: String,
    },
    /// No stack is deployed in the local AWS.
    #[error("no stack is deployed in the local AWS: `push-code local up` deploys it")]
    NotDeployed,
    /// The stack lacks an output that this command reads.
    #[error(
        "the stack {stack} has no output {name}: template.yaml is of another version than this command; build both from one checkout"
    )]
    OutputMissing {
        /// The stack.
        stack: String,
        /// The output.
        name: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of this command's own cannot be read.
    #[error("{} is not what this command wrote: remove it, then run this again", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// An AWS call failed.
    #[error("cannot {action}: {message}")]
    Aws {
        /// What was tried.
        action: String,
        /// The whole chain of causes.
        message: String,
    },
    /// An HTTP call failed.
    #[error("cannot {action}")]
    Http {
        /// What was tried.
        action: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The webhook answered with an error.
    #[error("the webhook {url} answered {status}: {message}")]
    WebhookRefused {
        /// The webhook.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The webhook accepted the push and started nothing.
    #[error("the webhook started nothing: {}", one_line(.reason))]
    NothingStarted {
        /// Why.
        reason: String,
    },
    /// The execution ended, and there is no zip.
    #[error("the push {push_id} was not delivered, it is {status}: {}", one_line(.reason))]
    NotDelivered {
        /// The push.
        push_id: String,
        /// How it ended.
        status: String,
        /// Why.
        reason: String,
    },
    /// The execution failed.
    #[error("the push {push_id} failed with {error}: {}{}", one_line(.cause), remedy(.error, .cause))]
    ExecutionFailed {
        /// The push.
        push_id: String,
        /// The error's name.
        error: String,
        /// What happened.
        cause: String,
    },
    /// The trail cannot be read.
    #[error("the audit trail of the push {push_id} cannot be read: {message}")]
    Trail {
        /// The push.
        push_id: String,
        /// What is wrong.
        message: String,
    },
    /// The user has ended it.
    #[error(
        "interrupted: the push that was begun goes on in the local AWS, without credentials for the git host"
    )]
    Interrupted,
    /// The zip is not the one that was packaged.
    #[error(
        "the zip that was downloaded has the SHA-256 {found}, and {by} says {expected}: download it again"
    )]
    Checksum {
        /// Of the bytes that came.
        found: String,
        /// What was expected.
        expected: String,
        /// Who expected it.
        by: &'static str,
    },
}

/// What to do, where the cause does not say it already, as that of a failed stage does.
fn remedy(error: &str, cause: &str) -> String {
    let remedy = domain::error::remedy(error);
    if cause.contains(remedy) {
        String::new()
    } else {
        format!(" {remedy}")
    }
}

impl From<git_host::Error> for Error {
    fn from(error: git_host::Error) -> Self {
        match error {
            git_host::Error::PortInUse(port) => Self::PortInUse {
                port,
                purpose: "the git host",
                remedy: "--git-port",
            },
            other => Self::GitHost(other),
        }
    }
}

impl Error {
    /// Wraps an I/O error with what was tried, and with what.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Wraps an HTTP error with what was tried.
    pub fn http(action: impl Into<String>) -> impl FnOnce(reqwest::Error) -> Self {
        move |source| Self::Http {
            action: action.into(),
            source,
        }
    }

    /// Wraps an error of the AWS SDK, with all its causes.
    pub fn aws<E: std::error::Error>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |error| Self::Aws {
            action: action.into(),
            message: aws_sdk_sfn::error::DisplayErrorContext(error).to_string(),
        }
    }

    /// The process's exit code: 2 where the command line is at fault, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Usage(_)) { 2 } else { 1 }
    }
}
