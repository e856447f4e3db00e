//! What the user asked for, on standard output: as text or as one JSON document.

use std::fmt::Display;
use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value, json};
use shell::output::{one_line, plain};

use crate::Error;

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As text, for people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// As one JSON document, of the result or of the error. What goes on is a line of JSON for each event.
    Json,
}

/// A writer of results.
#[derive(Debug)]
pub struct Results<W> {
    writer: W,
    format: Format,
    document: Map<String, Value>,
    has_lines: bool,
}

impl Results<io::Stdout> {
    /// Creates a writer to standard output.
    #[must_use]
    pub fn stdout(format: Format) -> Self {
        Self::new(io::stdout(), format)
    }
}

impl<W: Write> Results<W> {
    /// Creates a writer to `writer`.
    pub fn new(writer: W, format: Format) -> Self {
        Self {
            writer,
            format,
            document: Map::new(),
            has_lines: false,
        }
    }

    /// Writes one or more lines. Does nothing if the format is JSON.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn text(&mut self, text: impl Display) -> Result<(), Error> {
        match self.format {
            Format::Text => self.write(&plain(&text.to_string())),
            Format::Json => Ok(()),
        }
    }

    /// Writes something of which more may follow: a line of text, or one of JSON.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn line(&mut self, text: impl Display, document: &Value) -> Result<(), Error> {
        self.has_lines = true;
        match self.format {
            Format::Text => self.write(&one_line(&text.to_string())),
            Format::Json => self.write(&escape(&document.to_string())),
        }
    }

    /// Adds members to the document, which [`Results::end`] writes.
    pub fn put(&mut self, members: impl Serialize) {
        if let Ok(Value::Object(members)) = serde_json::to_value(members) {
            self.document.extend(members);
        }
    }

    /// Writes the document, with the error if there is one. Does nothing if the format is text.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&mut self, error: Option<&Error>) -> Result<(), Error> {
        if self.format == Format::Text {
            return Ok(());
        }
        if let Some(error) = error {
            self.put(json!({ "error": error.document() }));
        }
        // Completions and manual pages are written as they are, without a document.
        if self.document.is_empty() {
            return Ok(());
        }
        let document = Value::Object(std::mem::take(&mut self.document));
        // After lines it is one too.
        let document = if self.has_lines {
            document.to_string()
        } else {
            format!("{document:#}")
        };
        self.write(&escape(&document))
    }

    /// Returns what the results are written to.
    pub fn writer(&mut self) -> &mut W {
        &mut self.writer
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.writer, "{text}")
            .and_then(|()| self.writer.flush())
            .map_err(Error::output)
    }
}

/// Escapes every character of a JSON document that could steer a terminal. Such a character can only be in a string.
fn escape(document: &str) -> String {
    let mut escaped = String::with_capacity(document.len());
    for char in document.chars() {
        let mut text = [0; 4];
        let text: &str = char.encode_utf8(&mut text);
        if char == '\n' || one_line(text) == text {
            escaped.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A title for the terminal, and a mark that turns the direction of text.
    const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{202e}";

    fn written(format: Format, error: Option<&Error>) -> String {
        let mut results = Results::new(Vec::new(), format);
        results
            .text(format!("Grüße {HOSTILE}\n  second\u{9b}2J"))
            .unwrap();
        results.put(json!({ "push_id": 1, "subject": format!("Grüße {HOSTILE}") }));
        results.end(error).unwrap();
        String::from_utf8(results.writer).unwrap()
    }

    #[test]
    fn text_steers_no_terminal_and_keeps_its_lines() {
        assert_eq!(
            written(Format::Text, Some(&Error::GitMissing)),
            "Grüße \u{fffd}]0;x\u{fffd}\u{fffd}\n  second\u{fffd}2J\n"
        );
    }

    #[test]
    fn a_document_steers_no_terminal_and_loses_nothing() {
        let text = written(Format::Json, None);
        assert_eq!(plain(&text), text);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            document,
            json!({ "push_id": 1, "subject": format!("Grüße {HOSTILE}") })
        );
    }

    #[test]
    fn what_goes_on_is_a_line_each_and_so_is_the_error_that_ends_it() {
        let lines = |format| {
            let mut results = Results::new(Vec::new(), format);
            for number in 1..=2 {
                let document = json!({ "number": number, "ref": HOSTILE });
                results.line(format!("{number}: {HOSTILE}\n"), &document).unwrap();
            }
            results.end(Some(&Error::GitMissing)).unwrap();
            let text = String::from_utf8(results.writer).unwrap();
            assert_eq!(plain(&text), text);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let shown = "\u{fffd}]0;x\u{fffd}\u{fffd} ";
        assert_eq!(
            lines(Format::Text),
            [format!("1: {shown}"), format!("2: {shown}")]
        );
        let documents: Vec<Value> = lines(Format::Json)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            documents[..2],
            [1, 2].map(|number| json!({ "number": number, "ref": HOSTILE }))
        );
        assert_eq!(documents[2]["error"]["code"], "GitMissing");
        assert_eq!(documents.len(), 3);
    }

    #[test]
    fn the_document_of_a_failure_has_what_is_known_and_the_error() {
        let error = Error::ExecutionFailed {
            push_id: "p".to_owned(),
            error: "GitHostUnreachable".to_owned(),
            cause: "no answer".to_owned(),
        };
        let document: Value = serde_json::from_str(&written(Format::Json, Some(&error))).unwrap();
        assert_eq!(document["push_id"], 1);
        assert_eq!(document["error"]["code"], "GitHostUnreachable");
        assert_eq!(document["error"]["cause"], "no answer");
        assert_eq!(
            document["error"]["remedy"],
            domain::error::remedy("GitHostUnreachable")
        );
        let document = Error::GitMissing.document();
        assert_eq!(document["code"], "GitMissing");
        assert_eq!(document["cause"], Error::GitMissing.to_string());
        assert_eq!(document["remedy"], Value::Null);
    }
}
