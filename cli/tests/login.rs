//! Tests the real command in an environment that says nothing of AWS, or not enough.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot do its work has failed the test"
)]

use std::process::Command;

/// Runs a command that reads a stack, with these variables of AWS and no others. Returns its exit code and its error.
fn run(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_push-code"));
    command.args(["--quiet", "pushes", "list"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), error)
}

#[test]
fn without_credentials_or_a_region_one_line_names_the_remedy() {
    let (code, error) = run(&[("AWS_REGION", "eu-central-1")]);
    assert_eq!(
        (code, error.as_str()),
        (
            Some(1),
            "error: there are no AWS credentials: log in (`aws sso login`), name a profile with AWS_PROFILE, or set \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n"
        )
    );
    let key = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
    let (code, error) = run(&key);
    assert_eq!(
        (code, error.as_str()),
        (
            Some(2),
            "error: no AWS region is set: set AWS_REGION, or name a profile that has one with AWS_PROFILE\n"
        )
    );
}
