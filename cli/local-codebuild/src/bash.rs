//! One bash for all commands of a build, so that variables, functions and the current folder go from one to the next.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Reads commands from standard input, each up to a NUL, and writes their exit codes to what was standard output. The
/// commands' own output goes to standard error. If a command ends the shell, what is exported and the current folder
/// are kept in a file.
///
/// Options of the shell do not go from one command to the next, as CodeBuild runs each from a script of its own: a
/// `pipefail` that took effect here alone would hide that a failed test passes there.
const LOOP: &str = r#"
exec 3>&1 1>&2
[ -f "$1" ] && . "$1"
trap "{ export -p; printf 'cd -- %q\n' \"\$PWD\"; } >$(printf %q "$1")" EXIT
set --
while IFS= read -r -d '' REPLY; do
  set +eux +o pipefail
  eval "$REPLY" </dev/null 3>&-
  printf '%s\n' "$?" >&3
done
trap - EXIT
"#;

/// How a build's bash is started.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The whole environment.
    pub environment: Vec<(String, OsString)>,
    /// The folder that the first command begins in.
    pub folder: PathBuf,
    /// The file for what is kept if a command ends the shell.
    pub state: PathBuf,
}

/// The bash of a build. When it is dropped, it ends with all that it has started.
#[derive(Debug)]
pub(crate) struct Bash {
    settings: Settings,
    /// `NAME=value` of a variable that nothing but this build has.
    mark: Vec<u8>,
    output: io::PipeWriter,
    running: Option<Running>,
    /// The process groups of all that were started.
    groups: Vec<Pid>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    commands: ChildStdin,
    codes: ChildStdout,
}

impl Bash {
    /// Creates a bash whose commands write to `output`. The variable `mark` of the environment shows what belongs to
    /// it.
    pub fn new(settings: Settings, mark: &str, output: io::PipeWriter) -> Self {
        let value = settings.environment.iter().find(|(name, _)| name == mark);
        let value = value
            .map(|(_, value)| value.as_encoded_bytes())
            .unwrap_or_default();
        Self {
            mark: [mark.as_bytes(), b"=", value].concat(),
            settings,
            output,
            running: None,
            groups: vec![],
        }
    }

    /// Runs a command, and returns its exit code.
    ///
    /// # Errors
    /// Returns an error if bash cannot be run.
    pub async fn run(&mut self, command: &str) -> io::Result<i32> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let text = [command.as_bytes(), b"\0"].concat();
        // If it has ended meanwhile, its exit code says so.
        let _ = running.commands.write_all(&text).await;
        let mut line = Vec::new();
        loop {
            // What it has started may hold the pipe open after its end.
            tokio::select! {
                biased;
                read = running.codes.read_u8() => match read {
                    Ok(b'\n') => break,
                    Ok(digit) => line.push(digit),
                    Err(_) => return Ok(code(running.child.wait().await?)),
                },
                status = running.child.wait() => return Ok(code(status?)),
            }
        }
        self.running = Some(running);
        let line = String::from_utf8_lossy(&line);
        line.parse()
            .map_err(|_| io::Error::other(format!("bash has written {line:?} for an exit code")))
    }

    fn start(&mut self) -> io::Result<Running> {
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc", "-c", LOOP, "bash"])
            .arg(&self.settings.state)
            .env_clear()
            .envs(
                self.settings
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .current_dir(&self.settings.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(self.output.try_clone()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(commands), Some(codes)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped")
        };
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        self.groups.extend(group);
        Ok(Running {
            child,
            commands,
            codes,
        })
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        for group in &self.groups {
            // It may have ended.
            let _ = kill_process_group(*group, Signal::KILL);
        }
        end_marked(&self.mark);
    }
}

/// Ends all processes that have `mark` in their environment, wherever they have moved to, as daemons do. Some may start
/// others meanwhile.
fn end_marked(mark: &[u8]) {
    for _ in 0..100 {
        let marked = marked(mark);
        if marked.is_empty() {
            return;
        }
        for pid in marked {
            // It may have ended.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn marked(mark: &[u8]) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return vec![];
    };
    processes
        .flatten()
        .filter_map(|process| {
            let pid = Pid::from_raw(process.file_name().to_str()?.parse().ok()?)?;
            // Those of other users cannot be read, and those that have ended are empty.
            let environment = std::fs::read(process.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark)
                .then_some(pid)
        })
        .collect()
}

fn code(status: ExitStatus) -> i32 {
    // As a shell has it.
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, Instant};

    use super::*;

    struct Scene {
        bash: Bash,
        output: io::PipeReader,
        folder: tempfile::TempDir,
    }

    fn scene() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let (output, writer) = io::pipe().unwrap();
        let text = |name: &str, value: &str| (name.to_owned(), OsString::from(value));
        let settings = Settings {
            environment: vec![
                text("PATH", &std::env::var("PATH").unwrap()),
                text("BUILD", folder.path().to_str().unwrap()),
            ],
            folder: folder.path().to_owned(),
            state: folder.path().join("the state"),
        };
        Scene {
            bash: Bash::new(settings, "BUILD", writer),
            output,
            folder,
        }
    }

    impl Scene {
        async fn codes(&mut self, commands: &[&str]) -> Vec<i32> {
            let mut codes = vec![];
            for command in commands {
                codes.push(self.bash.run(command).await.unwrap());
            }
            codes
        }

        fn said(self) -> String {
            let mut text = String::new();
            drop(self.bash);
            let mut output = self.output;
            output.read_to_string(&mut text).unwrap();
            text
        }
    }

    #[tokio::test]
    async fn variables_functions_and_the_folder_go_from_one_command_to_the_next() {
        let mut scene = scene();
        let commands = [
            "plain=1; export SEEN='a \"b\"\nc'; hi() { echo hi $plain; }",
            "mkdir d && cd d",
            "hi; echo \"$SEEN\"; basename \"$PWD\"",
            "false",
            "cat; (exit 7)",
            "no-such-command",
            "if true; then\n  echo multi\nfi\n",
            "echo $# $0 >&2",
        ];
        assert_eq!(scene.codes(&commands).await, [0, 0, 0, 1, 7, 127, 0, 0]);
        let said = scene.said();
        assert!(said.starts_with("hi 1\na \"b\"\nc\nd\n"), "{said}");
        assert!(said.ends_with("multi\n0 bash\n"), "{said}");
    }

    #[tokio::test]
    async fn what_is_exported_outlives_a_command_that_ends_the_shell() {
        let mut scene = scene();
        let commands = [
            "mkdir d; cd d; export KEPT='x y'; lost=1",
            "exit 3",
            "echo \"$KEPT-$lost\"; basename \"$PWD\"",
            "set -e; false; echo not here",
            "set -euo pipefail",
            "false | cat; false; echo \"$UNSET\"",
            "exec true",
            "kill -9 $$",
            "exit 0",
            "echo \"$KEPT\"",
        ];
        assert_eq!(scene.codes(&commands).await, [0, 3, 0, 1, 0, 0, 0, 137, 0, 0]);
        assert_eq!(scene.said(), "x y-\nd\n\nx y\n");
    }

    #[tokio::test]
    async fn a_process_in_the_background_does_not_hold_a_command_up() {
        let mut scene = scene();
        let begin = Instant::now();
        let commands = [
            "sleep 60 & (sleep 60; true) & env -i sleep 60 & exit 5",
            "(sleep 60; true) &",
            "exit 0",
        ];
        assert_eq!(scene.codes(&commands).await, [5, 0, 0]);
        assert_eq!(scene.said(), "");
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn all_that_it_has_started_ends_with_it() {
        let mut scene = scene();
        let start = "sleep 61 & setsid sleep 62 & (setsid bash -c 'sleep 63 & sleep 64') & wait";
        let hung = tokio::time::timeout(Duration::from_secs(1), scene.bash.run(start)).await;
        assert!(hung.is_err());
        let mark = scene.bash.mark.clone();
        // The future was dropped with the process, and its descendants are left.
        assert!(marked(&mark).len() >= 4);
        let _ = scene.folder.path();
        assert_eq!(scene.said(), "");
        assert!(marked(&mark).is_empty());
    }
}
