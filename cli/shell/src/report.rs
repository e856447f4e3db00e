//! Reports an error to the user.

use std::error::Error;

use console::style;

use crate::output::write_line;

/// Writes the error with all its causes to stderr.
pub fn report(error: &dyn Error) {
    write_line(
        Some(style("error:").red().bold().for_stderr()),
        &error.to_string(),
    );
    let mut cause = error.source();
    while let Some(error) = cause {
        write_line(None, &format!("  because: {error}"));
        cause = error.source();
    }
}
