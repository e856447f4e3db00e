//! Tests against a Hacker News that is made up. They are one program, because each more would be linked with all that the
//! function stands on.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod server;

mod budget;
mod hostile;
mod postgres;
mod property;
mod worlds;
