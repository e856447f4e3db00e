//! Measures Push Code's stages against git, and against a full clone that is walked and zipped, on any local
//! repository. `docs/performance.md` describes what is measured and how.

mod accept;
mod board;
mod chart;
mod check;
mod cold_start;
mod compare;
mod error;
mod folder;
mod measure;
mod old_way;
mod peers;
mod pushes;
mod record;
mod report;
mod repository;
mod results;
mod stage;
mod sweep;
mod synthetic;
mod trail;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::results::Results;

/// Measure Push Code's stages against git, on local repositories.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    /// Folders with a git repository, bare or not.
    #[arg(value_name = "REPOSITORY", required_unless_present = "make")]
    repositories: Vec<PathBuf>,
    /// The branch or tag [default: the current branch].
    #[arg(long = "ref", value_name = "REF")]
    ref_name: Option<String>,
    /// How many pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many of them are also compared with a full clone that is walked and zipped, which may take minutes.
    #[arg(long, default_value_t = 1)]
    old_way_runs: u32,
    /// Make a repository of so many files in a temporary folder, and measure it too.
    #[arg(long, value_name = "FILES", value_parser = clap::value_parser!(u32).range(1..))]
    make: Option<u32>,
    /// Also write the ratios to a file, which `bench chart` reads.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw a chart of the ratios, an SVG.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The hidden commands are those that the tool starts as processes of their own, because the cost of a process is
/// measured.
#[derive(Debug, Subcommand)]
enum Command {
    /// Measure how many webhooks are accepted in a second.
    Accept(accept::AcceptArgs),
    /// Measure how long functions take until they ask for their first event.
    ColdStart(cold_start::ColdStartArgs),
    /// Draw a chart of ratios that were measured before.
    Chart {
        /// The file that `--json` has written.
        results: PathBuf,
        /// The file of the SVG.
        file: PathBuf,
    },
    /// Take the pictures of the board, of pushes that are made up.
    Board(board::BoardArgs),
    /// Measure what the audit trail costs in a small and in a large table.
    Trail(trail::TrailArgs),
    /// Measure pushes that are made as the difference from the one before.
    Pushes(pushes::PushesArgs),
    /// Run a command on a terminal and draw its screen as an animated SVG.
    Record(record::RecordArgs),
    /// Measure one run of the sweep over many repositories.
    Sweep(sweep::SweepArgs),
    /// Run one stage once.
    #[command(hide = true)]
    Stage(stage::StageArgs),
    /// Clone, walk and zip.
    #[command(hide = true)]
    OldWay(old_way::OldWayArgs),
}

fn main() -> ExitCode {
    fetch::transfer_if_asked();
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Command::Chart { results, file }) => {
            Results::read(results).and_then(|results| chart::draw(&results, file))
        }
        Some(Command::Accept(args)) => accept::run(args),
        Some(Command::ColdStart(args)) => cold_start::run(args),
        Some(Command::Board(args)) => board::run(args),
        Some(Command::Trail(args)) => trail::run(args),
        Some(Command::Pushes(args)) => pushes::run(args),
        Some(Command::Record(args)) => record::run(args),
        Some(Command::Stage(args)) => stage::run(args),
        Some(Command::Sweep(args)) => sweep::run(args),
        Some(Command::OldWay(args)) => old_way::run(args),
        None => run(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Writes the error with all its causes to stderr.
fn print_error(error: &dyn std::error::Error) {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("  because: {error}\n");
        cause = error.source();
    }
    // A closed stderr leaves the exit code to speak.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn run(cli: &Cli) -> Result<(), Error> {
    let made = tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
    let mut repositories = cli.repositories.clone();
    if let Some(files) = cli.make {
        let folder = made.path().join(format!("synthetic-{files}.git"));
        synthetic::make(&folder, files)?;
        repositories.push(folder);
    }
    let mut results = Results {
        date: chrono::Local::now().date_naive().to_string(),
        repositories: Vec::new(),
    };
    for repository in &repositories {
        let comparison = compare::compare(repository, cli)?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", report::markdown(&comparison))
            .map_err(Error::io("write to", Path::new("standard output")))?;
        results.repositories.push(report::ratios(&comparison));
    }
    if let Some(file) = &cli.json {
        results.write(file)?;
    }
    if let Some(file) = &cli.chart {
        chart::draw(&results, file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
