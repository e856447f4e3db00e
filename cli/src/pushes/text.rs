//! Pushes as text, a line each.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use deployed_stack::console::Console;
use deployed_stack::trail::{self, Trail, short};
use domain::execution::Execution;
use domain::push_index::CommitPrefix;
use domain::state::PushState;
use shell::output::one_line;

/// Returns a table of pushes.
pub fn table(pushes: &[PushState]) -> String {
    if pushes.is_empty() {
        return "There are no such pushes.".to_owned();
    }
    let mut text = format!(
        "{:<36}  {:<20}  {:<10}  {:<8}  WHAT",
        "PUSH", "RECEIVED", "STATUS", "COMMIT"
    );
    for push in pushes {
        let mut what = one_line(&trail::outcome(push)).to_string();
        if let Some(by) = push.push.trigger.by() {
            let separator = if what.is_empty() { "" } else { " " };
            let _ = write!(what, "{separator}({by})");
        }
        if !what.is_empty() {
            what.insert_str(0, ": ");
        }
        let _ = write!(
            text,
            "\n{:<36}  {:<20}  {:<10}  {:<8}  {} {}{}",
            push.push_id().to_string(),
            seconds(push.received_at),
            trail::status(push),
            short(push.commit_or_after().unwrap_or_default()),
            push.push.repository,
            push.push.ref_name.short(),
            what,
        );
    }
    text
}

/// Returns the places that a commit was delivered to, and the pushes that have not delivered it.
pub fn places(commit: &CommitPrefix, pushes: &[PushState]) -> String {
    if pushes.is_empty() {
        return format!("No push of commit {commit} is in the trail.");
    }
    let (delivered, others): (Vec<_>, Vec<_>) = pushes.iter().partition(|push| push.delivered.is_some());
    let mut text = String::new();
    for push in delivered {
        if let Some(delivered) = &push.delivered {
            let version = delivered.version_id.as_deref().unwrap_or("none");
            let _ = writeln!(
                text,
                "s3://{}/{}\n  version  {version}\n  commit   {} {}\n  push     {} of {} {}, {}",
                delivered.bucket,
                delivered.key,
                push.commit_or_after().unwrap_or_default(),
                push.fetched
                    .as_ref()
                    .map_or_else(String::new, |fetched| one_line(&fetched.subject)),
                push.push_id(),
                push.push.repository,
                push.push.ref_name,
                seconds(push.updated_at),
            );
        }
    }
    if !others.is_empty() {
        let others: Vec<_> = others.into_iter().cloned().collect();
        let _ = write!(text, "Not delivered\n{}", table(&others));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns a push with its events, and where to look further: in the AWS console, if there is one.
pub fn describe(push: &PushState, trail: &Trail, console: Option<&Console>) -> String {
    let took = push.updated_at - push.received_at;
    let mut text = format!(
        "Push {} of {} {}: {}\n{}  {:.1} s from its start to its last event\n",
        push.push_id(),
        push.push.repository,
        push.push.ref_name,
        push.status,
        trail.lines(),
        took.as_seconds_f64(),
    );
    if let Some(started_by) = push.push.started_by() {
        let _ = writeln!(text, "No webhook: {started_by}");
    }
    if let Some(failed) = &push.failure {
        let failure = &failed.failure;
        let _ = writeln!(
            text,
            "{} failed with {}: {}",
            failure.stage,
            failure.error,
            one_line(&failure.cause)
        );
    }
    if let Some(id) = push.executions.last() {
        let _ = writeln!(text, "Execution: {}", Execution::arn(id));
        if let Some(console) = console {
            let _ = writeln!(text, "Console:   {}", console.execution(id));
        }
    }
    let failed = push.failure.as_ref().zip(console);
    let log = failed
        .and_then(|(failed, console)| console.log(&failed.failure.stage, push.push_id(), push.received_at));
    if let Some(log) = log {
        let _ = writeln!(text, "Log:       {log}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use domain::event::PushEvent;
    use domain::push::{Missed, Trigger};
    use domain::samples::{self, deliver, delivered, fetched, ignored, push, push_failed, received};

    use super::*;

    fn state(delivery: &str, events: impl IntoIterator<Item = PushEvent>) -> PushState {
        let begun = received(&push(delivery, "refs/heads/main"), "e1");
        samples::folded([begun].into_iter().chain(events))
    }

    fn to_the_zip() -> [PushEvent; 4] {
        [
            PushEvent::PushValidated(deliver()),
            PushEvent::CommitFetched(fetched()),
            PushEvent::ArchivePackaged(samples::archive()),
            PushEvent::ArchiveUploaded(delivered()),
        ]
    }

    #[test]
    fn a_table_says_what_has_become_of_each_push() {
        let closed = to_the_zip()
            .into_iter()
            .chain([PushEvent::PushDelivered(delivered())]);
        let table = table(&[
            state("d1", []),
            state("d2", [push_failed("e1")]),
            state("d3", closed.clone()),
            state("d4", [PushEvent::PushIgnored(ignored())]),
            // It could not be published.
            state("d5", closed.chain([push_failed("e1")])),
        ]);
        let lines: Vec<_> = table.lines().map(|line| line.get(38..).unwrap()).collect();
        assert_eq!(
            lines,
            [
                "RECEIVED              STATUS      COMMIT    WHAT",
                "2023-11-14T22:13:20Z  Received    aaaaaaaa  group/project heads/main",
                "2023-11-14T22:13:20Z  Failed      aaaaaaaa  group/project heads/main: Fetch failed with CommitNotFound",
                "2023-11-14T22:13:20Z  Delivered   aaaaaaaa  group/project heads/main: Change it",
                "2023-11-14T22:13:20Z  Ignored     aaaaaaaa  group/project heads/main: no glob matches",
                "2023-11-14T22:13:20Z  Failed      aaaaaaaa  group/project heads/main: Fetch failed with CommitNotFound (Delivered before)",
            ]
        );
        assert_eq!(super::table(&[]), "There are no such pushes.");
    }

    #[test]
    fn a_push_that_the_sweep_found_says_so_and_why_no_webhook_came() {
        let mut found = state("d1", []);
        found.push.trigger = Trigger::Sweep;
        let line = table(std::slice::from_ref(&found));
        assert!(line.ends_with("heads/main: (found by the sweep)"), "{line}");
        found.push.missed = Some(Missed::PushEventHooksLimit);
        let trail = Trail {
            events: vec![],
            state: None,
        };
        let text = describe(&found, &trail, None);
        let says = "No webhook: found by the sweep (GitLab sends no webhook for a push of more than three";
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn a_failed_push_says_why_and_where_to_look() {
        let trail = Trail {
            events: vec![],
            state: None,
        };
        let console = Console::of("https://console/cloudwatch/home#", "push-code").unwrap();
        let text = describe(&state("d1", [push_failed("e1")]), &trail, Some(&console));
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("Push ") && lines[0].ends_with(" of group/project refs/heads/main: Failed")
        );
        assert_eq!(lines[1], "  0.0 s from its start to its last event");
        assert!(
            lines[2].starts_with("Fetch failed with CommitNotFound: "),
            "{text}"
        );
        assert_eq!(lines[3], "Execution: e1");
        assert_eq!(
            lines[4],
            "Console:   https://console/states/home#/v2/executions/details/e1"
        );
        assert!(
            lines[5].starts_with("Log:       https://console/cloudwatch/home#logsV2:"),
            "{text}"
        );
    }

    #[test]
    fn a_commit_is_where_it_was_delivered_to() {
        let commit: CommitPrefix = "aaaaaaa".parse().unwrap();
        let text = places(
            &commit,
            &[state("d1", [push_failed("e1")]), state("d2", to_the_zip())],
        );
        let (places, others) = text.split_once("\nNot delivered\n").unwrap();
        let lines: Vec<_> = places.lines().collect();
        assert_eq!(lines[0], "s3://zips/gitlab/group/project/heads/main.zip");
        assert_eq!(
            lines[1],
            format!("  version  {}", delivered().version_id.unwrap())
        );
        assert_eq!(lines[2], format!("  commit   {} Change it", "a".repeat(40)));
        assert_eq!(lines.len(), 4);
        assert_eq!(others.lines().count(), 2, "{others}");
        assert!(super::places(&commit, &[]).contains("No push of commit aaaaaaa"));
    }
}
