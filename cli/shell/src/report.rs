//! Reports an error to the user.

use std::error::Error;
use std::io::Write;

use crate::output::PlainWriter;

/// Writes the error with all its causes to stderr.
pub fn report(error: &dyn Error) {
    let mut stderr = PlainWriter::stderr();
    // If stderr is closed, the exit code is all that reports the error.
    let _ = writeln!(stderr, "error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(stderr, "  because: {error}");
        cause = error.source();
    }
}
