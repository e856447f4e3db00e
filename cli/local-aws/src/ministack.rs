//! The process that emulates AWS on the loopback.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use serde::{Deserialize, Serialize};
use shell::{private, process};
use uuid::Uuid;

use crate::Error;
use crate::tools::Tools;
use crate::{ACCESS_KEY, REGION};

/// The script that runs ministack behind a guard.
const GUARD: &str = include_str!("guard.py");

/// The file that the script is run from.
const GUARD_FILE: &str = "guard.py";

/// How long ministack may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How the local AWS is started.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Its port; 0 chooses a free one.
    pub port: u16,
    /// The factor for waits and retry intervals of state machines, 1 if `None`.
    pub wait_scale: Option<f64>,
    /// The folder of a Python package whose `wrap` is ASGI middleware. Tests put it between the guard and ministack.
    pub middleware: Option<PathBuf>,
}

/// A local AWS that runs, or ran.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Ministack {
    /// Its process, which leads its own process group.
    pub pid: i32,
    /// Its port on the loopback.
    pub port: u16,
    /// The secret of its administrator's access key, [`ACCESS_KEY`]. Each has another.
    pub secret_key: String,
    /// Its log.
    pub log: PathBuf,
}

impl Ministack {
    /// Starts one that keeps its files in `folder`, which only the user should be able to read, and waits until it
    /// responds. It enforces IAM, and refuses requests of web pages and those that are not signed with the secret of
    /// the administrator or of a role: see `guard.py`. If `owned`, it ends when the returned child is dropped or this
    /// process ends.
    ///
    /// # Errors
    /// Returns an error if the port is in use, or if it does not start.
    pub async fn start(
        tools: &Tools,
        settings: &Settings,
        folder: &Path,
        owned: bool,
    ) -> Result<(Self, Child), Error> {
        let port = free_port(settings.port)?;
        let log = folder.join("local-aws.log");
        let temporary = folder.join("tmp");
        private::create_folder(&temporary)?;
        let guard = folder.join(GUARD_FILE);
        std::fs::write(&guard, GUARD).map_err(Error::io("write", &guard))?;
        let output = private::create_file(&log)?;
        let twin = output.try_clone().map_err(Error::io("write", &log))?;
        let python = tools.ministack_python();
        let secret_key = Uuid::new_v4().simple().to_string();
        let child = Command::new(&python)
            // Isolated: modules are loaded from the virtual environment alone, and not from the script's folder.
            .arg("-I")
            .arg(&guard)
            .args([
                port.to_string().as_str(),
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
            // It would remove containers that are not its own.
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("AUTH", "true")
            // No limit of its own: at that it refuses calls, while the guard lets them wait.
            .env("LAMBDA_ACCOUNT_CONCURRENCY", "0")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", &secret_key)
            .env("SFN_WAIT_SCALE", settings.wait_scale.unwrap_or(1.0).to_string())
            .envs(
                settings
                    .middleware
                    .iter()
                    .map(|package| ("LOCAL_AWS_MIDDLEWARE", package)),
            )
            .current_dir(folder)
            .stdin(if owned { Stdio::piped() } else { Stdio::null() })
            .stdout(output)
            .stderr(twin)
            .spawn()
            .map_err(Error::io("run", &python))?;
        let started = Self {
            pid: child.id().cast_signed(),
            port,
            secret_key,
            log,
        };
        started.wait_until_healthy(child).await
    }

    async fn wait_until_healthy(self, mut child: Child) -> Result<(Self, Child), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if self.is_healthy().await {
                return Ok((self, child));
            }
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                process::stop_group(self.pid, || child.try_wait().is_ok_and(|ended| ended.is_some()));
                return Err(self.failed(match ended {
                    Some(status) => format!("ended while it started ({status})"),
                    None => format!("did not respond within {} s", START_TIMEOUT.as_secs()),
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

    /// Returns the SDK's configuration for it, as the administrator of its own account.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        self.sdk_config_of(ACCESS_KEY)
    }

    /// Returns the SDK's configuration for it, as the administrator with this access key id.
    #[must_use]
    pub fn sdk_config_of(&self, access_key: &str) -> SdkConfig {
        let credentials = Credentials::new(access_key, &self.secret_key, None, None, "push-code local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(self.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

    /// Returns whether the recorded process still runs. Another process may have its number now.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let port = format!(" {} ", self.port);
        process::command_line(self.pid)
            .is_some_and(|command| command.contains(GUARD_FILE) && format!("{command} ").contains(&port))
    }

    /// Returns whether it responds.
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

    /// Returns an error with what happened to it and the end of its log.
    #[must_use]
    pub fn failed(&self, what: String) -> Error {
        Error::LocalAws {
            what,
            tail: process::tail(&self.log),
            log: self.log.clone(),
        }
    }

    /// Ends it and all the Lambda functions that it runs.
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
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Error::PortInUse(wanted)),
        Err(error) => Err(Error::io("listen on", Path::new("127.0.0.1"))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_purpose_and_the_option() {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let message = free_port(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port}")), "{message}");
        assert!(message.contains("the local AWS"), "{message}");
        assert!(message.contains("--port"), "{message}");
        assert_ne!(free_port(0).unwrap(), 0);
    }

    #[test]
    fn another_process_with_the_recorded_number_is_not_ours() {
        let recorded = Ministack {
            pid: std::process::id().cast_signed(),
            port: 4566,
            secret_key: String::new(),
            log: PathBuf::from("log"),
        };
        assert!(!recorded.is_running());
    }
}
