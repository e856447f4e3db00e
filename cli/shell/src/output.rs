//! What the command writes for people, without what would steer their terminal.

use std::io::{self, Write};

/// Writes to `W` what [`plain`] makes of the text: subjects, names of refs and causes come from git hosts and from
/// whoever pushes.
#[derive(Debug)]
pub struct PlainWriter<W>(W);

impl PlainWriter<io::Stdout> {
    /// For what the user asked for.
    #[must_use]
    pub fn stdout() -> Self {
        Self(io::stdout())
    }
}

impl PlainWriter<io::Stderr> {
    /// For progress and errors.
    #[must_use]
    pub fn stderr() -> Self {
        Self(io::stderr())
    }
}

impl<W: Write> Write for PlainWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // `write!` and its like give whole strings: no character is cut in two.
        self.0
            .write_all(plain(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// [`domain::plain`] of each line. Ends of lines stay as they are, since the command's own texts have several lines.
#[must_use]
pub fn plain(text: &str) -> String {
    text.split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}

/// [`domain::plain`] of the whole text, which is one line then, however long it is.
#[must_use]
pub fn one_line(text: &str) -> String {
    domain::plain(text, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_steers_no_terminal_and_keeps_its_lines() {
        let mut written = PlainWriter(Vec::new());
        let subject = "\u{1b}]52;c;x\u{7}\u{202e}";
        writeln!(written, "Grüße {subject}\n  second\u{9b}2J").unwrap();
        let text = String::from_utf8(written.0).unwrap();
        assert_eq!(
            text,
            "Grüße \u{fffd}]52;c;x\u{fffd}\u{fffd}\n  second\u{fffd}2J\n"
        );
    }

    #[test]
    fn a_text_of_one_line_begins_no_other() {
        assert_eq!(one_line("gone\nerror: \u{1b}[2J"), "gone error: \u{fffd}[2J");
    }
}
