//! The `push-code` command. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use push_code::args::{Cli, Command, completions, man};
use push_code::{Error, local, push};
use shell::output::PlainWriter;
use shell::progress::Progress;
use shell::report::report;

fn main() -> ExitCode {
    fetch::transfer_if_asked();
    command()
}

#[tokio::main]
async fn command() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<bool, Error> {
    let (out, progress) = (
        &mut PlainWriter::stdout(),
        if cli.quiet {
            Progress::Silent
        } else {
            Progress::on_stderr()
        },
    );
    match cli.command {
        // Boxed, as the future holds those of all stages.
        Command::Push(args) => Box::pin(push::run(args, out, progress)).await.map(|()| true),
        Command::Completions { shell } => completions(shell, out)
            .map(|()| true)
            .map_err(Error::io("write to", Path::new("standard output"))),
        Command::Man { command } => man(&command, out).map(|()| true),
        Command::Local(command) => local::run(command, out, progress).await,
    }
}
