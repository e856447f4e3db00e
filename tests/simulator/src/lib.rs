//! Simulates histories of a ref: the real handlers run in a world in which everything can happen at any time, by chance
//! from one seed.
//!
//! The same seed gives the same history, so a failure can be reproduced. Executions, stages and webhooks are futures on
//! one thread. Each call of a service lets other tasks continue first, and may fail before or after it has taken
//! effect, take very long, or be the last thing that its function does. See [`history`] for what a history is, and
//! `checks` for what must hold at its end.

mod checks;
mod core;
mod definition;
mod destination;
mod dice;
mod digest;
mod execution;
mod functions;
mod history;
mod host;
mod machine;
mod people;
mod place;
mod plan;
mod scheduler;
mod staging;
mod trail;
mod weather;
mod world;

pub use functions::TIMEOUTS;
pub use history::{Report, run};
