//! The refs that git hosts list.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws::failure::Failed;
use aws::secrets::Secrets;
use chrono::Utc;
use credentials::{Credentials, Expiring, GitSecretJson, Issuer};
use domain::push::SourceName;
use domain::remote_url::RemoteUrl;
use remote::{ListedRef, TransferProgram};

/// The memory of a process that lists refs, in bytes. As many as run at once have less together than the function has.
const LIST_MEMORY: u64 = 96 << 20;

/// The git hosts of all sources.
pub trait Hosts: Send + Sync {
    /// What is needed to speak to the hosts of one source.
    type Login: Send + Sync;

    /// Returns what is needed to speak to the hosts of `source`.
    fn login(&self, source: &SourceName) -> impl Future<Output = Result<Self::Login, Failed>> + Send;

    /// Returns the logins and tokens of `source` that end soon, or have ended.
    fn expiring(&self, login: &Self::Login) -> Vec<Expiring>;

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
    issuer: Arc<Issuer>,
    program: TransferProgram,
}

impl<S> GitHosts<S> {
    /// Creates a client of the git hosts. The program that calls this must begin with
    /// [`transfer_if_asked`](remote::transfer_if_asked).
    ///
    /// # Errors
    /// Returns an error if the path of this program cannot be found.
    pub fn new(secrets: S, issuer: Issuer) -> io::Result<Self> {
        Ok(Self::with_program(
            secrets,
            issuer,
            TransferProgram::new(std::env::current_exe()?, LIST_MEMORY),
        ))
    }

    /// Creates a client that lists by another program.
    pub fn with_program(secrets: S, issuer: Issuer, program: TransferProgram) -> Self {
        Self {
            secrets,
            issuer: Arc::new(issuer),
            program,
        }
    }
}

impl<S: Secrets> Hosts for GitHosts<S> {
    type Login = (Credentials, Vec<Expiring>);

    async fn login(&self, source: &SourceName) -> Result<Self::Login, Failed> {
        let secret = self.secrets.read(source, "git").await;
        let secret = secret.map_err(|error| Failed::new(&error))?;
        let json = GitSecretJson::parse(source, &secret);
        let json = json.map_err(|error| Failed::new(&error))?;
        let credentials = Credentials::of(source, &json, &self.issuer);
        let credentials = credentials.map_err(|error| Failed::new(&error))?;
        Ok((credentials, json.expiring(Utc::now().date_naive())))
    }

    fn expiring(&self, (_, expiring): &Self::Login) -> Vec<Expiring> {
        expiring.clone()
    }

    async fn list(
        &self,
        (login, _): &Self::Login,
        url: &RemoteUrl,
        time_limit: Duration,
    ) -> Result<Vec<ListedRef>, Failed> {
        self.program.list_with(login, url, time_limit).await
    }
}
