//! What the commands print of a source.

use std::fmt::Write as _;

use domain::push::SourceName;
use domain::source::Provider;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shell::output::one_line;
use sources::{
    Added, Check, DeployKey, Expected, GitSecretShown, LoginBy, Outcome, ProofFound, Rotated, Secret, Shown,
};
use webhook::setup;

use super::list;

/// Writes rows of a name and a value.
fn rows(text: &mut String, rows: impl IntoIterator<Item = (&'static str, String)>) {
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<14}  {}", one_line(&value));
    }
}

/// Writes what a person does in the git host's pages.
fn steps(text: &mut String, provider: Provider) {
    let _ = writeln!(text, "In {}:", provider.name());
    for (number, step) in setup(provider).iter().enumerate() {
        let _ = writeln!(text, "  {}. {step}", number + 1);
    }
}

/// Returns what a new source is.
pub fn added(name: &SourceName, added: &Added, key: Option<&DeployKey>) -> String {
    let mut text = format!("The source {name} is added.\n");
    rows(
        &mut text,
        [
            ("webhook URL", added.webhook_url.clone()),
            ("webhook secret", added.webhook_secret.expose_secret().to_owned()),
        ],
    );
    text.push_str("The secret is shown this once.\n");
    steps(&mut text, added.provider);
    if let Some(key) = key {
        text.push_str("Give this key the right to read the repositories, as a deploy key or as a key of a machine user:\n");
        let _ = writeln!(text, "  {}", one_line(&key.public));
    }
    let _ = write!(text, "Then try it: push-code sources test {name}");
    text
}

/// Returns what a new source is, as JSON.
pub fn added_document(name: &SourceName, added: &Added, key: Option<&DeployKey>) -> Value {
    json!({
        "source": name,
        "webhook_url": added.webhook_url,
        "webhook_secret": added.webhook_secret.expose_secret(),
        "setup": setup(added.provider),
        "deploy_key": key.map(|key| &key.public),
    })
}

/// Returns what a rotated secret is.
pub fn rotated(name: &SourceName, rotated: &Rotated) -> String {
    let mut text = format!("The webhook of {name} has a new secret, which works within 10 seconds.\n");
    rows(
        &mut text,
        [
            ("webhook URL", rotated.webhook_url.clone()),
            (
                "webhook secret",
                rotated.webhook_secret.expose_secret().to_owned(),
            ),
        ],
    );
    let _ = write!(
        text,
        "The secret is shown this once. Give it to {}. Until then the previous secrets are accepted too ({}).\nThen: push-code sources rotate {name} --finish",
        rotated.provider.name(),
        rotated.also_accepted,
    );
    text
}

/// Returns what a rotated secret is, as JSON.
pub fn rotated_document(name: &SourceName, rotated: &Rotated) -> Value {
    json!({
        "source": name,
        "webhook_url": rotated.webhook_url,
        "webhook_secret": rotated.webhook_secret.expose_secret(),
        "also_accepted": rotated.also_accepted,
    })
}

/// Returns what a source is.
pub fn shown(name: &SourceName, shown: &Shown) -> String {
    let mut text = format!("{name}\n");
    match &shown.settings {
        Ok(settings) => rows(&mut text, list::rows(settings)),
        Err(reason) => rows(&mut text, [("malformed", reason.clone())]),
    }
    rows(&mut text, [("webhook URL", shown.webhook_url.clone())]);
    let webhook = state(&shown.webhook_secret, |secret| {
        let also = secret.also_accepted;
        format!(
            "of {}; previous secrets still accepted: {also}",
            secret.provider.name()
        )
    });
    rows(&mut text, [("webhook secret", webhook)]);
    let git = state(&shown.git_secret, |secret| {
        format!("logins for {} hosts", secret.logins.len())
    });
    rows(&mut text, [("git secret", git)]);
    if let Secret::There(secret) = &shown.git_secret {
        rows(&mut text, logins(secret));
    }
    text.truncate(text.trim_end().len());
    text
}

fn logins(secret: &GitSecretShown) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for login in &secret.logins {
        match &login.by {
            LoginBy::Password { username } => rows.push(("login", format!("{} as {username}", login.host))),
            LoginBy::GitHubApp { app_id } => {
                rows.push(("login", format!("{} as the GitHub App {app_id}", login.host)));
            }
            LoginBy::CodeCommit => {
                rows.push(("login", format!("{} as the role of the function", login.host)));
            }
            LoginBy::Key { public_key, .. } => {
                rows.push(("login", format!("{} by a key", login.host)));
                let unread = "cannot be read from the private one";
                rows.push((
                    "public key",
                    public_key.clone().unwrap_or_else(|| unread.to_owned()),
                ));
            }
        }
    }
    rows
}

fn state<T>(secret: &Secret<T>, text: impl FnOnce(&T) -> String) -> String {
    match secret {
        Secret::Missing => "does not exist".to_owned(),
        Secret::Deleted => "was deleted".to_owned(),
        Secret::Malformed { reason } => format!("malformed: {reason}"),
        Secret::There(secret) => text(secret),
    }
}

/// Returns what a source is, as JSON.
pub fn document(name: &SourceName, shown: &Shown) -> Value {
    let (settings, malformed) = match &shown.settings {
        Ok(settings) => (json!(settings), Value::Null),
        Err(reason) => (Value::Null, json!(reason)),
    };
    json!({
        "source": name,
        "settings": settings,
        "malformed": malformed,
        "webhook_url": shown.webhook_url,
        "webhook_secret": shown.webhook_secret,
        "git_secret": shown.git_secret,
    })
}

/// Returns a line for each check, with what to do below those that have failed.
pub fn checks(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let subject = one_line(&check.subject);
        let _ = match &check.outcome {
            Outcome::Ok { found } => writeln!(text, "ok           {subject}: {}", one_line(found)),
            Outcome::NotChecked { reason } => {
                writeln!(text, "not checked  {subject}: {}", one_line(reason))
            }
            Outcome::Failed { reason, remedy } => {
                let (reason, remedy) = (one_line(reason), one_line(remedy));
                writeln!(text, "wrong        {subject}: {reason}\n             {remedy}")
            }
        };
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns what would come of a captured webhook.
pub fn expected(proof: &ProofFound, expected: &[Expected]) -> String {
    let mut lines = vec![match proof {
        ProofFound::Proven => "The webhook is proven by a secret of the source.".to_owned(),
        ProofFound::Refused { reason } => format!("The webhook would be refused: {reason}."),
        ProofFound::Unknown { reason } => format!("Whether the webhook is proven is not known: {reason}."),
    }];
    lines.extend(expected.iter().map(|expected| match expected {
        Expected::Unreadable { reason } => format!("It cannot be read: {reason}."),
        Expected::NoPush { reason } => format!("There would be nothing to do: {reason}."),
        Expected::Ignored { reason, .. } => format!("The push would be ignored: {reason}."),
        Expected::Failed { reason, .. } => format!("The push would fail: {reason}."),
        Expected::Expired { bucket, key, .. } => {
            format!("The zip s3://{bucket}/{key} would be removed, if the ref is gone.")
        }
        Expected::Delivered {
            push,
            clone_url,
            bucket,
            key,
        } => format!(
            "{} of {} would be fetched from {clone_url}\nand delivered to s3://{bucket}/{key}",
            push.ref_name, push.repository
        ),
    }));
    lines.join("\n")
}

/// Returns whether a captured webhook is let in, and none of its pushes fails.
pub fn is_good(proof: &ProofFound, expected: &[Expected]) -> bool {
    let fails =
        |expected: &Expected| matches!(expected, Expected::Unreadable { .. } | Expected::Failed { .. });
    *proof == ProofFound::Proven && !expected.iter().any(fails)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added_source() -> (SourceName, Added, DeployKey) {
        let added = Added {
            webhook_url: "https://example.com/hooks/team".to_owned(),
            webhook_secret: "s3cret".into(),
            provider: Provider::GitLab,
        };
        let key = DeployKey {
            private: "PRIVATE".into(),
            public: "ssh-ed25519 AAAA push-code team".to_owned(),
        };
        ("team".parse().unwrap(), added, key)
    }

    #[test]
    fn a_new_source_is_what_the_git_host_has_to_be_told() {
        let (name, new, key) = added_source();
        let text = added(&name, &new, Some(&key));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "  webhook URL     https://example.com/hooks/team");
        assert_eq!(lines[2], "  webhook secret  s3cret");
        assert_eq!(lines[4], "In GitLab:");
        assert!(lines[5].starts_with("  1. "), "{text}");
        assert_eq!(lines[9], "  ssh-ed25519 AAAA push-code team");
        assert!(text.ends_with("push-code sources test team"));
        assert!(!text.contains("PRIVATE"));
        let document = added_document(&name, &new, None);
        assert_eq!(document["webhook_secret"], "s3cret");
        assert_eq!(document["deploy_key"], Value::Null);
        assert_eq!(document["setup"].as_array().unwrap().len(), 3);
        assert!(!format!("{new:?}{key:?}").contains("s3cret"));
    }

    #[test]
    fn a_check_is_one_line_and_one_for_what_to_do() {
        let check = |outcome| Check {
            subject: "bucket\u{1b}".to_owned(),
            outcome,
        };
        let text = checks(&[
            check(Outcome::Ok {
                found: "fine".to_owned(),
            }),
            check(Outcome::Failed {
                reason: "It\nis gone.".to_owned(),
                remedy: "Create it.".to_owned(),
            }),
            check(Outcome::NotChecked {
                reason: "no right".to_owned(),
            }),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "ok           bucket\u{fffd}: fine",
                "wrong        bucket\u{fffd}: It is gone.",
                "             Create it.",
                "not checked  bucket\u{fffd}: no right",
            ]
        );
    }

    #[test]
    fn a_captured_webhook_is_good_if_it_is_let_in_and_its_push_does_not_fail() {
        let reason = || "why".to_owned();
        let nothing = [Expected::NoPush { reason: reason() }];
        assert!(is_good(&ProofFound::Proven, &nothing));
        let unreadable = [Expected::Unreadable { reason: reason() }];
        for (proof, expected) in [
            (ProofFound::Refused { reason: reason() }, &nothing),
            (ProofFound::Unknown { reason: reason() }, &nothing),
            (ProofFound::Proven, &unreadable),
        ] {
            assert!(!is_good(&proof, expected));
        }
    }
}
