//! Runs one process and measures its cost.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use wait4::Wait4;

use crate::error::Error;

/// How often the memory is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(3);

/// The cost of a process, with the processes that it started and waited for. The memory is that of the process alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The most anonymous memory of all samples, in bytes. Mapped files do not count.
    pub anonymous: u64,
    /// What was written to the disk or is about to be, in bytes; 0 on a file system in memory.
    pub written: u64,
}

/// Runs `command`, whose standard error goes to the file `log`.
pub fn run(command: &mut Command, log: &Path) -> Result<Cost, Error> {
    let stderr = File::create(log).map_err(Error::io("write", log))?;
    let started = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(|source| Error::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
    let pid = child.id();
    let ended = AtomicBool::new(false);
    let (waited, wall, anonymous) = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(anonymous_bytes(&pid.to_string()));
                thread::sleep(SAMPLE_INTERVAL);
            }
            most
        });
        // The process is not reaped yet, so that the kernel's counters can still be read.
        let waited = wait(pid);
        let wall = started.elapsed();
        ended.store(true, Ordering::Relaxed);
        (waited, wall, sampler.join().unwrap_or_default())
    });
    let waited = waited.map_err(Error::io("wait for", Path::new("a process")));
    let written = number(&format!("/proc/{pid}/io"), "write_bytes:");
    let reaped = child
        .wait4()
        .map_err(Error::io("wait for", Path::new("a process")))?;
    waited?;
    if !reaped.status.success() {
        return Err(Error::Failed {
            command: format!("{command:?}"),
            status: reaped.status,
            stderr: std::fs::read_to_string(log).unwrap_or_default(),
        });
    }
    Ok(Cost {
        wall,
        cpu: reaped.rusage.utime + reaped.rusage.stime,
        anonymous,
        written,
    })
}

/// Returns the processor time of all processes that this one has started and waited for, and that these have. It is
/// read from the fields `cutime` and `cstime` of proc_pid_stat(5).
pub fn children_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may have blanks.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
}

fn wait(pid: u32) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::InvalidInput)?;
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            waited => return Ok(waited.map(drop)?),
        }
    }
}

/// Returns the anonymous memory of the process `pid`, which may be `self`, or 0 if it has ended.
pub fn anonymous_bytes(pid: &str) -> u64 {
    number(&format!("/proc/{pid}/status"), "RssAnon:") * 1_024
}

/// Returns the number after `name` in a file of `/proc`, or 0 if it cannot be read.
fn number(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_cost_and_the_error_of_a_failed_one_names_its_message() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let before = children_cpu();
        let cost = run(Command::new("sh").args(["-c", script]), &log).unwrap();
        assert!(children_cpu() > before);
        assert!(cost.wall >= cost.cpu / 2 && cost.anonymous > 0, "{cost:?}");
        let failed = run(Command::new("sh").args(["-c", "echo no >&2; exit 3"]), &log).unwrap_err();
        assert!(failed.to_string().ends_with("no\n"), "{failed}");
    }
}
