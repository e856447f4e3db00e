//! git, as it is installed, without anybody's settings.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns git in `folder`. It commits as Jo, always at the same time, on the branch `main`.
#[must_use]
pub fn command(folder: impl AsRef<Path>) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env("PATH", tools::path()).envs([
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("XDG_CONFIG_HOME", "/nonexistent"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "init.defaultBranch"),
        ("GIT_CONFIG_VALUE_0", "main"),
        ("GIT_AUTHOR_NAME", "Jo"),
        ("GIT_AUTHOR_EMAIL", "jo@example.com"),
        ("GIT_AUTHOR_DATE", "1700000000 +0100"),
        ("GIT_COMMITTER_NAME", "Jo"),
        ("GIT_COMMITTER_EMAIL", "jo@example.com"),
        ("GIT_COMMITTER_DATE", "1700000000 +0100"),
    ]);
    command
}

/// Runs a command, which must succeed, with `input`, and returns its output.
pub fn output(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| unreachable!("{command:?} is needed for these tests: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // The command may write before it has read all, or end before it.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}

/// Runs a command, which must succeed, and returns its output without the end of the line.
pub fn line(command: &mut Command, input: &[u8]) -> String {
    let output = output(command, input);
    String::from_utf8(output).unwrap().trim().to_owned()
}

/// Commits `files`, by their paths, as all that a repository has, and returns the commit's id. The repository is
/// created in `folder` if there is none.
pub fn commit(folder: impl AsRef<Path>, files: &BTreeMap<String, String>, message: &str) -> String {
    let folder = folder.as_ref();
    if !folder.join(".git").exists() {
        std::fs::create_dir_all(folder).unwrap();
        output(command(folder).args(["init", "--quiet"]), b"");
    }
    output(
        command(folder).args(["rm", "-r", "--quiet", "--force", "--ignore-unmatch", "."]),
        b"",
    );
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    output(command(folder).args(["add", "--all"]), b"");
    output(
        command(folder).args(["commit", "--quiet", "--allow-empty", "-m", message]),
        b"",
    );
    line(command(folder).args(["rev-parse", "HEAD"]), b"")
}
