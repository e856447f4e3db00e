//! The installed git, without the settings of the user or the system.

use std::path::Path;
use std::process::Command;

use crate::error::Error;

/// Turns off all attributes that change what git archive writes, so that its zip can be compared with the commit.
const NO_ATTRIBUTES: &str =
    "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n";

/// Returns a git command without settings, prompts and proxies.
pub fn git() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("no_proxy", "127.0.0.1")
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// Runs a command that is not measured.
pub fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let output = command.output().map_err(|source| Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::Failed {
        command: format!("{command:?}"),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Returns the git command that fetch is compared with.
pub fn shallow_clone(url: &str, branch: &str, to: &Path) -> Command {
    let mut command = git();
    command
        .args([
            "clone", "--quiet", "--bare", "--depth", "1", "--branch", branch, url,
        ])
        .arg(to);
    command
}

/// Returns the git command that package is compared with.
pub fn archive(clone: &Path, commit: &str, to: &Path) -> Command {
    let mut command = git();
    command
        .arg("-C")
        .arg(clone)
        .args(["archive", "--format=zip", "-6", "-o"])
        .args([to.as_os_str(), commit.as_ref()]);
    command
}

/// Makes git archive write files as they are in the commit of the bare repository `clone`.
pub fn ignore_attributes(clone: &Path) -> Result<(), Error> {
    let folder = clone.join("info");
    std::fs::create_dir_all(&folder).map_err(Error::io("make", &folder))?;
    let path = folder.join("attributes");
    std::fs::write(&path, NO_ATTRIBUTES).map_err(Error::io("write", &path))
}
