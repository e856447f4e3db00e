//! A git host on the loopback: serves a folder of repositories over smart HTTP with git's own `git http-backend`.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use futures::TryStreamExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{Error, process};

/// How a [`GitHost`] behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port; 0 chooses a free one.
    pub port: u16,
    /// Who may read; everybody where none.
    pub credentials: Option<Credentials>,
    /// How many of the first requests are answered with 503.
    pub unavailable: usize,
    /// git settings for all repositories, such as `uploadpack.allowAnySHA1InWant` = `true`.
    pub config: Vec<(String, String)>,
    /// Where git's own error messages go; nowhere where none.
    pub log: Option<PathBuf>,
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
    /// The value of the `Authorization` header.
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
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    authorization: Option<String>,
    unavailable: usize,
    config: Vec<(String, String)>,
    log: Option<PathBuf>,
    requests: AtomicUsize,
}

impl GitHost {
    /// Serves the repositories below `root`: `root/group/project.git` is `{origin}/group/project.git`.
    ///
    /// # Errors
    /// Where git is missing or the port is taken.
    pub async fn serve(root: &Path, options: Options) -> Result<Self, Error> {
        let git = process::command("git").arg("--version").output().await;
        git.map_err(|_| Error::GitMissing)?;
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await {
            Ok(listener) => listener,
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(Error::PortInUse {
                    port: options.port,
                    purpose: "the git host",
                    remedy: "--git-port",
                });
            }
            Err(error) => return Err(Error::io("listen for git on", Path::new("127.0.0.1"))(error)),
        };
        let address = listener
            .local_addr()
            .map_err(Error::io("listen for git on", Path::new("127.0.0.1")))?;
        let shared = Arc::new(Shared {
            root: root.canonicalize().map_err(Error::io("serve", root))?,
            authorization: options.credentials.as_ref().map(Credentials::basic),
            unavailable: options.unavailable,
            config: options.config,
            log: options.log,
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

    /// How many requests there were, refused ones among them.
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
    match http_backend(&shared, request).await {
        Ok(response) => response,
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("git http-backend: {error}\n"),
        )
            .into_response(),
    }
}

/// One CGI call. Bodies are streamed both ways: a pack may be larger than the memory.
async fn http_backend(shared: &Shared, request: Request) -> std::io::Result<Response> {
    let mut command = backend_command(shared, &request)?;
    let mut child = command.spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("it has no input or output"));
    };
    let body = request
        .into_body()
        .into_data_stream()
        .map_err(std::io::Error::other);
    tokio::spawn(async move {
        // git may have read enough before the body's end: a broken pipe is none of our business.
        let _ = tokio::io::copy(&mut StreamReader::new(body), &mut stdin).await;
        let _ = stdin.shutdown().await;
    });
    let mut stdout = BufReader::new(stdout);
    let (status, headers) = read_headers(&mut stdout).await?;
    tokio::spawn(async move { child.wait().await });
    let mut response = Response::new(Body::from_stream(ReaderStream::with_capacity(stdout, 64 << 10)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn backend_command(shared: &Shared, request: &Request) -> std::io::Result<Command> {
    let path = percent_encoding::percent_decode_str(request.uri().path())
        .decode_utf8()
        .map_err(std::io::Error::other)?;
    let stderr = match &shared.log {
        Some(log) => Stdio::from(
            std::fs::File::options()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(log)?,
        ),
        None => Stdio::null(),
    };
    let mut command = process::command("git");
    command
        .arg("http-backend")
        // Whoever disconnects ends git by a broken pipe; it need not die with this function.
        .kill_on_drop(false)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", shared.config.len().to_string())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", path.as_ref())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("SERVER_PROTOCOL", "HTTP/1.1")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REMOTE_USER", "push-code");
    for (index, (key, value)) in shared.config.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        match request
            .headers()
            .get(header)
            .and_then(|value| value.to_str().ok())
        {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    Ok(command)
}

/// The head of a CGI answer: `Status: 404 Not Found`, other headers, and an empty line.
async fn read_headers(
    output: &mut (impl AsyncBufReadExt + Unpin),
) -> std::io::Result<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::other("it ended before it had answered"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok((status, headers));
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_whitespace().next().unwrap_or_default();
            status = code.parse().map_err(std::io::Error::other)?;
        } else {
            let name: HeaderName = name.parse().map_err(std::io::Error::other)?;
            headers.append(
                name,
                HeaderValue::from_str(value.trim()).map_err(std::io::Error::other)?,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> std::process::Output {
        let output = std::process::Command::new("git")
            .args([
                "-c",
                "user.name=Somebody",
                "-c",
                "user.email=somebody@example.com",
            ])
            .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
            .args(arguments)
            .current_dir(folder)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        eprintln!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A bare repository `group/my project.git` with some files that do not compress, more than any buffer holds.
    fn repository(root: &Path) -> PathBuf {
        let work = root.join("work");
        std::fs::create_dir_all(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        let mut seed = 1_u64;
        for name in ["one", "two", "three"] {
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed.to_be_bytes()[0]
            })
            .take(2 << 20)
            .collect();
            std::fs::write(work.join(name), noise).unwrap();
        }
        git(&work, &["add", "."]);
        assert!(
            git(&work, &["commit", "--quiet", "--message", "first"])
                .status
                .success()
        );
        let bare = root.join("group/my project.git");
        let cloned = git(
            root,
            &["clone", "--quiet", "--bare", "work", bare.to_str().unwrap()],
        );
        assert!(cloned.status.success());
        work
    }

    fn secret() -> Credentials {
        Credentials {
            username: "reader".to_owned(),
            password: "p:ss/word".to_owned(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_repository_is_cloned_whole_by_who_has_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let work = repository(folder.path());
        let options = Options {
            credentials: Some(secret()),
            ..Options::default()
        };
        let host = GitHost::serve(folder.path(), options).await.unwrap();
        let url = host.origin().replace("://", "://reader:p%3Ass%2Fword@") + "/group/my%20project.git";
        let cloned = git(folder.path(), &["clone", "--quiet", &url, "copy"]);
        assert!(cloned.status.success());
        for name in ["one", "two", "three"] {
            let copy = std::fs::read(folder.path().join("copy").join(name)).unwrap();
            assert!(copy == std::fs::read(work.join(name)).unwrap(), "{name} differs");
        }
        let wrong = url.replace("word@", "guess@");
        let refused = git(folder.path(), &["clone", "--quiet", &wrong, "none"]);
        assert!(!refused.status.success());
        assert!(!folder.path().join("none").exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_commit_is_fetched_by_its_id_where_the_settings_allow_it() {
        let folder = tempfile::tempdir().unwrap();
        let work = repository(folder.path());
        let bare = folder.path().join("group/my project.git");
        let first = String::from_utf8(git(&work, &["rev-parse", "HEAD"]).stdout).unwrap();
        // A commit that no ref holds any more: only its id leads to it.
        let other = git(&bare, &["commit-tree", "-m", "other", "main^{tree}"]).stdout;
        let other = String::from_utf8(other).unwrap();
        git(&bare, &["update-ref", "refs/heads/main", other.trim()]);
        let host = GitHost::serve(
            folder.path(),
            Options {
                config: vec![("uploadpack.allowAnySHA1InWant".to_owned(), "true".to_owned())],
                ..Options::default()
            },
        )
        .await
        .unwrap();
        let copy = folder.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        git(&copy, &["init", "--quiet"]);
        let url = host.origin() + "/group/my%20project.git";
        let fetch = [
            "-c",
            "protocol.version=0",
            "fetch",
            "--quiet",
            "--depth=1",
            &url,
            first.trim(),
        ];
        assert!(git(&copy, &fetch).status.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_request_is_streamed_to_git() {
        let folder = tempfile::tempdir().unwrap();
        let work = repository(folder.path());
        let empty = folder.path().join("empty.git");
        std::fs::create_dir(&empty).unwrap();
        git(&empty, &["init", "--quiet", "--bare"]);
        let host = GitHost::serve(
            folder.path(),
            Options {
                config: vec![("http.receivepack".to_owned(), "true".to_owned())],
                ..Options::default()
            },
        )
        .await
        .unwrap();
        // A pack above http.postBuffer (1 MiB) goes out in chunks.
        let url = host.origin() + "/empty.git";
        assert!(git(&work, &["push", "--quiet", &url, "main"]).status.success());
        assert!(git(&empty, &["cat-file", "-e", "main:three"]).status.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_is_unavailable_as_often_as_asked_and_knows_only_its_repositories() {
        let folder = tempfile::tempdir().unwrap();
        repository(folder.path());
        let options = Options {
            unavailable: 1,
            ..Options::default()
        };
        let host = GitHost::serve(folder.path(), options).await.unwrap();
        let url = host.origin() + "/group/my%20project.git/info/refs?service=git-upload-pack";
        let get = async |url: &str| {
            reqwest::Client::builder()
                .no_proxy()
                .build()
                .unwrap()
                .get(url)
                .send()
                .await
                .unwrap()
        };
        assert_eq!(get(&url).await.status(), 503);
        assert_eq!(get(&url).await.status(), 200);
        assert_eq!(
            get(&(host.origin() + "/group/other.git/info/refs"))
                .await
                .status(),
            404
        );
        assert_eq!(host.requests(), 3);
    }
}
