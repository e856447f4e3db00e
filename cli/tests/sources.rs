//! Tests what `push-code sources` says without a stack: its usage, and the schema of settings.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output, Stdio};

fn sources(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_push-code"))
        .arg("sources")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn wrong_usage_is_told_and_ends_with_two() {
    let add = ["add", "team", "--git-host", "example.com", "--repository", "a/*"];
    for (arguments, expected) in [
        (
            [&add[..], &["--provider", "svn"]].concat(),
            "expected one of `gitlab`",
        ),
        (add.to_vec(), "--provider"),
        (vec!["add", "Team", "--settings", "team.json"], "source name"),
        (
            [&add[..], &["--settings", "team.json"]].concat(),
            "cannot be used with",
        ),
        (vec!["test", "team", "--header", "a: b"], "--payload"),
        (vec!["--local", "show", "team"], "cannot be used with"),
    ] {
        let output = sources(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn a_password_is_no_option() {
    let help = sources(&["add", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("--https-user") && !help.contains("--password") && !help.contains("--token"));
}

#[test]
fn the_schema_is_the_published_one() {
    let published = include_str!("../../docs/source.schema.json");
    for arguments in [&["schema"][..], &["schema", "--output", "json"]] {
        let output = sources(arguments);
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), published);
    }
}
