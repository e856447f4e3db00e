//! The environment of the tools that work on the local AWS.

use tokio::process::Command;

/// Removes every variable from the environment of `command` that could make an AWS tool talk to anything but the local
/// AWS, and those that `cargo run` has set for this program alone.
pub(crate) fn only_local_aws(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = ["AWS_", "SAM_CLI_", "CARGO_PKG_", "CARGO_MANIFEST_"];
        if foreign.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for name in ["NO_PROXY", "no_proxy"] {
        let others = std::env::var(name).unwrap_or_default();
        command.env(name, format!("127.0.0.1,localhost,{others}"));
    }
}
