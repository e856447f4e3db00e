//! The command line.

use clap::{Parser, Subcommand};

use crate::local::LocalCommand;
use crate::push::PushArgs;

/// A git push becomes one zip in S3.
#[derive(Debug, Parser)]
#[command(name = "push-code", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deliver one commit straight to a bucket, without webhook and state machine: a smoke test.
    Push(PushArgs),
    /// Run all of it on this machine: the real template and binaries against a local AWS.
    #[command(subcommand)]
    Local(LocalCommand),
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
