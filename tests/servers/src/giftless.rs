//! giftless, a Git LFS server, in a virtual environment of its own that is made once.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sha2::{Digest, Sha256};

const REQUIREMENTS: &str = include_str!("../requirements.txt");
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lfs_server.py");

/// The server, until it is dropped.
#[derive(Debug)]
pub struct Giftless {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub origin: String,
    /// Of the user `_jwt`, for all repositories of `group`.
    pub password: String,
}

impl Giftless {
    /// The user whose password it is.
    pub const USERNAME: &str = "_jwt";

    /// A server that keeps its objects in `folder`.
    pub fn serve(folder: &Path) -> Self {
        let mut child = Command::new(environment().join("bin/python"))
            .args([Path::new(SERVER), folder])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (port, password) = line.trim().split_once(' ').expect("giftless has not started");
        Self {
            child,
            origin: format!("http://127.0.0.1:{port}"),
            password: password.to_owned(),
        }
    }
}

impl Drop for Giftless {
    fn drop(&mut self) {
        // It serves until its input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The virtual environment, named by its requirements. A marker says that it is whole, and a lock keeps two tests from
/// making it at once.
fn environment() -> PathBuf {
    let hash = hex::encode(&Sha256::digest(REQUIREMENTS.as_bytes())[..6]);
    let cache = cache_folder();
    let folder = cache.join(format!("lfs-server-{hash}"));
    let marker = folder.join("complete");
    if marker.exists() {
        return folder;
    }
    std::fs::create_dir_all(&cache).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if marker.exists() {
        return folder;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let list = folder.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS).unwrap();
    run(Command::new(folder.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .arg("--requirement")
        .arg(&list));
    std::fs::write(&marker, "").unwrap();
    folder
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// The one of the `push-code` command: `$PUSH_CODE_CACHE`, else `$XDG_CACHE_HOME/push-code`, else `~/.cache/push-code`.
fn cache_folder() -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("PUSH_CODE_CACHE").unwrap_or_else(|| {
        variable("XDG_CACHE_HOME")
            .unwrap_or_else(|| std::env::home_dir().unwrap().join(".cache"))
            .join("push-code")
    })
}
