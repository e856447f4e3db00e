//! Tests that the command is also the program that it starts to transfer from a git host.

use std::process::{Command, Stdio};

#[test]
fn the_command_transfers_if_it_is_started_for_that() {
    let output = Command::new(env!("CARGO_BIN_EXE_push-code"))
        .arg("internal-transfer")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // It failed because there was no request on its standard input. The exit code 2 would mean wrong usage of the
    // command.
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stderr, b"", "{output:?}");
}
