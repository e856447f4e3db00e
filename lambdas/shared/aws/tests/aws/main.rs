//! What the answers of AWS become, and what it is asked: the real clients before a server that answers what a test says.

#![expect(clippy::unwrap_used, reason = "the helpers of tests")]

mod destination;
mod failures;
mod staging;
