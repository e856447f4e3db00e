//! `git http-backend`, one process for each request.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio_util::io::{ReaderStream, StreamReader};

/// The repositories below a folder.
#[derive(Debug, Clone, Default)]
pub struct Repositories {
    /// The folder, by its absolute path.
    pub root: PathBuf,
    /// git settings for all of them.
    pub config: Vec<(String, String)>,
    /// The file for git's own error messages. They are discarded if `None`.
    pub log: Option<PathBuf>,
}

impl Repositories {
    /// Responds to a request by git. Bodies are streamed both ways, because a pack may be larger than the memory.
    pub async fn answer(&self, request: Request) -> Response {
        self.run(request).await.unwrap_or_else(|error| {
            let message = format!("git http-backend: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        })
    }

    /// Calls git by CGI.
    async fn run(&self, request: Request) -> io::Result<Response> {
        let mut child = self.command(&request)?.spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no input or output"));
        };
        let body = request.into_body().into_data_stream().map_err(io::Error::other);
        tokio::spawn(async move {
            // git may stop reading before the body's end, so a broken pipe is not an error.
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

    fn command(&self, request: &Request) -> io::Result<Command> {
        let path = percent_encoding::percent_decode_str(request.uri().path())
            .decode_utf8()
            .map_err(io::Error::other)?;
        let stderr = match &self.log {
            Some(log) => {
                let mut options = std::fs::File::options();
                Stdio::from(options.create(true).append(true).mode(0o600).open(log)?)
            }
            None => Stdio::null(),
        };
        let mut command = git();
        command
            .arg("http-backend")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_COUNT", self.config.len().to_string())
            .env("REQUEST_METHOD", request.method().as_str())
            .env("PATH_INFO", path.as_ref())
            .env("QUERY_STRING", request.uri().query().unwrap_or_default())
            .env("SERVER_PROTOCOL", "HTTP/1.1")
            .env("REMOTE_ADDR", "127.0.0.1")
            .env("REMOTE_USER", "push-code");
        for (index, (key, value)) in self.config.iter().enumerate() {
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
}

/// Returns a git command without the settings of the user or the system, and without the variables that name a
/// repository: if a git hook runs this program, git has set them for the hook's repository.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") && name != "GIT_EXEC_PATH" {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

/// Reads the head of a CGI response: `Status: 404 Not Found`, other headers, and an empty line.
async fn read_headers(output: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("it ended before it had responded"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok((status, headers));
        };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_whitespace().next().unwrap_or_default();
            status = code.parse().map_err(io::Error::other)?;
        } else {
            let name: HeaderName = name.parse().map_err(io::Error::other)?;
            let value = HeaderValue::from_str(value.trim()).map_err(io::Error::other)?;
            headers.append(name, value);
        }
    }
}
