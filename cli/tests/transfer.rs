//! The command is the program that it starts to transfer from a git host.

use std::process::{Command, Stdio};

#[test]
fn the_command_transfers_if_it_is_asked_to() {
    let output = Command::new(env!("CARGO_BIN_EXE_push-code"))
        .arg("internal-transfer")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // There is no order. Wrong usage of the command, which 2 stands for, it is not.
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stderr, b"", "{output:?}");
}
