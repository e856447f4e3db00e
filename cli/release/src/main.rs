//! Makes a release: see `docs/contribute/release.md`.

mod bill_of_materials;
mod c_libraries;
mod command;
mod make;
mod source;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local_aws::checkout::Checkout;
use release::Error;
use shell::output::choose_colours;
use shell::progress::Progress;
use shell::report::report;

use crate::make::MakeArgs;
use crate::source::Source;

/// Make a release of Push Code from this checkout.
#[derive(Debug, Parser)]
#[command(name = "release", version)]
struct Cli {
    /// What to make.
    #[command(subcommand)]
    command: Command,
    /// Show no progress: only results and errors.
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the functions and the command, and write the archive, its bill of materials and SHA256SUMS into a folder.
    ///
    /// All of it is of the commit that is checked out, so nothing may be changed since.
    Make(MakeArgs),
    /// Write the bill of materials alone, in the form of CycloneDX.
    BillOfMaterials {
        /// The file.
        file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    choose_colours();
    let cli = Cli::parse();
    let progress = if cli.quiet {
        Progress::Silent
    } else {
        Progress::on_stderr()
    };
    match run(cli.command, progress).await {
        Ok(text) => {
            // If stdout is closed, nobody wants to know.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs the command. Returns what was made.
async fn run(command: Command, progress: Progress) -> Result<String, Error> {
    let checkout = Checkout::find()?;
    match command {
        Command::Make(args) => make::run(args, &checkout, progress).await,
        Command::BillOfMaterials { file } => {
            let source = Source::of(&checkout).await?;
            bill_of_materials::write(&source, &file, progress).await?;
            Ok(file.display().to_string())
        }
    }
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
