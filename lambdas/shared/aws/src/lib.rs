//! AWS as the functions and the command use it: the SDK's configuration and what its errors mean, objects in S3, secrets,
//! settings, logs, and the bridge from this project's errors to the names that Step Functions shows. What is stored there,
//! and why, is up to whoever uses it.

mod client;
#[cfg(feature = "objects")]
pub mod destination;
pub mod failure;
pub mod secrets;
pub mod settings;
pub mod staging;
pub mod telemetry;

pub use client::{AwsFailure, config};
