//! Histories of a ref, simulated: the real handlers in a world in which everything can happen at any time, and happens by
//! chance that comes from one seed.
//!
//! The same seed is the same history, so what was once seen can be looked at. Executions, stages and webhooks are futures on
//! one thread; each call of a service lets others go on first, and may fail before or after it has taken effect, take very
//! long, or be the last thing that its function does. See [`history`] for what a history is, and `checks` for what has to
//! hold at its end.

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
mod scheduler;
mod staging;
mod trail;
mod weather;
mod world;

pub use history::{Report, run};
