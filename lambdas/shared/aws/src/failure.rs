//! Converts an error to what Step Functions shows of it.

use std::fmt::Write as _;

use domain::error::{Class, Code, Coded};
use domain::plain;
use lambda_runtime::Diagnostic;

/// The longest cause that is passed on, in characters. An event has at most 400 KB, and a message to people far less.
const MAX_CAUSE_CHARACTERS: usize = 4_000;

/// The failure of a stage: its code, and a cause that says what happened, to what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {cause}")]
pub struct Failed {
    /// The code, which is the error's name in the console.
    pub code: Code,
    /// The messages of the error and its sources, and the remedy.
    pub cause: String,
}

impl Failed {
    /// Creates the failure of `error`, with the messages of its sources and its remedy.
    pub fn new(error: &impl Coded) -> Self {
        Self::with_cause(error.code(), &chain(error))
    }

    /// Creates a failure with this cause, to which the code's remedy is added.
    #[must_use]
    pub fn with_cause(code: Code, cause: &str) -> Self {
        // The cause may quote git hosts and repositories.
        let mut text = plain(cause, MAX_CAUSE_CHARACTERS);
        if !text.ends_with('.') {
            text.push('.');
        }
        let _ = write!(text, " {}", code.remedy());
        Self { code, cause: text }
    }

    /// Returns the class, which decides whether the state machine retries.
    #[must_use]
    pub fn class(&self) -> Class {
        self.code.class()
    }
}

/// Joins the messages of `error` and its sources in one line. (The SDK's own `DisplayErrorContext` adds the whole
/// response, in which people would not find that line.)
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // The message of a transparent error is that of its source.
        let own = error.to_string();
        if !text.ends_with(&own) {
            let _ = write!(text, ": {own}");
        }
        source = error.source();
    }
    text
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self {
            error_type: failed.code.to_string(),
            error_message: failed.cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the commit abc is not in group/project")]
    struct Outer(#[source] std::io::Error);

    impl Coded for Outer {
        fn code(&self) -> Code {
            Code::CommitNotFound
        }
    }

    #[test]
    fn a_diagnostic_has_the_code_the_chain_and_the_remedy() {
        let diagnostic: Diagnostic = Failed::new(&Outer(std::io::Error::other("not our ref"))).into();
        assert_eq!(diagnostic.error_type, "CommitNotFound");
        assert_eq!(
            diagnostic.error_message,
            format!(
                "the commit abc is not in group/project: not our ref. {}",
                Code::CommitNotFound.remedy()
            )
        );
    }

    #[test]
    fn a_cause_is_one_plain_line() {
        let failed = Failed::new(&Outer(std::io::Error::other(
            "\u{1b}]52;c;x\u{7}\nyou: \u{202e}click",
        )));
        assert_eq!(failed.cause.lines().count(), 1);
        assert!(
            failed
                .cause
                .contains("\u{fffd}]52;c;x\u{fffd} you: \u{fffd}click"),
            "{failed}"
        );
    }

    #[test]
    fn a_cause_of_any_length_is_cut() {
        let failed = Failed::new(&Outer(std::io::Error::other("é".repeat(1_000_000))));
        assert!(failed.cause.chars().count() < 5_000);
        assert!(failed.cause.ends_with(Code::CommitNotFound.remedy()));
    }
}
