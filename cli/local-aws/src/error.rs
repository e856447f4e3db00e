//! What can fail with the local AWS, each with a remedy.

use std::path::{Path, PathBuf};

use deployed_stack::remedy;
use shell::IoError;
use shell::output::one_line;

/// An error of the local AWS, or of a build or a deployment.
#[derive(Debug, strum::AsRefStr, thiserror::Error)]
pub enum Error {
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
    /// Another program listens on the port.
    #[error(
        "port {0} of 127.0.0.1, which the local AWS needs, is in use: end the program that uses it, or choose another port with --port"
    )]
    PortInUse(u16),
    /// The functions could not be built.
    #[error("{command} failed: correct what it names, then run this again\n{tail}\nThe whole log: {}", log.display())]
    Build {
        /// The command.
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
    /// The local AWS did not start, or has ended.
    #[error("the local AWS {what}: run `push-code local up` to start a new one\n{tail}\nThe whole log: {}", log.display())]
    LocalAws {
        /// What happened to it.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The log's end.
        tail: String,
    },
    /// There is no container engine.
    #[error("no container engine responds: start Docker, or name another one with DOCKER_HOST, then run this again\ndocker says: {}", one_line(.message))]
    NoContainerEngine {
        /// Why not.
        message: String,
    },
    /// The port for containers cannot be listened on.
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
    #[error("{function} has not responded: sam local invoke ended ({status}), see its messages above")]
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
    /// No local AWS runs.
    #[error("no local AWS runs: `push-code local up` starts one")]
    NotRunning,
    /// The stack is not deployed in the local AWS.
    #[error("the stack {0} is not deployed in the local AWS: `push-code local up` deploys push-code")]
    NotDeployed(String),
    /// The local AWS cannot move to another port.
    #[error(
        "the local AWS already runs at {endpoint}: end it with `push-code local down` before you start it at another port"
    )]
    RunsAlready {
        /// Where it runs.
        endpoint: String,
    },
    /// Docker does not name the address at which containers reach this machine.
    #[error("Docker's network `bridge` names no gateway: name this machine's address with --container-host")]
    NoGateway,
    /// A deployed stack cannot be used.
    #[error(transparent)]
    Stack(#[from] deployed_stack::Error),
    /// The Python tools cannot be installed.
    #[error(transparent)]
    Tools(#[from] python_tools::Error),
    /// A file or folder cannot be used.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file of this command's own cannot be read.
    #[error("{} was not written by this command: remove it, then run this again", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried, and with what.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let wrap = IoError::of(action, path);
        |source| wrap(source).into()
    }

    /// Returns whether the command line is wrong, and nothing has failed.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        match self {
            Self::Stack(error) => error.is_wrong_usage(),
            _ => matches!(self, Self::RunsAlready { .. } | Self::NoGateway),
        }
    }
}
