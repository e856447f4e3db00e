//! A git host on the loopback, which serves a folder of repositories over smart HTTP by git's own `git http-backend`.
//!
//! The command, the bench and the tests serve with [`GitHost`]. [`Repositories`] responds to single requests, for use
//! in a server that does more.

mod backend;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use backend::Repositories;

/// Why a host cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git is not installed.
    #[error("git was not found: install it (Debian: apt install git), then run this again")]
    GitMissing,
    /// Another program listens on the port.
    #[error("port {0} of 127.0.0.1 is in use")]
    PortInUse(u16),
    /// The port cannot be listened on.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The folder cannot be read.
    #[error("cannot serve {}", root.display())]
    Root {
        /// The folder.
        root: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
}

/// How a [`GitHost`] behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port; 0 chooses a free one.
    pub port: u16,
    /// The login that reading requires. Anyone may read if `None`.
    pub credentials: Option<Credentials>,
    /// How many requests get a 503 response before the first one is served.
    pub unavailable: usize,
    /// git settings for all repositories, such as `uploadpack.allowAnySHA1InWant` = `true`.
    pub config: Vec<(String, String)>,
    /// The file for git's own error messages. They are discarded if `None`.
    pub log: Option<PathBuf>,
}

impl Options {
    /// Returns the options of a host that serves any commit by its id, as GitLab and GitHub do.
    #[must_use]
    pub fn with_any_commit() -> Self {
        Self {
            config: vec![("uploadpack.allowAnySHA1InWant".to_owned(), "true".to_owned())],
            ..Self::default()
        }
    }
}

/// A user name and a password or token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Returns the value of the `Authorization` header.
    #[must_use]
    pub fn basic(&self) -> String {
        let pair = format!("{}:{}", self.username, self.password);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }
}

/// The host, serving until it is dropped.
#[derive(Debug)]
pub struct GitHost {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    repositories: Repositories,
    authorization: Option<String>,
    unavailable: usize,
    requests: AtomicUsize,
}

impl GitHost {
    /// Serves the repositories below `root`: `root/group/project.git` is `{origin}/group/project.git`.
    ///
    /// # Errors
    /// Returns an error if git is missing, the port is in use, or `root` cannot be read.
    pub async fn serve(root: &Path, options: Options) -> Result<Self, Error> {
        let git = backend::git().arg("--version").output().await;
        git.map_err(|_| Error::GitMissing)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => Error::PortInUse(options.port),
                _ => Error::Listen(error),
            })?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let root = root.canonicalize().map_err(|source| Error::Root {
            root: root.to_owned(),
            source,
        })?;
        let shared = Arc::new(Shared {
            repositories: Repositories {
                root,
                config: options.config,
                log: options.log,
            },
            authorization: options.credentials.as_ref().map(Credentials::basic),
            unavailable: options.unavailable,
            requests: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests so far, including refused ones.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let earlier = shared.requests.fetch_add(1, Ordering::Relaxed);
    if earlier < shared.unavailable {
        return (StatusCode::SERVICE_UNAVAILABLE, "try again later\n").into_response();
    }
    if let Some(wanted) = &shared.authorization {
        let given = request.headers().get(header::AUTHORIZATION);
        if given.is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
            return (
                StatusCode::UNAUTHORIZED,
                challenge,
                "wrong user name or password\n",
            )
                .into_response();
        }
    }
    shared.repositories.answer(request).await
}
