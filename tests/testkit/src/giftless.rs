//! giftless, a Git LFS server, in a virtual environment of its own that is created once.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use python_tools::Requirements;
use shell::progress::Progress;

const REQUIREMENTS: Requirements = Requirements {
    name: "lfs-server",
    file: "tests/testkit/requirements.txt",
    text: include_str!("../requirements.txt"),
    about: "a Git LFS server (giftless)",
};
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lfs_server.py");

/// The server, until it is dropped.
#[derive(Debug)]
pub struct Giftless {
    child: Child,
    /// `http://127.0.0.1:port`.
    pub origin: String,
    /// The password of the user `_jwt`, for all repositories of `group`.
    pub password: String,
}

impl Giftless {
    /// The user of the password.
    pub const USERNAME: &str = "_jwt";

    /// Starts a server that stores its objects in `folder`.
    pub async fn serve(folder: &Path) -> Self {
        let environment = REQUIREMENTS.install(Progress::on_stderr()).await.unwrap();
        let mut child = Command::new(environment.join("bin/python"))
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
        // The server ends when its input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
