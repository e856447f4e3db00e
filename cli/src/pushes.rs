//! `push-code pushes`: what the audit trail has of a push.

use std::io::Write;

use clap::Subcommand;
use domain::push::PushId;
use local_aws::deployments::Deployments;
use local_aws::trail;
use serde_json::json;
use shell::progress::Progress;

use crate::Error;
use crate::deployments::{open_stack, table};
use crate::results::Results;

/// What to do with pushes.
#[derive(Debug, Subcommand)]
pub enum PushesCommand {
    /// Show a push: its events, and the deployments that it has caused. Exits with 1 if it has failed.
    Show {
        /// Its id.
        id: PushId,
        /// The stack of the pushes.
        #[arg(long, value_name = "STACK", default_value = "push-code")]
        stack: String,
        /// The stack is in this checkout's local AWS. Otherwise it is where AWS's usual variables and profiles lead.
        #[arg(long)]
        local: bool,
    },
}

/// Runs the command. Returns `false` if the push has failed.
///
/// # Errors
/// Returns an error if there is no such push, or if the stack cannot be read.
pub async fn run(
    command: PushesCommand,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    let PushesCommand::Show { id, stack, local } = command;
    let stack = open_stack(&stack, local, progress).await?;
    let shown = trail::read(&stack.trail()?, id).await?;
    let Some(state) = &shown.state else {
        return Err(Error::NoPush {
            push_id: id.to_string(),
            stack: stack.name().to_owned(),
        });
    };
    let deployments = Deployments::of_push(&stack, id).await?;
    results.put(json!({ "push": state, "trail": shown.events, "deployments": deployments }));
    results.text(format!(
        "Push {id} of {} {}: {}\n{}",
        state.push.repository,
        state.push.ref_name,
        state.status,
        shown.lines().trim_end()
    ))?;
    if !deployments.is_empty() {
        results.text(format!("Deployments\n{}", table(&deployments)))?;
    }
    Ok(state.failure.is_none())
}
