//! What programs write for people, without what would steer a terminal.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use console::StyledObject;

/// Turns the colours of stderr on or off, depending on `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and the terminal.
/// Standard output has no colours.
pub fn choose_colours() {
    let choice = AutoStream::choice(&io::stderr());
    console::set_colors_enabled_stderr(choice != ColorChoice::Never);
}

/// Writes a line to stderr, with a mark of this command's own and a text that may come from anywhere.
pub(crate) fn write_line(mark: Option<StyledObject<&'static str>>, text: &str) {
    // A closed stderr is no reason to stop working.
    let _ = writeln!(io::stderr(), "{}", marked(mark, text));
}

/// Returns a line with a mark before it.
pub(crate) fn marked(mark: Option<StyledObject<&'static str>>, text: &str) -> String {
    match mark {
        Some(mark) => format!("{mark} {}", plain(text)),
        None => plain(text),
    }
}

/// Returns [`domain::plain`] of each line. Ends of lines stay as they are, since the command's own texts have several
/// lines.
#[must_use]
pub fn plain(text: &str) -> String {
    text.split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}

/// Returns [`domain::plain`] of the whole text, which becomes one line, however long it is.
#[must_use]
pub fn one_line(text: &str) -> String {
    domain::plain(text, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_steers_no_terminal_and_keeps_its_lines() {
        let subject = "\u{1b}]52;c;x\u{7}\u{202e}";
        assert_eq!(
            plain(&format!("Grüße {subject}\n  second\u{9b}2J\n")),
            "Grüße \u{fffd}]52;c;x\u{fffd}\u{fffd}\n  second\u{fffd}2J\n"
        );
    }

    #[test]
    fn a_text_of_one_line_begins_no_other() {
        assert_eq!(one_line("gone\nerror: \u{1b}[2J"), "gone error: \u{fffd}[2J");
    }
}
