//! `push-code push` where AWS cannot be used.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// Pushes a new repository with these variables alone.
fn push(home: &Path, variables: &[(&str, &str)]) -> std::io::Result<Output> {
    push_with(home, &[], variables)
}

/// The same, with further arguments.
fn push_with(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> std::io::Result<Output> {
    let repository = home.join("project");
    std::fs::create_dir(&repository)?;
    for git_arguments in [
        &["init", "--quiet"][..],
        &["commit", "--quiet", "--allow-empty", "-m", "Begin"],
    ] {
        testkit::git::output(testkit::git::command(&repository).args(git_arguments), b"");
    }
    Command::new(env!("CARGO_BIN_EXE_push-code"))
        .arg("push")
        .arg(&repository)
        .args(["bucket", "project.zip"])
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
}

#[test]
fn missing_credentials_are_told_of_as_such() {
    let home = tempfile::tempdir().unwrap();
    let output = push(home.path(), &[]).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("there are no AWS credentials"), "{told}");
    assert!(
        told.contains("AWS_PROFILE") && !told.contains("StorageRefused"),
        "{told}"
    );
}

#[test]
fn aws_is_where_the_variable_of_the_template_says() {
    assert_listener_is_asked(|url| vec![("LOCAL_ENDPOINT_URL", url)]);
}

#[test]
fn the_endpoint_of_one_service_goes_before_that_of_all() {
    assert_listener_is_asked(|url| {
        vec![
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_S3", url),
        ]
    });
}

/// Checks that a push with these variables, of a URL, asks the host there, which hangs up on each.
fn assert_listener_is_asked(variables: impl Fn(&str) -> Vec<(&'static str, &str)>) {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || listener.incoming().next().is_some_and(|asked| asked.is_ok()));
    let mut all = variables(&url);
    all.extend([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    let output = push(home.path(), &all).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(asked.is_finished() && asked.join().unwrap(), "{told}");
}

#[test]
fn a_failure_is_one_json_document_with_the_same_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let output = push_with(home.path(), &["--output", "json"], &[]).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], "Credentials");
    let cause = document["error"]["cause"].as_str().unwrap();
    assert!(cause.starts_with("there are no AWS credentials"), "{cause}");
    // stderr has it for people.
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("error: there are no AWS credentials")
    );
}

#[test]
fn stderr_is_coloured_as_the_variables_say() {
    for (variables, coloured) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[("CLICOLOR", "1"), ("NO_COLOR", "1")], false),
    ] {
        let home = tempfile::tempdir().unwrap();
        let output = push(home.path(), variables).unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(told.contains("\u{1b}[31m"), coloured, "{variables:?}: {told:?}");
        assert_eq!(output.stdout, b"");
    }
}
