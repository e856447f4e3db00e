//! A machine that lacks a program gets one line that says what to install, before anything is built.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Creates a folder with some of this machine's programs.
fn programs(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = std::env::var_os("PATH").unwrap();
        let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
        let file = files.find(|file| file.exists()).unwrap();
        symlink(file, folder.path().join(name)).unwrap();
    }
    folder
}

/// Runs `command` with no other programs than these, and returns the last line of its error output.
fn said(command: &mut Command, names: &[&str]) -> String {
    let (path, cache) = (programs(names), tempfile::tempdir().unwrap());
    let Output { status, stderr, .. } = command
        .env("PATH", path.path())
        .env("PUSH_CODE_CACHE", cache.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!status.success(), "{stderr}");
    stderr.trim().lines().last().unwrap().to_owned()
}

#[test]
fn what_tests_need_and_cannot_be_taken_is_named() {
    let mut find = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/find"));
    find.env("PUSH_CODE_TEST_TOOLS", "cache");
    let names = [
        "sh", "cat", "dirname", "flock", "mkdir", "rm", "tail", "tr", "uname",
    ];
    let said = said(&mut find, &names);
    assert!(said.contains("apt-get: not found"), "{said}");
    assert!(
        said.ends_with(
            "apt install chromium chromium-driver curl git-lfs gnupg jq openssh-client openssh-server openssl unzip"
        ),
        "{said}"
    );
}

#[test]
fn cargo_builds_nothing_where_a_program_is_missing() {
    let cargo = Path::new(env!("CARGO"));
    let target = tempfile::tempdir().unwrap();
    for (verb, lacks, install) in [
        ("build", " cc make perl.", " build-essential perl"),
        (
            "run",
            " cc make perl git python3-venv.",
            " build-essential perl git python3-venv",
        ),
    ] {
        let mut command = Command::new(cargo);
        command
            .args([verb, "--locked", "--offline", "--package", "push-code"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .env("CARGO_TARGET_DIR", target.path())
            .env("RUSTC", cargo.with_file_name("rustc"))
            .env_remove("RUSTC_WORKSPACE_WRAPPER");
        let said = said(&mut command, &["bash", "sed", "touch", "tr"]);
        assert_eq!(
            said,
            format!("This machine lacks{lacks} Install it first, on Debian: apt install{install}")
        );
        assert!(!target.path().join("debug/deps").exists());
    }
}
