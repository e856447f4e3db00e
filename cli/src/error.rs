//! What can fail on this machine, each with a remedy.

use std::path::{Path, PathBuf};

use deployed_stack::remedy;
use serde_json::{Value, json};
use shell::IoError;
use shell::output::one_line;
use shell::report::causes;

use crate::unverified::Unverified;

/// Where results go, as errors name it.
const STANDARD_OUTPUT: &str = "standard output";

/// An error of the `push-code` command.
#[derive(Debug, strum::AsRefStr, thiserror::Error)]
pub enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// There is no such push.
    #[error(
        "there is no push {push_id} in the stack {stack}: the webhook's response and the name of its execution have the id"
    )]
    NoPush {
        /// Its id.
        push_id: String,
        /// The stack of the pushes.
        stack: String,
    },
    /// There is no push of the commit.
    #[error(
        "no push of the commit {commit} is in the trail of the stack {stack}: `git log` shows the ids of commits"
    )]
    NoPushOfCommit {
        /// The beginning of its id.
        commit: String,
        /// The stack of the pushes.
        stack: String,
    },
    /// There is no CodeBuild on this machine.
    #[error("the local CodeBuild cannot be started")]
    CodeBuild(#[source] Box<local_codebuild::Error>),
    /// There are no AWS credentials.
    #[error(
        "there are no AWS credentials that can be used: log in (`aws sso login`), name a profile with AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The stack cannot be deployed as it is.
    #[error("the stack {stack} is in the state {status}: {remedy}, then run this again")]
    StackState {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is neither a checkout nor a release.
    #[error(
        "{} is not in a checkout of Push Code, so there is nothing to build and deploy: name a release with --release push-code-VERSION.tar.gz, or change into a checkout", .0.display()
    )]
    NothingToDeploy(PathBuf),
    /// The release cannot be deployed.
    #[error(transparent)]
    Release(#[from] release::Error),
    /// git is not installed.
    #[error("git was not found: install it (Debian: apt install git), then run this again")]
    GitMissing,
    /// A git command failed.
    #[error("`git {command}` failed: {message}")]
    Git {
        /// Its arguments.
        command: String,
        /// Its output.
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
    /// The host redirects to another address, and the token is for this host alone.
    #[error(
        "{url} has moved: its host redirects to another address, which this command does not follow, because the token is for this one alone. \
         Run this again with the repository's new URL, which the host's own pages name"
    )]
    Redirected {
        /// The repository.
        url: String,
    },
    /// The folder is not a git repository, or git refuses to read it.
    #[error(
        "{repository} is not a git repository that can be served: name another folder or a URL\n{message}"
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
    #[error(
        "{repository} has no branch or tag {name:?}: `git ls-remote {repository}` lists those that it has"
    )]
    RefUnknown {
        /// The name as it was given.
        name: String,
        /// The folder or URL.
        repository: String,
    },
    /// Git hosts send webhooks for branches and tags only.
    #[error(
        "{name} is neither a branch nor a tag: git hosts send webhooks for refs/heads/ and refs/tags/ only, so name one of these with --ref"
    )]
    NotBranchOrTag {
        /// The full name.
        name: String,
    },
    /// Another program listens on the port.
    #[error(
        "port {0} of 127.0.0.1, which the git host needs, is in use: end the program that uses it, or choose another port with --git-port"
    )]
    PortInUse(u16),
    /// Another program listens on the port.
    #[error(
        "the Hacker News that is made up cannot listen on port {port} of 127.0.0.1: end the program that uses it, or choose another port with --news-port"
    )]
    NewsPort {
        /// The port.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// The example application has no answer.
    #[error("the deepest thread was not found: {}: {}", one_line(.error), one_line(.message))]
    NoAnswer {
        /// The error's name.
        error: String,
        /// What happened.
        message: String,
    },
    /// The board cannot be served.
    #[error(transparent)]
    Board(#[from] board::Error),
    /// The git host does not serve.
    #[error(transparent)]
    GitHost(git_host::Error),
    /// The local AWS, a build or a deployment failed.
    #[error(transparent)]
    LocalAws(#[from] local_aws::Error),
    /// A deployed stack cannot be used.
    #[error(transparent)]
    Stack(#[from] deployed_stack::Error),
    /// Something with the sources of a stack failed.
    #[error(transparent)]
    Sources(#[from] sources::Error),
    /// A person did not agree.
    #[error("nothing was changed, because you did not agree")]
    NotConfirmed,
    /// A zip is not verified.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// A file or folder cannot be used.
    #[error(transparent)]
    Io(#[from] IoError),
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
    /// A push that was to fail has ended in another way.
    #[error(
        "the push {push_id} was to fail with {promised}, and {}: its trail has more (`push-code pushes show {push_id} --local`)",
        one_line(.instead)
    )]
    NotFailed {
        /// The push.
        push_id: String,
        /// The error that it was to fail with.
        promised: &'static str,
        /// What has become of it.
        instead: String,
    },
    /// The failure topic has sent nothing.
    #[error(
        "the push {push_id} has failed, and no mail about it has come within {seconds} s: the state Notify of its execution says why, in the log that `push-code local status` names"
    )]
    NoMail {
        /// The push.
        push_id: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The user has interrupted the command.
    #[error(
        "interrupted: the push that was started continues in the local AWS, without credentials for the git host"
    )]
    Interrupted,
    /// The zip is not the one that was packaged.
    #[error("the downloaded zip has the SHA-256 {found}, but {by} says {expected}: download it again")]
    Checksum {
        /// The SHA-256 of the downloaded bytes.
        found: String,
        /// The expected SHA-256.
        expected: String,
        /// What names the expected one.
        by: &'static str,
    },
}

impl From<git_host::Error> for Error {
    fn from(error: git_host::Error) -> Self {
        match error {
            git_host::Error::PortInUse(port) => Self::PortInUse(port),
            other => Self::GitHost(other),
        }
    }
}

impl Error {
    /// Wraps an I/O error with what was tried, and with what.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let wrap = IoError::of(action, path);
        |source| wrap(source).into()
    }

    /// Wraps an error of writing to standard output.
    #[must_use]
    pub fn output(source: std::io::Error) -> Self {
        Self::io("write to", Path::new(STANDARD_OUTPUT))(source)
    }

    /// Returns whether it is that nobody reads standard output any more. A host that closes its connection fails with
    /// the same kind of error, and that is a failure.
    #[must_use]
    pub fn is_of_closed_output(&self) -> bool {
        matches!(self, Self::Io(error) if error.path == Path::new(STANDARD_OUTPUT)
            && error.source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Returns the error for programs: its code, its cause, and its remedy. If a stage has failed, the code and the
    /// remedy are those of its error. Otherwise the code is the variant's name, the remedy is null, and the cause says
    /// what to do.
    #[must_use]
    pub fn document(&self) -> Value {
        match self {
            Self::ExecutionFailed { error, cause, .. }
            | Self::LocalAws(local_aws::Error::FunctionFailed { error, cause, .. }) => {
                json!({ "code": error, "cause": cause, "remedy": domain::error::remedy(error) })
            }
            Self::NoAnswer { error, message } => {
                json!({ "code": error, "cause": message, "remedy": null })
            }
            _ => {
                let mut cause = self.to_string();
                for error in causes(self) {
                    cause.push_str(&format!("; because: {error}"));
                }
                let code = match self {
                    Self::Stack(error) | Self::LocalAws(local_aws::Error::Stack(error)) => error.as_ref(),
                    Self::LocalAws(error) => error.as_ref(),
                    Self::Release(error) => error.as_ref(),
                    Self::Sources(error) => error.as_ref(),
                    _ => self.as_ref(),
                };
                json!({ "code": code, "cause": cause, "remedy": null })
            }
        }
    }

    /// Returns the process's exit code, which is 2 if the command line is wrong, and 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::LocalAws(error) if error.is_wrong_usage() => 2,
            Self::Stack(error) if error.is_wrong_usage() => 2,
            Self::Sources(error) if error.is_wrong_usage() => 2,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_standard_output_may_be_closed_by_its_reader() {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Error::output(closed()).is_of_closed_output());
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(!Error::output(full).is_of_closed_output());
        let elsewhere = Error::io("write to", Path::new("project.zip"))(closed());
        assert!(!elsewhere.is_of_closed_output());
    }
}
