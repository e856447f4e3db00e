//! Measures how long a function takes from its start until it asks for its first event.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::error::Error;
use crate::report::Spread;

/// The environment variables that Lambda and the template set.
const ENVIRONMENT: [(&str, &str); 26] = [
    ("ALARM_ROLLBACK_MINUTES", "0"),
    ("APPLICATION", "application"),
    ("ARTIFACT_BUCKET", "artifacts"),
    ("AUDIT_RETENTION_DAYS", "0"),
    (
        "CHECKPOINT_KEY_ARN",
        "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000",
    ),
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
    ("AWS_LAMBDA_FUNCTION_NAME", "function"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("BASE_DAYS", "30"),
    ("BUILD_PROJECT", "build"),
    ("ENVIRONMENT", "dev"),
    ("EXECUTION_ROLE_ARN", "arn:aws:iam::123456789012:role/execution"),
    ("EXECUTIONS_URL", "https://console.example.com/"),
    ("ITEMS_URL", "https://items.example.com"),
    (
        "PERMISSIONS_BOUNDARY_ARN",
        "arn:aws:iam::123456789012:policy/boundary",
    ),
    ("SEARCH_URL", "https://search.example.com"),
    ("SECRET_PREFIX", "push-code/sources/"),
    (
        "SIGNING_KEY_ARN",
        "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000",
    ),
    ("SOURCES_PATH", "/push-code/sources"),
    ("STAGING_BUCKET", "staging"),
    (
        "STATE_MACHINE_ARN",
        "arn:aws:states:eu-central-1:123456789012:stateMachine:push",
    ),
    ("TABLE_NAME", "audit"),
];
/// How often it checks for a connection.
const POLL_INTERVAL: Duration = Duration::from_micros(50);

/// Which functions to start, and how often.
#[derive(Debug, clap::Args)]
pub struct ColdStartArgs {
    /// The functions' programs, as in .aws-sam/build/*/bootstrap.
    #[arg(value_name = "PROGRAM", required = true)]
    programs: Vec<PathBuf>,
    /// How many times each function is started.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Starts each function `runs` times, and prints a table.
pub fn run(args: &ColdStartArgs) -> Result<(), Error> {
    let loopback = Path::new("the loopback");
    let runtime_api = TcpListener::bind("127.0.0.1:0").map_err(Error::io("listen on", loopback))?;
    runtime_api
        .set_nonblocking(true)
        .map_err(Error::io("listen on", loopback))?;
    let mut table =
        "| Program | Size | First request after: median (min to max) | Processor time: median |\n|---|---|---|---|\n".to_owned();
    for program in &args.programs {
        let size = std::fs::metadata(program)
            .map_err(Error::io("read", program))?
            .len();
        // The first start reads the program from the disk, and is not counted.
        start(program, &runtime_api)?;
        let times = (0..args.runs)
            .map(|_| start(program, &runtime_api))
            .collect::<Result<Vec<_>, _>>()?;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
        let wall = Spread::of(times.iter().map(|(wall, _)| milliseconds(*wall)));
        let cpu = Spread::of(times.iter().map(|(_, cpu)| milliseconds(*cpu)));
        table += &format!(
            "| {} | {:.1} MB | {:.1} ms ({:.1} to {:.1}) | {:.1} ms |\n",
            program.display(),
            size as f64 / 1e6,
            wall.median,
            wall.least,
            wall.most,
            cpu.median
        );
    }
    write!(std::io::stdout(), "{table}").map_err(Error::io("write to", Path::new("standard output")))
}

/// Starts a function, waits for its first request to the runtime API, and ends it. Returns how long that took, and the
/// processor time that it used.
fn start(program: &Path, runtime_api: &TcpListener) -> Result<(Duration, Duration), Error> {
    let failed = |source| Error::Start {
        program: program.display().to_string(),
        source,
    };
    let address = runtime_api.local_addr().map_err(failed)?;
    let begun = Instant::now();
    let mut function = Command::new(program)
        .env_clear()
        .envs(ENVIRONMENT)
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let asked = first_request(&mut function, runtime_api).map(|()| begun.elapsed());
    // It may have ended by itself.
    let _ = function.kill();
    let usage = function.wait4().map_err(failed)?.rusage;
    Ok((asked.map_err(failed)?, usage.utime + usage.stime))
}

fn first_request(function: &mut Child, runtime_api: &TcpListener) -> std::io::Result<()> {
    let stream = loop {
        match runtime_api.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) => {
                if let Some(status) = function.try_wait()? {
                    return Err(std::io::Error::other(format!("it ended with {status}")));
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    };
    stream.set_nonblocking(false)?;
    let mut request = String::new();
    BufReader::new(stream).read_line(&mut request)?;
    if request.starts_with("GET ") && request.contains("/runtime/invocation/next ") {
        return Ok(());
    }
    Err(std::io::Error::other(format!("it asked for {request:?} first")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_ask_is_no_function() {
        let runtime_api = TcpListener::bind("127.0.0.1:0").unwrap();
        runtime_api.set_nonblocking(true).unwrap();
        assert!(start(Path::new("/bin/false"), &runtime_api).is_err());
    }
}
