//! The `push-code` command, as a library for its own tests. What others need too is in crates of its own beside it.

pub mod args;
pub mod audit;
pub mod board;
pub mod deploy;
pub mod deployments;
pub mod docs;
pub mod doctor;
mod error;
pub mod explain;
pub mod local;
pub mod origin;
pub mod push;
pub mod pushes;
pub mod repository;
pub mod results;
pub mod retry;
pub mod sources;
mod states;
mod summary;
mod unverified;
pub mod verify;

pub use error::Error;
