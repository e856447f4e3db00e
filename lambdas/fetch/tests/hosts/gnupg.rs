//! GnuPG with a home directory of its own.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A home directory, and the agent that GnuPG has started in it. Both end when this is dropped.
pub struct Gnupg {
    home: TempDir,
}

impl Gnupg {
    pub fn new() -> Self {
        // The path must be short, because it has sockets.
        let home = tempfile::Builder::new().prefix("g").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        Self { home }
    }

    /// Runs gpg at a time (`YYYYMMDDThhmmss`), with this input.
    pub fn run(&self, time: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(tools::program("gpg"))
            .args(self.arguments(time))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {told}");
        output.stdout
    }

    fn arguments(&self, time: &str) -> Vec<String> {
        let home = self.home.path().display();
        format!("--homedir {home} --batch --yes --quiet --no-tty --pinentry-mode loopback --passphrase-file /dev/null --faked-system-time {time}!")
            .split(' ')
            .map(str::to_owned)
            .collect()
    }

    /// Makes a key. Returns its fingerprint.
    pub fn make_key(&self, time: &str, name: &str, algorithm: &str, usage: &str, expires: &str) -> String {
        self.run(
            time,
            &["--quick-generate-key", name, algorithm, usage, expires],
            b"",
        );
        self.fingerprints(name).remove(0)
    }

    /// Returns the fingerprints of a key and its subkeys.
    pub fn fingerprints(&self, name: &str) -> Vec<String> {
        let listed = self.run(NOW, &["--with-colons", "--list-keys", name], b"");
        let listed = String::from_utf8(listed).unwrap();
        let lines = listed.lines().filter_map(|line| line.strip_prefix("fpr:"));
        lines.map(|line| line.trim_matches(':').to_owned()).collect()
    }

    /// Returns the public key of `name` in ASCII armour.
    pub fn public(&self, name: &str) -> String {
        String::from_utf8(self.run(NOW, &["--armor", "--export", name], b"")).unwrap()
    }

    /// Returns a detached signature.
    pub fn sign(&self, time: &str, key: &str, options: &[&str], payload: &[u8]) -> String {
        let arguments = [&["--local-user", key, "--armor"], options, &["--detach-sign"]].concat();
        String::from_utf8(self.run(time, &arguments, payload)).unwrap()
    }

    /// Returns the path to configure as git's `gpg.program`.
    pub fn program(&self) -> String {
        let path = self.home.path().join("program");
        let gpg = tools::program("gpg");
        let script = format!(
            "#!/bin/sh\nexec '{}' {} \"$@\"\n",
            gpg.display(),
            self.arguments(NOW).join(" ")
        );
        let text = path.with_extension("sh");
        std::fs::write(&text, script).unwrap();
        // Written by another process, because a process that another test starts at this moment would inherit the open
        // file, and an open file cannot be executed.
        let mut install = Command::new("install");
        install.args(["-m", "700"]).arg(&text).arg(&path);
        assert!(install.status().unwrap().success());
        path.display().to_string()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let mut gpgconf = Command::new(tools::program("gpgconf"));
        let _ = gpgconf
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "gpg-agent"])
            .status();
    }
}

/// When commits are signed by default: soon after the commits of the scene.
pub const NOW: &str = "20231115T000000";
