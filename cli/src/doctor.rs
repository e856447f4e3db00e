//! `push-code doctor`: what is wrong with a stack, and what to do.

use std::io::Write;

use clap::Args;
use serde_json::json;
use shell::progress::Progress;
use sources::Check;

use crate::Error;
use crate::pushes::StackArgs;
use crate::results::Results;
use crate::sources::{program, text};

/// Which stack to try.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The stack.
    #[command(flatten)]
    stack: StackArgs,
}

/// Tries a stack and all of its sources. Returns `false` if something is wrong.
///
/// # Errors
/// Returns an error if there is no such stack.
pub async fn run(
    args: DoctorArgs,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let stack = args.stack.open(progress).await?;
    let step = progress.step("Trying the stack and its sources");
    let checks = sources::check_stack(&stack, &program()?).await;
    drop(step);
    results.put(json!({ "checks": checks }));
    results.text(text::checks(&checks))?;
    Ok(!checks.iter().any(Check::is_failed))
}
