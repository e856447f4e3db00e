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
    for cause in causes(error) {
        write_line(None, &format!("  because: {cause}"));
    }
}

/// Returns the causes of `error`, the nearest one first.
pub fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::IoError;

    #[test]
    fn causes_are_all_that_are_below_an_error_the_nearest_first() {
        let disk = std::io::Error::other(IoError::of("write", Path::new("b"))(std::io::Error::other(
            "no space",
        )));
        let error = IoError::of("read", Path::new("a"))(disk);
        let causes: Vec<_> = causes(&error).map(ToString::to_string).collect();
        assert_eq!(causes, ["cannot write b", "no space"]);
    }
}
