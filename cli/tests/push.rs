//! `push-code push` where AWS cannot be used.

use std::process::Command;

#[test]
fn missing_credentials_are_told_of_as_such() {
    let home = tempfile::tempdir().unwrap();
    let repository = home.path().join("project");
    std::fs::create_dir(&repository).unwrap();
    for arguments in [
        &["init", "--quiet"][..],
        &["commit", "--quiet", "--allow-empty", "-m", "Begin"],
    ] {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Jo", "-c", "user.email=jo@example.com"]);
        let status = git.args(arguments).current_dir(&repository).status();
        assert!(status.unwrap().success(), "git {arguments:?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_push-code"))
        .arg("push")
        .arg(&repository)
        .args(["bucket", "project.zip"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("there are no AWS credentials"), "{told}");
    assert!(
        told.contains("AWS_PROFILE") && !told.contains("StorageRefused"),
        "{told}"
    );
}
