//! The list of sources: what each delivers, and what its git host does not send.

use std::fmt::Write as _;

use domain::source::SourceSettings;
use serde_json::{Value, json};
use shell::output::one_line;
use sources::{Source, Sweep};
use webhook::not_sent;

/// Returns the list as text.
pub fn text(sources: &[Source], sweep: &Sweep) -> String {
    if sources.is_empty() {
        return "The stack has no sources.".to_owned();
    }
    let mut text = String::new();
    for source in sources {
        let _ = writeln!(text, "{}", one_line(&source.name));
        let rows = match &source.settings {
            Ok(settings) => rows(settings),
            Err(reason) => vec![("malformed", reason.clone())],
        };
        for (name, value) in rows {
            let _ = writeln!(text, "  {name:<12}  {}", one_line(&value));
        }
    }
    text.push_str(match sweep {
        Sweep::Rate(_) => "What a git host does not send is found by the sweep, which runs at ",
        Sweep::Off => {
            "The sweep is off, so what a git host does not send is not delivered: set the parameter SweepRate"
        }
        Sweep::Unknown => {
            "Whether there is a sweep is not known, because an earlier version of Push Code has deployed the stack: deploy this one"
        }
    });
    if let Sweep::Rate(rate) = sweep {
        text.push_str(&one_line(rate));
    }
    text.push('.');
    text
}

/// Returns the settings that say what is delivered, and what is not sent.
pub fn rows(settings: &SourceSettings) -> Vec<(&'static str, String)> {
    let hosts: Vec<_> = settings.git_hosts.iter().map(ToString::to_string).collect();
    let destination = &settings.destination;
    let state = if settings.disabled { " (disabled)" } else { "" };
    let mut rows = vec![
        ("provider", format!("{}{state}", settings.provider.name())),
        ("repositories", settings.repositories.join(", ")),
        ("refs", settings.refs.join(", ")),
        ("git hosts", hosts.join(", ")),
        (
            "destination",
            format!("s3://{}/{}", destination.bucket, destination.key_template),
        ),
    ];
    let mut label = "not sent";
    for text in not_sent(settings.provider) {
        rows.push((label, (*text).to_owned()));
        label = "";
    }
    rows
}

/// Returns the list as JSON.
pub fn document(sources: &[Source], sweep: &Sweep) -> Value {
    let listed: Vec<_> = sources
        .iter()
        .map(|source| match &source.settings {
            Ok(settings) => json!({
                "name": source.name,
                "settings": settings,
                "not_sent": not_sent(settings.provider),
            }),
            Err(reason) => json!({ "name": source.name, "malformed": reason }),
        })
        .collect();
    let sweep = match sweep {
        Sweep::Rate(rate) => json!({ "rate": rate }),
        Sweep::Off => json!({ "rate": null }),
        Sweep::Unknown => Value::Null,
    };
    json!({ "sources": listed, "sweep": sweep })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        let settings = r#"{"provider":"gitlab","repositories":["group/*","\u001b[2J"],"refs":["refs/heads/main"],
            "git_hosts":["gitlab.com"],"destination":{"bucket":"zips"}}"#;
        let source = |name: &str, settings| Source {
            name: name.to_owned(),
            settings,
        };
        vec![
            source("bad\n  forged\u{202e}", Err("no\u{1b} JSON\n  at all".to_owned())),
            source("gitlab", Ok(settings.parse().unwrap())),
        ]
    }

    #[test]
    fn a_source_says_what_is_delivered_and_what_is_not_sent() {
        let text = text(&sources(), &Sweep::Rate("rate(15 minutes)".to_owned()));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..8],
            [
                "bad   forged\u{fffd}",
                "  malformed     no\u{fffd} JSON   at all",
                "gitlab",
                "  provider      GitLab",
                "  repositories  group/*, \u{fffd}[2J",
                "  refs          refs/heads/main",
                "  git hosts     https://gitlab.com",
                "  destination   s3://zips/{source}/{repository}/{ref}.zip",
            ]
        );
        assert!(lines[8].starts_with("  not sent      a webhook for a push of more than three branches"));
        assert!(lines[9].starts_with("                a webhook again "));
        let last = "What a git host does not send is found by the sweep, which runs at rate(15 minutes).";
        assert_eq!(lines[11..], [last]);
    }

    #[test]
    fn a_sweep_that_is_off_or_unknown_is_told() {
        assert!(text(&sources(), &Sweep::Off).ends_with("set the parameter SweepRate."));
        assert!(text(&sources(), &Sweep::Unknown).ends_with("deploy this one."));
        assert_eq!(text(&[], &Sweep::Off), "The stack has no sources.");
    }

    #[test]
    fn a_document_has_the_settings_or_why_they_cannot_be_used() {
        let document = document(&sources(), &Sweep::Off);
        assert_eq!(document["sources"][0]["malformed"], "no\u{1b} JSON\n  at all");
        let source = &document["sources"][1];
        assert_eq!(source["settings"]["provider"], "gitlab");
        assert_eq!(source["settings"]["destination"]["bucket"], "zips");
        assert!(
            source["not_sent"][0]
                .as_str()
                .unwrap()
                .contains("push_event_hooks_limit")
        );
        assert_eq!(document["sweep"], json!({ "rate": null }));
    }
}
