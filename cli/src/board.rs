//! `push-code board`: the audit trail as a page on the loopback.

use std::io::Write;
use std::path::Path;

use board::Board;
use serde_json::json;
use shell::progress::Progress;

use crate::Error;
use crate::pushes::StackArgs;
use crate::results::Results;

/// Which pushes are shown, and where.
#[derive(Debug, clap::Args)]
pub struct BoardArgs {
    /// Their stack.
    #[command(flatten)]
    stack: StackArgs,
    /// The port on 127.0.0.1. 0 is any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Serves the board until the command is interrupted.
///
/// # Errors
/// Returns an error if there is no such stack, or if the port cannot be listened on.
pub async fn run(
    args: BoardArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<(), Error> {
    let stack = args.stack.open(progress).await?;
    let name = stack.name().to_owned();
    let board = Board::of(stack).listen(args.port).await?;
    let url = board.url();
    results.put(json!({ "stack": name, "url": url }));
    results.text(format!(
        "The board of the stack {name}: {url}\nWhoever has this URL sees all pushes and can replay them. Ctrl-C ends the board."
    ))?;
    // Now, as the command goes on.
    results.end(None)?;
    tokio::select! {
        served = board.serve() => served.map_err(Error::io("serve", Path::new(&url))),
        // The command is ended if it cannot be told when.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
