//! AWS as the functions and the command use it: the SDK's configuration and the meaning of its errors, objects in S3,
//! executions, secrets, sources, settings, logs, and the conversion of this project's errors to those that Step
//! Functions shows. What is stored, and why, is decided by the caller.

mod client;
#[cfg(feature = "objects")]
pub mod destination;
#[cfg(feature = "executions")]
pub mod executions;
pub mod failure;
pub mod secrets;
pub mod settings;
#[cfg(feature = "sources")]
pub mod sources;
pub mod staging;
pub mod telemetry;

pub use client::{AwsFailure, at, config, user_config};
