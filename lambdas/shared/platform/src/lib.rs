//! The AWS edge of the Lambdas: the audit trail in DynamoDB, objects in S3, secrets, settings, telemetry, and the
//! bridge from this project's errors to the names that Step Functions shows.

pub mod audit;
pub mod aws;
#[cfg(feature = "objects")]
pub mod destination;
pub mod failure;
pub mod progress;
pub mod secrets;
pub mod settings;
pub mod stage;
pub mod staging;
pub mod telemetry;
