//! HTTP hosts: git's own behind a bridge, and whatever a test answers. A connection is for one request.

use std::io::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::{PATH, Request};

/// Who has the password, of [`Host::with_password`].
pub const USERNAME: &str = "reader";

/// A host, serving until it is dropped.
#[derive(Debug)]
pub struct Host {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Arc<Request>>>>,
    server: JoinHandle<()>,
}

impl Host {
    /// A host that does with each request, and the connection that it has come by, what `answer` does.
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

    /// A host that answers what `answer` returns.
    pub async fn answering<F>(answer: F) -> Self
    where
        F: Fn(&Request) -> Answer + Send + Sync + 'static,
    {
        Self::serve(move |request, mut connection| {
            let answer = answer(&request);
            async move { answer.send(&mut connection).await }
        })
        .await
    }

    /// git's own host of the repositories below `root`.
    pub async fn of(root: impl AsRef<Path>) -> Self {
        Self::guarded(root, |_| None).await
    }

    /// git's own host, behind `guard`, which may answer in its place.
    pub async fn guarded<F>(root: impl AsRef<Path>, guard: F) -> Self
    where
        F: Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    {
        let root = root.as_ref().to_owned();
        Self::serve(move |request, mut connection| {
            let (answer, root) = (guard(&request), root.clone());
            async move {
                let answer = match answer {
                    Some(answer) => answer,
                    None => backend(&root, &request).await?,
                };
                answer.send(&mut connection).await
            }
        })
        .await
    }

    /// git's own host, for [`USERNAME`] with `password`.
    pub async fn with_password(root: impl AsRef<Path>, password: &'static str) -> Self {
        Self::guarded(root, move |request| {
            (!request.has_password(password)).then(Answer::unauthorized)
        })
        .await
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the repository at [`PATH`].
    #[must_use]
    pub fn url(&self) -> String {
        self.origin() + PATH
    }

    /// All that it was asked.
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
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Lines without their ends.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Any answer.
    pub fn new(status: u16, headers: &[&str], body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            body: body.into(),
        }
    }

    /// Wants a login.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, &["WWW-Authenticate: Basic realm=\"git\""], "log in\n")
    }

    /// Leads to `location`.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, &[&format!("Location: {location}")], "")
    }

    /// What git's host answers to `request`, in its content type.
    pub fn git(request: &Request, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, &[git_type(request)], body)
    }

    /// Sends it, and hangs up.
    ///
    /// # Errors
    /// The connection's.
    pub async fn send(&self, connection: &mut TcpStream) -> Result<()> {
        connection.write_all(&self.to_bytes()).await?;
        connection.shutdown().await
    }

    /// As HTTP has it.
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

/// The head of an answer that comes to no end. libgit2 reads no body without a length.
#[must_use]
pub fn endless_head(request: &Request) -> String {
    let length = "Content-Length: 99999999999\r\nConnection: close";
    format!("HTTP/1.1 200 OK\r\n{}\r\n{length}\r\n\r\n", git_type(request))
}

/// A line of git's protocol.
pub fn pkt(line: impl AsRef<[u8]>) -> Vec<u8> {
    let line = line.as_ref();
    [format!("{:04x}", line.len() + 4).as_bytes(), line].concat()
}

/// The refs of a host that has one and gives any id, with `capabilities` besides.
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

/// What comes before the pack.
#[must_use]
pub fn before_pack() -> Vec<u8> {
    [b"0000".to_vec(), pkt("NAK\n")].concat()
}

/// A host that has one commit, and sends `pack` for it.
pub async fn sending(commit: &str, pack: &[u8]) -> Host {
    let refs = refs(commit, "");
    let pack = [before_pack(), pack.to_vec()].concat();
    Host::answering(move |request| match request.method.as_str() {
        "GET" => Answer::git(request, refs.clone()),
        _ if request.is_done() => Answer::git(request, pack.clone()),
        _ => Answer::git(request, "0000"),
    })
    .await
}

/// One call of `git http-backend`.
async fn backend(root: &Path, request: &Request) -> Result<Answer> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let header = |name| request.headers.get(name).map_or("", String::as_str);
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", header("content-length"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().unwrap().write_all(&request.body).await?;
    let output = child.wait_with_output().await?.stdout;
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let mut answer = Answer::new(200, &[], &output[end + 4..]);
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.strip_prefix("Status: ") {
            Some(status) => answer.status = status[..3].parse().unwrap(),
            None => answer.headers.push(line.to_owned()),
        }
    }
    Ok(answer)
}
