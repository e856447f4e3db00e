//! The `push-code` command. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::io::Stdout;
use std::process::ExitCode;

use clap::Parser;
use push_code::args::{Cli, Command, completions, man, reference};
use push_code::results::Results;
use push_code::{
    Error, audit, board, deploy, deployments, docs, doctor, explain, local, push, pushes, retry, sources,
    verify,
};
use shell::output::choose_colours;
use shell::progress::Progress;
use shell::report::report;

fn main() -> ExitCode {
    fetch::transfer_if_asked();
    command()
}

#[tokio::main]
async fn command() -> ExitCode {
    choose_colours();
    let cli = Cli::parse();
    let mut results = Results::stdout(cli.output);
    let ran = match run(cli, &mut results).await {
        Ok(yes) => results.end(None).map(|()| yes),
        Err(error) => {
            // If stdout is closed, stderr still has the error.
            let _ = results.end(Some(&error));
            Err(error)
        }
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads the output, such as head, has enough of it.
        Err(error) if error.is_of_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli, results: &mut Results<Stdout>) -> Result<bool, Error> {
    let progress = if cli.quiet {
        Progress::Silent
    } else {
        Progress::on_stderr()
    };
    match cli.command {
        // Boxed, as the future holds those of all stages.
        Command::Push(args) => Box::pin(push::run(args, results, progress)).await.map(|()| true),
        Command::Completions { shell } => completions(shell, results.writer())
            .map(|()| true)
            .map_err(Error::output),
        Command::Man { command } => man(&command, results.writer()).map(|()| true),
        Command::Reference => results.text(reference()).map(|()| true),
        Command::Deploy(args) => deploy::run(args, results, progress).await.map(|()| true),
        Command::Deployments(command) => deployments::run(command, results, progress).await,
        Command::Pushes(command) => pushes::run(command, results, progress).await,
        Command::Retry(args) => retry::run(args, results, progress).await,
        Command::Doctor(args) => doctor::run(args, results, progress).await,
        Command::Explain(args) => explain::run(&args, results).map(|()| true),
        Command::Docs(args) => docs::run(&args, results).map(|()| true),
        Command::Sources(args) => sources::run(args, results, progress).await,
        Command::Board(args) => board::run(args, results, progress).await.map(|()| true),
        Command::Audit(command) => audit::run(command, results, progress).await,
        Command::Verify(args) => verify::run(args, results, progress).await.map(|()| true),
        Command::Local(command) => local::run(command, results, progress).await,
    }
}
