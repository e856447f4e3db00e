//! What the programs that people run have in common: progress and errors on a terminal, running other programs, and
//! files that only the user can read.

pub mod ask;
mod io_error;
pub mod lock;
pub mod output;
pub mod private;
pub mod process;
pub mod progress;
pub mod report;

pub use io_error::IoError;
