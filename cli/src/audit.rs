//! `push-code audit`: whether the audit trail is whole, and its events for other programs.

mod checkpoints;
pub(crate) mod keys;

use std::io::Write;
use std::path::{Path, PathBuf};

use ::audit::checkpoints::{SeenTrail, Trails};
use ::audit::{AuditError, Difference, DynamoTrail, EventStore as _};
use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueHint};
use deployed_stack::Stack;
use deployed_stack::filter::since;
use domain::push::{Push, PushId};
use serde_json::json;
use shell::progress::Progress;

use crate::Error;
use crate::pushes::{StackArgs, state_of};
use crate::results::Results;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Compare the read models with the events that they are folded from, and the events with the signed checkpoints.
    /// Reads the whole table. Exits with 1 if any differs.
    Verify {
        /// Only the trail of this push, without the checkpoints, which are of all pushes of a day.
        id: Option<PushId>,
        /// The public key of the checkpoints, as `audit key --checkpoints` has written it before. Without it AWS KMS is
        /// asked.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "id")]
        key: Option<PathBuf>,
        /// The stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Write the read models that differ anew, as the events have them. Reads the whole table. Exits with 1 if any
    /// still differs.
    Rebuild {
        /// Only that of this push.
        id: Option<PushId>,
        /// The stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Write the public key by which `push-code verify` checks provenance documents, as PEM.
    Key {
        /// The key of the checkpoints of the trail instead, for `audit verify --key`.
        #[arg(long)]
        checkpoints: bool,
        /// The stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Write the signed provenance document of what a push has delivered.
    Provenance {
        /// The push.
        id: PushId,
        /// The stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Write the events of all pushes, a line of JSON each. Reads the whole table.
    Export {
        /// Only pushes that have an event since then: so long ago, such as 12h or 7d, or a date or time of UTC.
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<DateTime<Utc>>,
        /// The stack.
        #[command(flatten)]
        stack: StackArgs,
    },
}

/// Runs the command. Returns `false` if a read model differs from its events, and was not written anew.
///
/// # Errors
/// Returns an error if the stack cannot be read.
pub async fn run(
    command: AuditCommand,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    match command {
        AuditCommand::Verify { id, key, stack } => {
            let audit = Audit::open(stack.open(progress).await?, progress)?;
            audit.compare(id, Then::Report, key.as_deref(), results).await
        }
        AuditCommand::Rebuild { id, stack } => {
            let audit = Audit::open(stack.open(progress).await?, progress)?;
            audit.compare(id, Then::Rebuild, None, results).await
        }
        AuditCommand::Key { checkpoints, stack } => {
            let output = if checkpoints {
                CHECKPOINT_KEY
            } else {
                "ProvenanceKeyArn"
            };
            let key = keys::read(&stack.open(progress).await?, output).await?;
            keys::write(results.writer(), key.as_bytes())?;
            Ok(true)
        }
        AuditCommand::Provenance { id, stack } => {
            let stack = stack.open(progress).await?;
            let (push, _) = state_of(&stack, id).await?;
            keys::write(results.writer(), &keys::document(&stack, &push).await?)?;
            Ok(true)
        }
        AuditCommand::Export { since, stack } => {
            let audit = Audit::open(stack.open(progress).await?, progress)?;
            audit.export(since, results.writer()).await?;
            Ok(true)
        }
    }
}

/// What is done with a read model that differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Report,
    Rebuild,
}

/// The output of a stack that has the key of its checkpoints.
const CHECKPOINT_KEY: &str = "CheckpointKeyArn";

/// The trail of a stack.
struct Audit {
    trail: DynamoTrail<Push>,
    stack: Stack,
    progress: Progress,
}

impl Audit {
    fn open(stack: Stack, progress: Progress) -> Result<Self, Error> {
        Ok(Self {
            trail: stack.trail()?,
            stack,
            progress,
        })
    }

    async fn compare(
        &self,
        id: Option<PushId>,
        then: Then,
        key: Option<&Path>,
        results: &mut Results<impl Write>,
    ) -> Result<bool, Error> {
        // Before the trails, which then have everything that these are of.
        let checkpoints = match (id, then) {
            (None, Then::Report) => Some(self.checkpoints(key).await?),
            // The checkpoints are of all pushes of a day.
            _ => None,
        };
        let ids = match id {
            Some(id) => vec![id],
            None => self.ids().await?,
        };
        let step = self
            .progress
            .step(format!("Comparing {} pushes with their events", ids.len()));
        let (mut differing, mut left, mut expired) = (Vec::new(), 0, 0);
        let mut trails = Trails::new();
        for id in &ids {
            let found = match then {
                Then::Report => {
                    let compared = self.trail.compare_events(*id).await;
                    compared.map(|(difference, events)| {
                        trails.extend(SeenTrail::of(&events).map(|seen| (*id, seen)));
                        difference
                    })
                }
                Then::Rebuild => self.trail.rebuild(*id).await,
            };
            let Some(difference) = found.map_err(|error| self.failed(error))? else {
                continue;
            };
            if difference == Difference::Expired {
                expired += 1;
                continue;
            }
            let is_rebuilt = then == Then::Rebuild
                && matches!(
                    difference,
                    Difference::Missing | Difference::Attributes(_) | Difference::Delivered
                );
            left += usize::from(!is_rebuilt);
            let verb = if is_rebuilt { "rebuilt: " } else { "" };
            results.text(format!("{id}  {verb}{difference}"))?;
            differing.push(json!({
                "push_id": id, "difference": difference.to_string(), "rebuilt": is_rebuilt,
            }));
        }
        step.done(&format!("Compared {} pushes with their events", ids.len()));
        let (pushes, differed) = (ids.len(), differing.len());
        let not_compared = if expired > 0 {
            format!("; {expired} have expired, and were not compared")
        } else {
            String::new()
        };
        results.text(format!(
            "{pushes} pushes, {differed} of which differed{not_compared}"
        ))?;
        results.put(json!({ "pushes": pushes, "differing": differing, "expired": expired }));
        let is_signed = match checkpoints {
            Some(checkpoints) => checkpoints.compare(&trails, results)?,
            None => true,
        };
        Ok(left == 0 && is_signed)
    }

    async fn export(&self, since: Option<DateTime<Utc>>, out: &mut impl Write) -> Result<(), Error> {
        for id in self.ids().await? {
            let events = self.trail.events(id).await;
            let events = events.map_err(|error| self.failed(error))?;
            let last = events.last().map(|last| last.recorded_at);
            if since.is_some_and(|since| last.is_none_or(|last| last < since)) {
                continue;
            }
            for recorded in events {
                let mut line = json!(recorded);
                line["push_id"] = json!(id);
                let written = writeln!(out, "{line}");
                written.map_err(Error::output)?;
            }
        }
        Ok(())
    }

    async fn ids(&self) -> Result<Vec<PushId>, Error> {
        let step = self.progress.step("Reading the table");
        let (mut ids, mut from) = (Vec::new(), None);
        loop {
            let part = self.trail.ids(from).await;
            let (found, next) = part.map_err(|error| self.failed(error))?;
            ids.extend(found);
            ids.dedup();
            if next.is_none() {
                step.done(&format!("Read the table: {} pushes", ids.len()));
                return Ok(ids);
            }
            from = next;
        }
    }

    fn failed(&self, error: AuditError) -> Error {
        let action = format!("read the audit trail of the stack {}", self.stack.name());
        Error::Stack(deployed_stack::Error::audit(action)(error))
    }
}
