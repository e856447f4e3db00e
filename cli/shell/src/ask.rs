//! What a person is asked on a terminal.

use std::io::{self, IsTerminal as _, Read as _};

use console::Term;

use crate::output::plain;

/// Asks a question that is answered by `yes`. Returns `None` if there is no terminal to ask on.
///
/// # Errors
/// Returns an error if the terminal cannot be used.
pub fn confirm(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let terminal = Term::stderr();
    terminal.write_str(&format!("{} Type yes or no: ", plain(question)))?;
    Ok(Some(terminal.read_line()?.trim() == "yes"))
}

/// Reads a secret: on a terminal one line, which is not shown, and otherwise all of standard input.
///
/// # Errors
/// Returns an error if it cannot be read.
pub fn secret(name: &str) -> io::Result<String> {
    if io::stdin().is_terminal() {
        let terminal = Term::stderr();
        terminal.write_str(&format!("{}: ", plain(name)))?;
        return terminal.read_secure_line();
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
