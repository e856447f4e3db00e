//! An error as the commands tell it.

use std::error::Error;
use std::io::Write;

use crate::output::PlainWriter;

/// Writes the error with all its causes to stderr.
pub fn report(error: &dyn Error) {
    let mut stderr = PlainWriter::stderr();
    // A closed stderr leaves the exit code to speak.
    let _ = writeln!(stderr, "error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(stderr, "  because: {error}");
        cause = error.source();
    }
}
