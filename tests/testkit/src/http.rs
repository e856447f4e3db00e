//! HTTP hosts: git's own, behind a guard that a test sets, and hosts whose responses a test sets. Each connection is
//! for one request.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use git_host::Repositories;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::{PATH, Request};

/// The user name that [`Host::with_password`] requires.
pub const USERNAME: &str = "reader";

/// A host that serves until it is dropped.
#[derive(Debug)]
pub struct Host {
    /// The address that it listens on.
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Arc<Request>>>>,
    server: JoinHandle<()>,
}

impl Host {
    /// Starts a host that calls `answer` with each request and its connection.
    pub async fn serve<F, A>(answer: F) -> Self
    where
        F: Fn(Arc<Request>, TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                connections.spawn(async move {
                    let mut connection = BufReader::new(connection);
                    let request = Arc::new(Request::read(&mut connection).await?);
                    seen.lock().unwrap().push(Arc::clone(&request));
                    answer(request, connection.into_inner()).await
                });
            }
        });
        Self {
            address,
            requests,
            server,
        }
    }

    /// Starts a host that responds with what `answer` returns.
    pub async fn answering<F>(answer: F) -> Self
    where
        F: Fn(&Request) -> Response + Send + Sync + 'static,
    {
        Self::serve(move |request, mut connection| {
            let answer = answer(&request);
            async move { answer.send(&mut connection).await }
        })
        .await
    }

    /// Starts git's own host for the repositories below `root`.
    pub async fn of(root: impl AsRef<Path>) -> Self {
        Self::guarded(root, |_| None).await
    }

    /// Starts git's own host. If `guard` returns a response to a request, it is sent instead of git's.
    pub async fn guarded<F>(root: impl AsRef<Path>, guard: F) -> Self
    where
        F: Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    {
        let repositories = Arc::new(Repositories {
            root: root.as_ref().to_owned(),
            ..Repositories::default()
        });
        Self::serve(move |request, mut connection| {
            let (answer, repositories) = (guard(&request), Arc::clone(&repositories));
            async move {
                let answer = match answer {
                    Some(answer) => answer,
                    None => answer_of(&repositories, &request).await?,
                };
                answer.send(&mut connection).await
            }
        })
        .await
    }

    /// Starts git's own host, which requires [`USERNAME`] and `password`.
    pub async fn with_password(root: impl AsRef<Path>, password: &'static str) -> Self {
        Self::guarded(root, move |request| {
            (!request.has_password(password)).then(Response::unauthorized)
        })
        .await
    }

    /// Returns the scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the URL of the repository at [`PATH`].
    #[must_use]
    pub fn url(&self) -> String {
        self.origin() + PATH
    }

    /// Returns all requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Lines without their ends.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Creates a response.
    pub fn new(status: u16, headers: &[&str], body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            body: body.into(),
        }
    }

    /// Creates a response that requires a login.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, &["WWW-Authenticate: Basic realm=\"git\""], "log in\n")
    }

    /// Creates a redirect to `location`.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, &[&format!("Location: {location}")], "")
    }

    /// Creates a response to `request` in the content type of git's host.
    pub fn git(request: &Request, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, &[git_type(request)], body)
    }

    /// Sends the response and closes the connection.
    ///
    /// # Errors
    /// Returns the error of the connection.
    pub async fn send(&self, connection: &mut TcpStream) -> Result<()> {
        connection.write_all(&self.to_bytes()).await?;
        connection.shutdown().await
    }

    /// Returns the bytes of the response in HTTP/1.1.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for header in &self.headers {
            head += &format!("{header}\r\n");
        }
        let length = self.body.len();
        head += &format!("Content-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

fn git_type(request: &Request) -> &'static str {
    match request.method.as_str() {
        "GET" => "Content-Type: application/x-git-upload-pack-advertisement",
        _ => "Content-Type: application/x-git-upload-pack-result",
    }
}

/// Returns the head of a response that never ends. It has a length, because libgit2 reads no body without one.
#[must_use]
pub fn endless_head(request: &Request) -> String {
    let length = "Content-Length: 99999999999\r\nConnection: close";
    format!("HTTP/1.1 200 OK\r\n{}\r\n{length}\r\n\r\n", git_type(request))
}

/// Returns a line of git's protocol.
pub fn pkt(line: impl AsRef<[u8]>) -> Vec<u8> {
    let line = line.as_ref();
    [format!("{:04x}", line.len() + 4).as_bytes(), line].concat()
}

/// Returns the list of refs of a host that has one ref and sends any id that is asked for, with `capabilities` besides.
#[must_use]
pub fn refs(commit: &str, capabilities: &str) -> Vec<u8> {
    let first = format!(
        "{commit} refs/heads/main\0multi_ack_detailed shallow ofs-delta allow-tip-sha1-in-want \
         allow-reachable-sha1-in-want {capabilities}\n"
    );
    [
        pkt("# service=git-upload-pack\n"),
        b"0000".to_vec(),
        pkt(first),
        b"0000".to_vec(),
    ]
    .concat()
}

/// Returns what git's host sends before the pack.
#[must_use]
pub fn before_pack() -> Vec<u8> {
    [b"0000".to_vec(), pkt("NAK\n")].concat()
}

/// Starts a host that has one commit, and sends `pack` for it.
pub async fn sending(commit: &str, pack: &[u8]) -> Host {
    let refs = refs(commit, "");
    let pack = [before_pack(), pack.to_vec()].concat();
    Host::answering(move |request| match request.method.as_str() {
        "GET" => Response::git(request, refs.clone()),
        _ if request.is_done() => Response::git(request, pack.clone()),
        _ => Response::git(request, "0000"),
    })
    .await
}

/// Returns git's response to `request`.
async fn answer_of(repositories: &Repositories, request: &Request) -> Result<Response> {
    let mut asked = axum::http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.target);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    let asked = asked
        .body(Body::from(request.body.clone()))
        .map_err(Error::other)?;
    let (head, body) = repositories.answer(asked).await.into_parts();
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    Ok(Response {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(line).collect(),
        body: axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(Error::other)?
            .into(),
    })
}
