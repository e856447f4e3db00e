//! The `push-code` command. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use push_code::args::{Cli, Command};
use push_code::output::PlainWriter;
use push_code::progress::Progress;
use push_code::report::report;
use push_code::{Error, local, push};

fn main() -> ExitCode {
    fetch::transfer_if_asked();
    command()
}

#[tokio::main]
async fn command() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(command: Command) -> Result<bool, Error> {
    let (out, progress) = (&mut PlainWriter::stdout(), Progress::on_stderr());
    match command {
        // Boxed, as the future holds those of all stages.
        Command::Push(args) => Box::pin(push::run(args, out, progress)).await.map(|()| true),
        Command::Local(command) => local::run(command, out, progress).await,
    }
}
