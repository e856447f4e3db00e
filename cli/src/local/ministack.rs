//! The process that plays AWS on the loopback.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::tools::Tools;
use crate::{Error, process};

/// Leads a session of its own, so that it outlives the terminal and all that it starts can be ended with it. Where its
/// standard input is a pipe, it ends with whoever holds the other end, even if that is killed.
const LAUNCHER: &str = "\
import os, runpy, signal, sys, threading
os.setsid()
def follow():
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)
if sys.argv[2] == 'owned':
    threading.Thread(target=follow, daemon=True).start()
sys.argv = ['ministack']
runpy.run_module('ministack', run_name='__main__')
";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the local AWS is started.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Its port; 0 chooses a free one.
    pub port: u16,
    /// Whether each function's IAM role is enforced.
    pub auth: bool,
    /// What waits and retry intervals of state machines are multiplied by; 1 where none.
    pub wait_scale: Option<f64>,
}

/// A local AWS that runs, or ran.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Ministack {
    /// Its process, which leads its own process group.
    pub pid: i32,
    /// Its port on the loopback.
    pub port: u16,
    /// Whether each function's IAM role is enforced.
    pub auth: bool,
    /// Its log.
    pub log: PathBuf,
}

impl Ministack {
    /// Starts one that keeps its files in `folder`, and waits until it answers. Where `owned`, it ends when the
    /// returned child is dropped or this process ends.
    ///
    /// # Errors
    /// Where the port is in use, or it does not start.
    pub async fn start(
        tools: &Tools,
        settings: &Settings,
        folder: &Path,
        owned: bool,
    ) -> Result<(Self, Child), Error> {
        let port = free_port(settings.port)?;
        let log = folder.join("local-aws.log");
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(Error::io("create", &temporary))?;
        let output = std::fs::File::create(&log).map_err(Error::io("write", &log))?;
        let twin = output.try_clone().map_err(Error::io("write", &log))?;
        let python = tools.ministack_python();
        let child = Command::new(&python)
            .args([
                "-c",
                LAUNCHER,
                &port.to_string(),
                if owned { "owned" } else { "detached" },
            ])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("TMPDIR", &temporary)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("AWS_ENDPOINT_URL", endpoint(port))
            // It would remove the containers of others.
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("AUTH", settings.auth.to_string())
            .env("SFN_WAIT_SCALE", settings.wait_scale.unwrap_or(1.0).to_string())
            .current_dir(folder)
            .stdin(if owned { Stdio::piped() } else { Stdio::null() })
            .stdout(output)
            .stderr(twin)
            .spawn()
            .map_err(Error::io("run", &python))?;
        let started = Self {
            pid: child.id().cast_signed(),
            port,
            auth: settings.auth,
            log,
        };
        started.wait_until_healthy(child).await
    }

    async fn wait_until_healthy(self, mut child: Child) -> Result<(Self, Child), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.is_healthy().await {
                return Ok((self, child));
            }
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                process::stop_group(self.pid, || child.try_wait().is_ok_and(|ended| ended.is_some()));
                return Err(self.failed(match ended {
                    Some(status) => format!("ended while it started ({status})"),
                    None => format!("did not answer within {} s", PATIENCE.as_secs()),
                }));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// Whether the recorded process is still this one, and not another that got its number since.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let port = format!(" {} ", self.port);
        process::command_line(self.pid)
            .is_some_and(|command| command.contains("run_module('ministack'") && command.contains(&port))
    }

    /// Whether it answers.
    pub async fn is_healthy(&self) -> bool {
        let url = format!("{}/_ministack/health", self.endpoint());
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build();
        let Ok(client) = client else { return false };
        client
            .get(url)
            .send()
            .await
            .is_ok_and(|response| response.status().is_success())
    }

    /// The error that says what happened to it, with its last words.
    #[must_use]
    pub fn failed(&self, what: String) -> Error {
        Error::LocalAws {
            what,
            tail: process::tail(&self.log),
            log: self.log.clone(),
        }
    }

    /// Ends it with all the Lambdas that it runs.
    pub fn stop(&self) {
        if self.is_running() {
            process::stop_group(self.pid, || !self.is_running());
        }
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn free_port(wanted: u16) -> Result<u16, Error> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).and_then(|socket| socket.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Error::PortInUse {
            port: wanted,
            purpose: "the local AWS",
            by: process::listener(wanted),
            remedy: "--port",
        }),
        Err(error) => Err(Error::io("listen on", Path::new("127.0.0.1"))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_user_and_the_option() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let message = free_port(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port}")), "{message}");
        assert!(
            message.contains(&format!("by process {}", std::process::id())),
            "{message}"
        );
        assert!(message.contains("--port"), "{message}");
        assert_ne!(free_port(0).unwrap(), 0);
    }

    #[test]
    fn another_process_with_the_recorded_number_is_not_ours() {
        let recorded = Ministack {
            pid: std::process::id().cast_signed(),
            port: 4566,
            auth: false,
            log: PathBuf::from("log"),
        };
        assert!(!recorded.is_running());
    }
}
