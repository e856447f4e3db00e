//! `push-code deployments`: what was deployed, and what people decide about it.

use std::fmt::Write as _;
use std::io::Write;

use chrono::SecondsFormat;
use clap::Subcommand;
use delivery::deployment::DeploymentId;
use delivery::event::DeploymentEvent;
use delivery::state::DeploymentState;
use deployed_stack::Stack;
use deployed_stack::deployments::{Deployments, Shown};
use local_aws::aws;
use local_aws::checkout::Checkout;
use serde_json::json;
use shell::output::one_line;
use shell::progress::Progress;

use crate::Error;
use crate::results::Results;

/// The delivery stack that a command is about.
#[derive(Debug, Clone, clap::Args)]
pub struct StackArgs {
    /// The delivery stack, which is one application in one environment. In the local AWS, one of another account is
    /// ACCOUNT/NAME.
    #[arg(long, value_name = "STACK")]
    stack: String,
    /// The stack is in this checkout's local AWS. Otherwise it is where AWS's usual variables and profiles lead.
    #[arg(long)]
    local: bool,
}

/// What to do with deployments.
#[derive(Debug, Subcommand)]
pub enum DeploymentsCommand {
    /// List the last deployments, the newest first.
    List {
        /// The delivery stack.
        #[command(flatten)]
        stack: StackArgs,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        most: u32,
    },
    /// Show a deployment: its push, its events, what it would change, and why it failed. Exits with 1 if it has failed.
    Show {
        /// Its id.
        id: DeploymentId,
        /// The delivery stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Approve the plan of a deployment that waits for it.
    Approve {
        /// Its id.
        id: DeploymentId,
        /// Why, for the audit trail.
        #[arg(long)]
        comment: Option<String>,
        /// The delivery stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Reject the plan of a deployment that waits for approval. Nothing is changed then.
    Reject {
        /// Its id.
        id: DeploymentId,
        /// Why, for the audit trail.
        #[arg(long)]
        comment: Option<String>,
        /// The delivery stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Make an earlier release live again, without a build and all at once. It is a deployment of its own.
    Rollback {
        /// The deployment that released it [default: the one before the last release].
        #[arg(long)]
        to: Option<DeploymentId>,
        /// The delivery stack.
        #[command(flatten)]
        stack: StackArgs,
    },
    /// Show what differs between the templates of two deployments.
    Diff {
        /// The first one.
        before: DeploymentId,
        /// The second one.
        after: DeploymentId,
        /// The delivery stack.
        #[command(flatten)]
        stack: StackArgs,
    },
}

/// Runs the command. Returns `false` if `show` finds a deployment that has failed.
///
/// # Errors
/// Returns an error if the stack cannot be read, or if it refuses what is asked.
pub async fn run(
    command: DeploymentsCommand,
    results: &mut Results<impl Write>,
    progress: Progress,
) -> Result<bool, Error> {
    match command {
        DeploymentsCommand::List { stack, most } => {
            let listed = open(&stack, progress).await?.list(most).await?;
            results.put(json!({ "deployments": listed }));
            results.text(table(&listed))?;
        }
        DeploymentsCommand::Show { id, stack } => {
            let shown = open(&stack, progress).await?.show(id).await?;
            results.put(json!({ "deployment": shown.state, "events": shown.events }));
            results.text(describe(&shown))?;
            return Ok(shown.state.failure.is_none());
        }
        DeploymentsCommand::Approve { id, comment, stack } => {
            open(&stack, progress).await?.decide(id, true, comment).await?;
            results.put(json!({ "deployment_id": id, "approved": true }));
            results.text(format!("Approved. The deployment {id} goes on."))?;
        }
        DeploymentsCommand::Reject { id, comment, stack } => {
            open(&stack, progress).await?.decide(id, false, comment).await?;
            results.put(json!({ "deployment_id": id, "approved": false }));
            results.text(format!(
                "Rejected. The deployment {id} ends, and nothing was changed."
            ))?;
        }
        DeploymentsCommand::Rollback { to, stack } => {
            let deployments = open(&stack, progress).await?;
            let to = match to {
                Some(to) => to,
                None => before_the_last(&deployments.list(1000).await?)?,
            };
            let id = deployments.roll_back(to).await?;
            results.put(json!({ "deployment_id": id, "rollback_to": to }));
            results.text(format!("Deployment {id} rolls back to {to}."))?;
        }
        DeploymentsCommand::Diff { before, after, stack } => {
            let found = open(&stack, progress).await?.diff(before, after).await?;
            let json: Vec<_> = found
                .iter()
                .map(|one| json!({ "pointer": one.pointer, "before": one.before, "after": one.after }))
                .collect();
            results.put(json!({ "differences": json }));
            if found.is_empty() {
                results.text("The templates are the same.")?;
            }
            for one in found {
                results.text(&one.pointer)?;
                for (sign, value) in [('-', one.before), ('+', one.after)] {
                    if let Some(value) = value {
                        results.text(format!("  {sign} {value}"))?;
                    }
                }
            }
        }
    }
    Ok(true)
}

async fn open(args: &StackArgs, progress: Progress) -> Result<Deployments, Error> {
    Ok(Deployments::of(
        open_stack(&args.stack, args.local, progress).await?,
    )?)
}

/// Returns a handle of a stack in the checkout's local AWS, or in AWS.
pub(crate) async fn open_stack(name: &str, local: bool, progress: Progress) -> Result<Stack, Error> {
    if local {
        let record = aws::running(&Checkout::find()?)?.ok_or(local_aws::Error::NotRunning)?;
        let stack = record.stack_named(name);
        return Ok(stack.ok_or_else(|| local_aws::Error::NotDeployed(name.to_owned()))?);
    }
    let _step = progress.step(format!("Reading the outputs of the stack {name}"));
    Ok(Stack::deployed(name, ::aws::user_config().await).await?)
}

/// Returns the release before the last one.
fn before_the_last(listed: &[DeploymentState]) -> Result<DeploymentId, Error> {
    let mut released = listed.iter().filter(|deployment| deployment.released.is_some());
    let live = released.next();
    // The release that a rollback has made live again is the same as the one that it names.
    let before = released.find(|deployment| {
        live.is_some_and(|live| {
            deployment.artifact.as_ref().map(|artifact| &artifact.template)
                != live.artifact.as_ref().map(|artifact| &artifact.template)
        })
    });
    before
        .map(|deployment| deployment.deployment_id)
        .ok_or_else(|| Error::Usage("there is no release before the last one: name one with --to".to_owned()))
}

pub(crate) fn table(listed: &[DeploymentState]) -> String {
    if listed.is_empty() {
        return "There are no deployments yet.".to_owned();
    }
    let mut text = format!(
        "{:<36}  {:<20}  {:<16}  {:<8}  WHAT",
        "DEPLOYMENT", "REQUESTED", "STATUS", "COMMIT"
    );
    for state in listed {
        let commit = state
            .request
            .as_ref()
            .map(|request| request.push.commit.short().to_owned());
        let _ = write!(
            text,
            "\n{:<36}  {:<20}  {:<16}  {:<8}  {}",
            state.deployment_id.to_string(),
            state.requested_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            state.status.to_string(),
            commit.unwrap_or_default(),
            one_line(&what(state)),
        );
    }
    text
}

/// Returns what is deployed, or why not, in a few words.
fn what(state: &DeploymentState) -> String {
    if let Some(failed) = &state.failure {
        let mess = if failed.failure.clean {
            ""
        } else {
            " (something is left to mend)"
        };
        return format!("{}: {}{mess}", failed.failure.stage, failed.failure.error);
    }
    if let Some(superseded) = &state.superseded {
        return superseded.because.clone();
    }
    if let Some(ignored) = &state.ignored {
        return ignored.detail.clone();
    }
    match &state.request {
        Some(request) => match &request.rollback {
            Some(rollback) => format!("back to {} by {}", rollback.to, rollback.by),
            None => request.push.subject.clone(),
        },
        None => String::new(),
    }
}

/// Returns a deployment as text.
pub(crate) fn describe(shown: &Shown) -> String {
    let state = &shown.state;
    let deployment = &state.deployment;
    let mut text = format!(
        "Deployment {} of {} to {}: {}\n",
        state.deployment_id, deployment.application, deployment.environment, state.status
    );
    if let Some(request) = &state.request {
        let push = &request.push;
        let _ = writeln!(
            text,
            "  push     {} of {} {}",
            push.push_id, push.repository, push.ref_name
        );
        let _ = writeln!(text, "  commit   {} {}", push.commit, one_line(&push.subject));
        let _ = writeln!(
            text,
            "  pushed   by {}",
            push.pusher.as_deref().map_or_else(|| "unknown".into(), one_line)
        );
    }
    if let Some(artifact) = &state.artifact {
        let from = state.reused_from.as_deref().unwrap_or("built now");
        let _ = writeln!(
            text,
            "  artifact {} ({from}), {} tests passed",
            artifact.template, artifact.tests.passed
        );
    }
    if let Some(planned) = &state.planned {
        for change in &planned.changes {
            let _ = writeln!(
                text,
                "  {:<8} {} ({}) {}",
                change.action.to_lowercase(),
                change.logical_id,
                change.resource_type,
                change.properties.join(", ")
            );
        }
        for risk in &planned.risks {
            let _ = writeln!(text, "  risk     {:?}: {}", risk.kind, one_line(&risk.detail));
        }
    }
    text.push_str("Events\n");
    for recorded in &shown.events {
        let _ = writeln!(
            text,
            "  {:>3}  {}  {:<20}  {}",
            recorded.version,
            recorded.recorded_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            recorded.event.name(),
            one_line(&summary(&recorded.event))
        );
    }
    if let Some(failed) = &state.failure {
        let _ = writeln!(text, "{}: {}", failed.failure.error, failed.failure.cause);
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns an event in a few words.
fn summary(event: &DeploymentEvent) -> String {
    match event {
        DeploymentEvent::DeploymentRequested(requested) => format!("by {}", requested.execution.id),
        DeploymentEvent::DeploymentRetried(retried) => format!("by {}", retried.execution.id),
        DeploymentEvent::DeploymentAccepted(request) => {
            format!(
                "commit {} of {}",
                request.push.commit.short(),
                request.push.repository
            )
        }
        DeploymentEvent::DeploymentIgnored(ignored) => ignored.detail.clone(),
        DeploymentEvent::DeploymentSuperseded(superseded) => superseded.because.clone(),
        DeploymentEvent::ArtifactReused(acquired) => {
            format!("from {}", acquired.from.as_deref().unwrap_or("nowhere"))
        }
        DeploymentEvent::BuildStarted(build) => build.build_id.clone(),
        DeploymentEvent::ArtifactBuilt(artifact) => {
            format!(
                "{} tests passed, {} objects",
                artifact.tests.passed,
                artifact.objects.len()
            )
        }
        DeploymentEvent::ChangesPlanned(planned) => {
            format!("{} changes, {} risks", planned.changes.len(), planned.risks.len())
        }
        DeploymentEvent::ApprovalDecided(decision) => {
            let verb = if decision.approved { "approved" } else { "rejected" };
            format!("{verb} by {}", decision.by)
        }
        DeploymentEvent::ChangesApplied(applied) | DeploymentEvent::StackRestored(applied) => {
            applied.status.clone()
        }
        DeploymentEvent::ProbePassed(probed) => {
            format!("{} by {}", probed.functions.join(", "), probed.alias)
        }
        DeploymentEvent::TrafficShifted(shifted) | DeploymentEvent::TrafficPromoted(shifted) => {
            format!("{} %", shifted.percent)
        }
        DeploymentEvent::CanaryJudged(judged) => format!("{:?} at {} %", judged.verdict, judged.percent),
        DeploymentEvent::TrafficRolledBack(rolled_back) => rolled_back.error.clone(),
        DeploymentEvent::DeploymentReleased(released) => {
            let versions = released.functions.iter();
            let versions: Vec<_> = versions
                .map(|function| format!("{} {}", function.logical_id, function.candidate))
                .collect();
            versions.join(", ")
        }
        DeploymentEvent::AttemptFailed(failed) => {
            format!(
                "{}, attempt {}: {}",
                failed.stage,
                failed.attempt + 1,
                failed.error
            )
        }
        DeploymentEvent::DeploymentFailed(failed) => {
            format!("{}: {}", failed.failure.stage, failed.failure.error)
        }
        DeploymentEvent::DeploymentAdmitted
        | DeploymentEvent::ApprovalRequested
        | DeploymentEvent::DeploymentUnchanged => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(id: &str, status: &str, template: Option<char>) -> DeploymentState {
        let digest = |letter: char| letter.to_string().repeat(64);
        let object = |letter: char| letter.to_string().repeat(40);
        let zip = json!({ "bucket": "zips", "key": "a.zip", "version_id": "v", "sha256": digest('a') });
        let artifact = template.map(|letter| {
            json!({
                "application": "answer", "tree": object('b'), "commit": object('c'), "directory": "",
                "template": digest(letter), "objects": [], "provenance": digest('d'),
                "tests": { "passed": 3, "skipped": 0 }, "zip": zip, "buildspec": digest('e'), "build_id": "b:1",
                "built_by": id, "built_at": "2026-01-02T03:04:05Z",
            })
        });
        let released =
            (status == "Released").then(|| json!({ "artifact": artifact, "functions": [], "outputs": {} }));
        let push = json!({
            "push_id": "87513765-0933-52f9-8a01-27081a19c5c8", "repository": "group/answer",
            "ref": "refs/heads/main", "sequence": 7, "commit": object('c'), "tree": object('b'),
            "subject": "Answer\u{1b}[2J", "author": "Jo", "pusher": "jo",
        });
        let settings = json!({
            "application": "answer", "environment": "dev", "source": "gitlab", "repository": "group/answer",
            "ref": "refs/heads/main", "directory": "", "stack": "answer", "functions": { "F": {} },
        });
        let mut state = json!({
            "deployment_id": id, "deployment": {
                "environment": "dev", "application": "answer",
                "cause": { "push_id": "87513765-0933-52f9-8a01-27081a19c5c8" },
            },
            "status": status, "version": 3, "requested_at": "2026-01-02T03:04:05Z",
            "updated_at": "2026-01-02T03:04:05Z", "executions": ["e1"],
            "request": {
                "deployment_id": id, "order": 7, "settings": settings, "push": push, "zip": zip, "rollback": null,
            },
            "artifact": artifact, "percent": 0, "released": released, "failed_attempts": 0,
        });
        if status == "Failed" {
            state["failure"] = json!({
                "execution_id": "e1", "stage": "Restore", "error": "AlarmRaised",
                "cause": "An alarm\nwas raised.", "clean": false,
            });
        }
        serde_json::from_value(state).unwrap()
    }

    const IDS: [&str; 4] = [
        "00000000-0000-5000-8000-000000000001",
        "00000000-0000-5000-8000-000000000002",
        "00000000-0000-5000-8000-000000000003",
        "00000000-0000-5000-8000-000000000004",
    ];

    #[test]
    fn a_list_has_a_line_for_each_deployment_and_says_what_is_left() {
        assert_eq!(table(&[]), "There are no deployments yet.");
        let listed = [
            state(IDS[0], "Failed", None),
            state(IDS[1], "Released", Some('1')),
        ];
        let text = table(&listed);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with(IDS[0]));
        assert!(
            lines[1].ends_with("Restore: AlarmRaised (something is left to mend)"),
            "{text}"
        );
        assert!(
            lines[2].contains("  Released          cccccccc  Answer"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_rollback_goes_to_the_last_release_that_is_another_one() {
        let listed = [
            state(IDS[0], "Failed", Some('3')),
            state(IDS[1], "Released", Some('2')),
            // The same as the live one, which was deployed again.
            state(IDS[2], "Released", Some('2')),
            state(IDS[3], "Released", Some('1')),
        ];
        assert_eq!(before_the_last(&listed).unwrap().to_string(), IDS[3]);
        let error = before_the_last(&listed[..3]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--to"), "{error}");
    }

    #[test]
    fn a_deployment_is_shown_with_its_push_and_its_failure() {
        let shown = Shown {
            state: state(IDS[0], "Failed", Some('1')),
            events: vec![],
        };
        let text = describe(&shown);
        assert!(
            text.starts_with(&format!("Deployment {} of answer to dev: Failed\n", IDS[0])),
            "{text}"
        );
        assert!(
            text.contains("push     87513765-0933-52f9-8a01-27081a19c5c8 of group/answer refs/heads/main")
        );
        assert!(text.contains("pushed   by jo") && text.contains("3 tests passed"));
        assert!(text.ends_with("AlarmRaised: An alarm\nwas raised."), "{text}");
    }
}
