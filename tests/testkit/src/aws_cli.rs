//! The AWS CLI, in a virtual environment of its own that is created once.

use std::path::PathBuf;

use python_tools::Requirements;
use shell::progress::Progress;

const REQUIREMENTS: Requirements = Requirements {
    name: "aws-cli",
    file: "tests/testkit/awscli.txt",
    text: include_str!("../awscli.txt"),
    about: "the AWS CLI",
};

/// Returns the folder with the program `aws`, after installing it if it is not yet.
///
/// # Panics
/// If it cannot be installed.
pub async fn folder() -> PathBuf {
    let environment = REQUIREMENTS.install(Progress::on_stderr()).await.unwrap();
    environment.join("bin")
}
