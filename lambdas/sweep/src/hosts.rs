//! The refs that git hosts list.

use std::io;
use std::time::{Duration, Instant};

use aws::failure::{Failed, chain};
use aws::secrets::Secrets;
use domain::error::Coded as _;
use domain::limits::TransferLimits;
use domain::push::SourceName;
use domain::remote_url::RemoteUrl;
use remote::{Connection, HostSecret, ListRequest, ListedRef, TransferProgram};

/// The memory of a process that lists refs, in bytes. As many as run at once have less together than the function has.
const LIST_MEMORY: u64 = 96 << 20;
/// How many refs a host may list. Their names and ids fit into that memory.
const MAX_REFS: usize = 50_000;

/// The git hosts of all sources.
pub trait Hosts: Send + Sync {
    /// What is needed to speak to the hosts of one source.
    type Login: Send + Sync;

    /// Returns what is needed to speak to the hosts of `source`.
    fn login(&self, source: &SourceName) -> impl Future<Output = Result<Self::Login, Failed>> + Send;

    /// Lists the refs of the repository at `url`.
    fn list(
        &self,
        login: &Self::Login,
        url: &RemoteUrl,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Vec<ListedRef>, Failed>> + Send;
}

/// Git hosts by HTTP and SSH, with the git secrets of the sources.
#[derive(Debug)]
pub struct GitHosts<S> {
    secrets: S,
    program: TransferProgram,
}

impl<S> GitHosts<S> {
    /// Creates a client of the git hosts. The program that calls this must begin with
    /// [`transfer_if_asked`](remote::transfer_if_asked).
    ///
    /// # Errors
    /// Returns an error if the path of this program cannot be found.
    pub fn new(secrets: S) -> io::Result<Self> {
        Ok(Self::with_program(
            secrets,
            TransferProgram::new(std::env::current_exe()?, LIST_MEMORY),
        ))
    }

    /// Creates a client that lists by another program.
    pub fn with_program(secrets: S, program: TransferProgram) -> Self {
        Self { secrets, program }
    }
}

impl<S: Secrets> Hosts for GitHosts<S> {
    type Login = HostSecret;

    async fn login(&self, source: &SourceName) -> Result<HostSecret, Failed> {
        let secret = self.secrets.read(source, "git").await;
        let secret = secret.map_err(|error| Failed::new(&error))?;
        let json = HostSecret::parse_json(source, &secret);
        let json = json.map_err(|error| Failed::new(&error))?;
        HostSecret::of(source, json).map_err(|error| Failed::new(&error))
    }

    async fn list(
        &self,
        login: &HostSecret,
        url: &RemoteUrl,
        time_limit: Duration,
    ) -> Result<Vec<ListedRef>, Failed> {
        let access = login.credentials.access(url.origin());
        let access = access.map_err(|error| Failed::new(&error))?;
        let folder = tempfile::tempdir();
        let folder = folder.map_err(|error| Failed::new(&remote::Error::Workspace(error)))?;
        let seconds = time_limit.as_secs().max(1);
        let request = ListRequest {
            connection: Connection {
                url: url.clone(),
                access,
                authorities: login.authorities.clone(),
                limits: TransferLimits {
                    pack_bytes: 0,
                    objects: 0,
                    fetch_seconds: seconds,
                    silence_seconds: seconds,
                },
                deadline: Instant::now() + time_limit,
                folder: folder.path().join("repository.git"),
            },
            max_refs: MAX_REFS,
        };
        // A host may send back what it was sent.
        self.program
            .list(&request)
            .await
            .map_err(|error| Failed::with_cause(error.code(), &login.credentials.redact(&chain(&error))))
    }
}
