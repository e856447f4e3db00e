//! What a person is asked on a terminal.

use std::io::{self, IsTerminal as _, Read as _};

use console::Term;

use crate::output::plain;

/// Returns whether there is a terminal to ask on.
#[must_use]
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Writes a line to the terminal.
///
/// # Errors
/// Returns an error if the terminal cannot be used.
pub fn say(text: &str) -> io::Result<()> {
    Term::stderr().write_line(&plain(text))
}

/// Asks for a value. An empty answer is the default, if there is one.
///
/// # Errors
/// Returns an error if the terminal cannot be used.
pub fn line(name: &str, default: Option<&str>) -> io::Result<String> {
    let terminal = Term::stderr();
    let shown = default.filter(|default| !default.is_empty());
    let shown = shown.map_or_else(String::new, |default| format!(" [{default}]"));
    terminal.write_str(&plain(&format!("{name}{shown}: ")))?;
    let answer = terminal.read_line()?.trim().to_owned();
    Ok(match default {
        Some(default) if answer.is_empty() => default.to_owned(),
        _ => answer,
    })
}

/// Asks a question that is answered by `yes`. Returns `None` if there is no terminal to ask on.
///
/// # Errors
/// Returns an error if the terminal cannot be used.
pub fn confirm(question: &str) -> io::Result<Option<bool>> {
    if !is_possible() {
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
