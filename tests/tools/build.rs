//! Takes the programs that are missing from packages, or stops the build with one line.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=find");
    println!("cargo::rerun-if-env-changed=PUSH_CODE_TEST_TOOLS");
    match Command::new("./find").output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => println!("cargo::error={}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => println!("cargo::error=tests/tools/find: {error}"),
    }
}
