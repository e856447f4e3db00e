//! A host that is reached by SSH: OpenSSH's own server, one process for each connection.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::PATH;
use crate::git::{line, output};

/// A host that serves until it is dropped.
#[derive(Debug)]
pub struct Sshd {
    /// `ssh://{user}@127.0.0.1:{port}`.
    pub origin: String,
    /// The private key that it accepts.
    pub private_key: String,
    port: u16,
    folder: TempDir,
    server: JoinHandle<()>,
}

impl Sshd {
    /// Serves the repositories below `root`.
    pub async fn of(root: impl AsRef<Path>) -> Self {
        let script = format!(
            "eval \"set -- $SSH_ORIGINAL_COMMAND\"\nexec git upload-pack '{}'\"$2\"\n",
            root.as_ref().display()
        );
        Self::running(&script).await
    }

    /// Starts a host that runs a shell script for each client that it accepts.
    pub async fn running(script: &str) -> Self {
        let sshd = tools::program("sshd");
        let user = line(Command::new("id").arg("-un"), b"");
        if user == "root" {
            // sshd needs it. It does not exist if OpenSSH's service has never run.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let client = make_key(folder.path(), "client", "ed25519", "");
        make_key(folder.path(), "host", "ed25519", "");
        let config = configure(folder.path(), script);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = folder.path().join("log");
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let connection = connection.into_std().unwrap();
                connection.set_nonblocking(false).unwrap();
                let input = OwnedFd::from(connection);
                let output = input.try_clone().unwrap();
                let mut command = tokio::process::Command::new(&sshd);
                command.args(["-i", "-f"]).arg(&config).arg("-E").arg(&log);
                command
                    .stdin(Stdio::from(input))
                    .stdout(Stdio::from(output))
                    .stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                tokio::spawn(async move { child.wait().await });
            }
        });
        Self {
            origin: format!("ssh://{user}@127.0.0.1:{port}"),
            private_key: std::fs::read_to_string(client).unwrap(),
            port,
            folder,
            server,
        }
    }

    /// Returns the URL of the repository at [`PATH`].
    #[must_use]
    pub fn url(&self) -> String {
        self.origin.clone() + PATH
    }

    /// Returns the host's own key, as a line of `known_hosts`.
    #[must_use]
    pub fn known_hosts(&self) -> String {
        self.pin(&public(&self.folder.path().join("host")))
    }

    /// Returns a line of `known_hosts` for this host, with any key.
    #[must_use]
    pub fn pin(&self, public_key: &str) -> String {
        format!("[127.0.0.1]:{} {public_key}\n", self.port)
    }

    /// Makes another key pair, and returns the private key and the public one.
    #[must_use]
    pub fn make_key(&self, kind: &str, passphrase: &str) -> (String, String) {
        let key = make_key(self.folder.path(), "another", kind, passphrase);
        (std::fs::read_to_string(&key).unwrap(), public(&key))
    }

    /// Makes another key pair, and returns the private key in a form that `ssh-keygen -m` knows, and the public one.
    #[must_use]
    pub fn make_key_in(&self, form: &str, kind: &str, passphrase: &str) -> (String, String) {
        let key = make_key(self.folder.path(), "another", kind, "");
        let mut command = Command::new(tools::program("ssh-keygen"));
        command.args(["-q", "-p", "-m", form, "-P", "", "-N", passphrase, "-f"]);
        output(command.arg(&key), b"");
        (std::fs::read_to_string(&key).unwrap(), public(&key))
    }

    /// Accepts only the private key of `public_key` from now on.
    pub fn let_in(&self, public_key: &str) {
        std::fs::write(self.folder.path().join("authorized_keys"), public_key).unwrap();
    }

    /// Returns what the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Writes the server's configuration, and the one command that a client may run.
fn configure(folder: &Path, script: &str) -> PathBuf {
    std::fs::copy(folder.join("client.pub"), folder.join("authorized_keys")).unwrap();
    let path = std::env::var("PATH").unwrap();
    std::fs::write(
        folder.join("serve"),
        format!("PATH='{path}'\nexport PATH\n{script}"),
    )
    .unwrap();
    let config = folder.join("sshd_config");
    let folder = folder.display();
    let text = format!(
        "HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\nForceCommand /bin/sh {folder}/serve\n\
         PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nLogLevel VERBOSE\n"
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// Makes a key pair, and returns the file of the private key.
#[expect(clippy::must_use_candidate, reason = "the files are what it is called for")]
pub fn make_key(folder: &Path, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let file = folder.join(name);
    // ssh-keygen would ask before it overwrites a key.
    let _ = std::fs::remove_file(&file);
    let mut command = Command::new(tools::program("ssh-keygen"));
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]);
    output(command.arg(&file), b"");
    file
}

/// Returns the public key that belongs to a file with a private key.
#[must_use]
pub fn public(key: &Path) -> String {
    let text = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    text.trim().to_owned()
}
