//! The programs that tests run besides git: Chromium, curl, Git LFS, GnuPG, jq, OpenSSH, OpenSSL and unzip.
//!
//! The script `find` of this package looks for them on this machine, and takes those that are missing from Debian's
//! packages into the cache. The build script runs it before the tests are built.

#![expect(clippy::panic, reason = "a test whose program is missing has failed")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

static PATH: LazyLock<String> = LazyLock::new(|| {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/find")).output();
    let output = output.unwrap_or_else(|error| panic!("tests/tools/find: {error}"));
    if !output.status.success() {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
});

/// Returns the path of the program `name`, such as `sshd`.
///
/// # Panics
/// If there is no such program.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let mut files = std::env::split_paths(&*PATH).map(|folder| folder.join(name));
    let runs = |file: &PathBuf| {
        let data = file.metadata();
        data.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    files
        .find(runs)
        .unwrap_or_else(|| panic!("no program {name} in {}", *PATH))
}

/// Returns the value of `PATH` with which git finds these programs.
///
/// # Panics
/// If one of them is missing and cannot be taken from packages.
#[must_use]
pub fn path() -> &'static str {
    &PATH
}
