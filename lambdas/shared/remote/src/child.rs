//! The transfer is a process of its own: this program, started once more.
//!
//! libgit2 speaks to hosts that may send anything. It dies of some answers, fills the memory with others, and asks whether
//! to go on only while a pack comes, and not for every byte of it: a host whose HTTP head or refs have no end holds it for
//! as long as it likes. A process can be ended, and leaves nothing behind. It has one login at most, and no AWS
//! credentials.
//!
//! The request comes on its standard input, as one line of JSON. It says how far it is and what came of it on its standard
//! output, a line of JSON each. It ends when its input does, which is when whoever started it has ended.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws::failure::chain;
use domain::error::{Code, Coded};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use reporter::ProgressReporter;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::Error;
use crate::progress::Progress;
use crate::request::FetchRequest;
use crate::transfer::{self, FetchedPack};

/// The first argument of a process that is to transfer.
const ARGUMENT: &str = "internal-transfer";
/// What of the environment it needs: where the system's certificates are, if they are not in the usual place.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// How long after its deadline a transfer may still end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// All that it says, in bytes, at most.
const MAX_ANSWER: u64 = 16 << 20;
/// How much memory it may take if there is no other limit, in bytes.
const MEMORY: u64 = 4 << 30;
/// What is left of a function's memory for the function itself, in bytes.
const RESERVE: u64 = 256 << 20;

/// The program that transfers, whose `main` begins with [`transfer_if_asked`].
#[derive(Debug, Clone)]
pub struct TransferProgram {
    path: PathBuf,
    memory: u64,
}

/// What a process that transfers says.
#[derive(Serialize, Deserialize)]
enum Line {
    Progress(Progress),
    Fetched(Box<FetchedPack>),
    Failed { code: String, cause: String },
}

/// The request, and what the process may take.
#[derive(Serialize, Deserialize)]
struct Job<R> {
    request: R,
    memory: u64,
}

impl TransferProgram {
    /// This program. In a Lambda it may take the function's memory, but for what the function itself needs.
    ///
    /// # Errors
    /// Where the system does not say which program this is.
    pub fn this() -> io::Result<Self> {
        let mebibytes: Option<u64> = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
            .ok()
            .and_then(|size| size.parse().ok());
        let memory = mebibytes.map_or(MEMORY, |size| (size << 20).saturating_sub(RESERVE).max(RESERVE));
        Ok(Self::new(std::env::current_exe()?, memory))
    }

    /// The program at `path`, which may take so many bytes of `memory`.
    #[must_use]
    pub fn new(path: PathBuf, memory: u64) -> Self {
        Self { path, memory }
    }

    /// Fetches what is requested, in a process of its own, which has ended when this returns. If this is dropped, the
    /// process is ended too. `progress` is told at most once in the request's interval.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn fetch(
        &self,
        request: &FetchRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<FetchedPack, Error> {
        let mut command = Command::new(&self.path);
        let certificates = CERTIFICATES
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        command
            .arg(ARGUMENT)
            .env_clear()
            .envs(certificates)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::Workspace)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| Error::Workspace(io::Error::other("no pipe")))?;
        let job = Job {
            request,
            memory: self.memory,
        };
        let job = serde_json::to_string(&job).map_err(|error| Error::Workspace(error.into()))?;
        let timeout = request.deadline.saturating_duration_since(Instant::now()) + GRACE;
        let answer = converse(&mut child, (stdin, stdout), &job, request, progress);
        let answer = tokio::time::timeout(timeout, answer).await;
        child.kill().await.map_err(Error::Workspace)?;
        answer.unwrap_or_else(|_| Err(request.too_slow()))
    }
}

/// Hands the request over, and listens until there is an answer.
async fn converse(
    child: &mut Child,
    (mut stdin, stdout): (ChildStdin, ChildStdout),
    job: &str,
    request: &FetchRequest,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<FetchedPack, Error> {
    // Where this fails the process has died, and how it did says more. The pipe stays open until there is an answer.
    let _ = stdin.write_all(format!("{job}\n").as_bytes()).await;
    let mut lines = BufReader::new(stdout.take(MAX_ANSWER)).lines();
    let died = |how: String| Error::Died {
        url: request.url(),
        how,
    };
    while let Some(line) = lines.next_line().await.map_err(|error| died(error.to_string()))? {
        match serde_json::from_str(&line).map_err(|error| died(error.to_string()))? {
            Line::Progress(news) => progress(news),
            Line::Fetched(fetched) => return Ok(*fetched),
            Line::Failed { code, cause } => {
                let known = Code::ALL.iter().find(|known| known.as_str() == code);
                let code = *known.ok_or_else(|| died(format!("it says {code}")))?;
                return Err(Error::Transfer { code, cause });
            }
        }
    }
    let status = child.wait().await.map_err(Error::Workspace)?;
    Err(died(status.to_string()))
}

/// Transfers, and ends the process, if that is what it was started for. `main` has to begin with this in every program that
/// fetches: it is the program that it starts.
pub fn transfer_if_asked() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT)
    {
        let done = transfer();
        std::process::exit(i32::from(done.is_err()));
    }
}

fn transfer() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let Job { request, memory }: Job<FetchRequest> = serde_json::from_str(&line)?;
    // What has the login in it is written nowhere if the process dies.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_DATA, memory, memory)?;
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = raise(Signal::SIGKILL);
    });
    let progress = ProgressReporter::every(request.interval, |progress| {
        // Where nobody listens this process is about to end.
        let _ = say(&Line::Progress(progress));
    });
    say(&match transfer::fetch(&request, &progress) {
        Ok(fetched) => Line::Fetched(Box::new(fetched)),
        Err(error) => Line::Failed {
            code: error.code().to_string(),
            cause: chain(&error),
        },
    })
}

fn say(line: &Line) -> io::Result<()> {
    let mut json = serde_json::to_vec(line)?;
    json.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&json)?;
    stdout.flush()
}
