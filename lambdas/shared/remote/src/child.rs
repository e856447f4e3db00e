//! Runs the transfer in a process of its own, which is this program, started once more.
//!
//! libgit2 speaks to hosts that may send anything. It crashes on some responses, and fills the memory with others. It
//! asks whether to continue only while a pack comes, and not for every byte of it, so a host whose HTTP header or refs
//! never end can hold it as long as it likes. A process can be ended, and leaves nothing behind. It has at most one
//! login, and no AWS credentials.
//!
//! The request is one line of JSON on its standard input. Its progress and its result are lines of JSON on its standard
//! output. It ends when its input does, which happens when the process that started it ends.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws::failure::chain;
use credentials::Access;
use domain::error::{Code, Coded};
use domain::remote_url::RemoteUrl;
use reporter::ProgressReporter;
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::Error;
use crate::host_key::{self, HostKey};
use crate::list::{self, Listing};
use crate::progress::Progress;
use crate::request::{Connection, FetchRequest, ListRequest};
use crate::transfer::{self, FetchedPack};

/// The first argument of a transfer process.
const ARGUMENT: &str = "internal-transfer";
/// The environment variables that a transfer process needs: they name the system's certificates, if these are not in
/// the usual place.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// How long after its deadline a transfer may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// The most output of a transfer process, in bytes.
const MAX_OUTPUT_BYTES: u64 = 16 << 20;
/// The memory limit of a transfer process if there is no other, in bytes.
const DEFAULT_MEMORY: u64 = 4 << 30;
/// The part of a function's memory that is reserved for the function itself, in bytes.
const RESERVED_MEMORY: u64 = 256 << 20;

/// A program that can run as a transfer process, because its `main` begins with [`transfer_if_asked`].
#[derive(Debug, Clone)]
pub struct TransferProgram {
    path: PathBuf,
    memory: u64,
}

/// A line of a transfer process's output.
#[derive(Serialize, Deserialize)]
enum Line {
    Progress(Progress),
    Fetched(Box<FetchedPack>),
    Listed(Listing),
    HostKey(String),
    Failed { code: String, cause: String },
}

/// What a transfer process has to do, and its memory limit.
#[derive(Serialize, Deserialize)]
struct Job<R> {
    request: R,
    memory: u64,
}

/// A request as it is written.
#[derive(Serialize)]
enum Asked<'a> {
    Fetch(&'a FetchRequest),
    List(&'a ListRequest),
    HostKey(&'a Connection),
}

/// A request as it is read.
#[derive(Deserialize)]
enum Request {
    Fetch(FetchRequest),
    List(ListRequest),
    HostKey(Connection),
}

/// What a transfer process has done.
enum Done {
    Fetched(Box<FetchedPack>),
    Listed(Listing),
    HostKey(String),
}

impl TransferProgram {
    /// Returns this program. In a Lambda function the transfer may use the function's memory, except what is reserved
    /// for the function itself.
    ///
    /// # Errors
    /// Returns an error if the path of this program cannot be found.
    pub fn this() -> io::Result<Self> {
        let mebibytes: Option<u64> = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
            .ok()
            .and_then(|size| size.parse().ok());
        let memory = mebibytes.map_or(DEFAULT_MEMORY, |size| {
            (size << 20).saturating_sub(RESERVED_MEMORY).max(RESERVED_MEMORY)
        });
        Ok(Self::new(std::env::current_exe()?, memory))
    }

    /// Creates the program at `path`, which may use `memory` bytes of memory.
    #[must_use]
    pub fn new(path: PathBuf, memory: u64) -> Self {
        Self { path, memory }
    }

    /// Fetches what is requested, in a process of its own, which has ended when this returns. If the future is dropped,
    /// the process is killed. `progress` is reported to at most once in the request's interval.
    ///
    /// # Errors
    /// Returns an [`Error`] if the commit cannot be fetched.
    pub async fn fetch(
        &self,
        request: &FetchRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<FetchedPack, Error> {
        let connection = &request.connection;
        match self.run(Asked::Fetch(request), connection, progress).await? {
            Some(Done::Fetched(fetched)) => Ok(*fetched),
            Some(_) => Err(died(connection, "it has done something else")),
            None => Err(connection.too_slow()),
        }
    }

    /// Lists the refs of a repository, in a process of its own, as [`fetch`](Self::fetch) does.
    ///
    /// # Errors
    /// Returns an [`Error`] if the refs cannot be listed.
    pub(crate) async fn list(&self, request: &ListRequest) -> Result<Listing, Error> {
        let connection = &request.connection;
        match self.run(Asked::List(request), connection, &|_| ()).await? {
            Some(Done::Listed(listing)) => Ok(listing),
            Some(_) => Err(died(connection, "it has done something else")),
            None => Err(Error::ListTooSlow {
                url: connection.url(),
                seconds: connection.limits.fetch_seconds,
            }),
        }
    }

    /// Returns the key that the SSH host at `url` presents. Reading the key does not make it trusted. The host is asked
    /// in a process of its own, as in [`fetch`](Self::fetch).
    ///
    /// # Errors
    /// Returns an [`Error`] if the host presents no key within `time_limit`.
    pub async fn host_key(&self, url: &RemoteUrl, time_limit: Duration) -> Result<HostKey, Error> {
        let anyone = Access::Anonymous;
        let nowhere = PathBuf::new();
        let connection = Connection::without_objects(url.clone(), anyone, Vec::new(), time_limit, nowhere);
        match self
            .run(Asked::HostKey(&connection), &connection, &|_| ())
            .await?
        {
            Some(Done::HostKey(key)) => {
                HostKey::of(url, &key).map_err(|error| died(&connection, error.to_string()))
            }
            Some(_) => Err(died(&connection, "it has done something else")),
            None => Err(Error::NoHostKey {
                url: connection.url(),
                seconds: connection.limits.fetch_seconds,
            }),
        }
    }

    /// Runs a transfer process. Returns `None` if it has not ended in time.
    async fn run(
        &self,
        request: Asked<'_>,
        connection: &Connection,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Option<Done>, Error> {
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
        let timeout = connection.deadline.saturating_duration_since(Instant::now()) + GRACE;
        let answer = converse(&mut child, (stdin, stdout), &job, connection, progress);
        let answer = tokio::time::timeout(timeout, answer).await;
        child.kill().await.map_err(Error::Workspace)?;
        answer.ok().transpose()
    }
}

fn died(connection: &Connection, how: impl Into<String>) -> Error {
    Error::Died {
        url: connection.url(),
        how: how.into(),
    }
}

/// Sends the request, and reads the output until there is a result.
async fn converse(
    child: &mut Child,
    (mut stdin, stdout): (ChildStdin, ChildStdout),
    job: &str,
    connection: &Connection,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Done, Error> {
    // If this fails the process has died, and its exit status says more. The pipe stays open until there is a result.
    let _ = stdin.write_all(format!("{job}\n").as_bytes()).await;
    let mut lines = BufReader::new(stdout.take(MAX_OUTPUT_BYTES)).lines();
    let died = |how: String| died(connection, how);
    while let Some(line) = lines.next_line().await.map_err(|error| died(error.to_string()))? {
        match serde_json::from_str(&line).map_err(|error| died(error.to_string()))? {
            Line::Progress(news) => progress(news),
            Line::Fetched(fetched) => return Ok(Done::Fetched(fetched)),
            Line::Listed(listing) => return Ok(Done::Listed(listing)),
            Line::HostKey(key) => return Ok(Done::HostKey(key)),
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

/// If this process was started as a transfer process, transfers and ends it. `main` must begin with this in every
/// program that fetches, because the program starts itself.
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
    let Job { request, memory }: Job<Request> = serde_json::from_str(&line)?;
    // No core dump, because it would contain the login.
    limit(Resource::Core, 0)?;
    limit(Resource::Data, memory)?;
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = kill_process(getpid(), Signal::KILL);
    });
    let failed = |error: Error| Line::Failed {
        code: error.code().to_string(),
        cause: chain(&error),
    };
    say(&match request {
        Request::Fetch(request) => {
            let progress = ProgressReporter::every(request.interval, |progress| {
                // If the output is closed this process is about to end.
                let _ = say(&Line::Progress(progress));
            });
            let fetched = transfer::fetch(&request, &progress);
            fetched.map_or_else(failed, |fetched| Line::Fetched(Box::new(fetched)))
        }
        Request::List(request) => list::list(&request).map_or_else(failed, Line::Listed),
        Request::HostKey(connection) => host_key::presented(&connection).map_or_else(failed, Line::HostKey),
    })
}

fn limit(resource: Resource, to: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(to),
        maximum: Some(to),
    };
    Ok(setrlimit(resource, limit)?)
}

fn say(line: &Line) -> io::Result<()> {
    let mut json = serde_json::to_vec(line)?;
    json.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&json)?;
    stdout.flush()
}
