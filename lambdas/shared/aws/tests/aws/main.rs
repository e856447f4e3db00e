//! The requests to AWS, and what its responses become. The real clients run against a server whose responses a test
//! sets.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod destination;
mod failures;
mod staging;
