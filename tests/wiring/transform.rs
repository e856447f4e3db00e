//! The template as CloudFormation gets it: after the transform of SAM, which makes the roles of functions, among
//! others.

use std::path::PathBuf;
use std::process::Command;

use local_aws::tools::Tools;
use serde_json::Value;
use shell::progress::Progress;
use tokio::sync::OnceCell;

use crate::project::root;

static TRANSFORMED: OnceCell<Transformed> = OnceCell::const_new();

/// What SAM CLI deploys.
#[derive(Debug)]
pub struct Transformed {
    /// The template of the pushes.
    pub template: Value,
    /// The template of the stack that has SAM CLI's bucket.
    pub of_sam: Value,
}

/// Returns what SAM CLI, of the version that this project deploys with, makes of the template.
pub async fn transformed() -> &'static Transformed {
    TRANSFORMED.get_or_init(transform).await
}

async fn transform() -> Transformed {
    let tools = Tools::install(Progress::on_stderr()).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let script: PathBuf = root().join("tests/wiring/transform.py");
    let output = Command::new(tools.sam().bin().join("python"))
        .arg("-I")
        .arg(script)
        .arg(root().join("template.yaml"))
        .env_clear()
        // SAM CLI writes files of its own there.
        .env("HOME", home.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let mut all: Value = serde_json::from_slice(&output.stdout).unwrap();
    Transformed {
        template: all["template"].take(),
        of_sam: all["of_sam"].take(),
    }
}
