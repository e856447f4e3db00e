//! The `push-code` command, as a library: the project's end-to-end tests use the same local AWS and webhook.

pub mod args;
mod error;
pub mod follow;
pub mod local;
pub mod origin;
pub mod output;
mod private;
mod process;
pub mod progress;
pub mod push;
pub mod report;
pub mod repository;
pub mod stack;
pub mod trail;
pub mod webhook_client;

pub use error::Error;
