//! The types and decisions of a deployment, which takes an application from a delivered push to production. They are
//! free of AWS, tokio, a clock and an environment, like those of a push in `domain`.
//!
//! [`application`] has the settings, [`deployment`] and [`artifact`] what is deployed, [`contract`] the inputs and
//! outputs of the workflow's states, [`closed`] how it has ended, [`risk`] what a person has to approve, and [`event`]
//! and [`state`] the audit trail and its only fold.

pub mod application;
pub mod artifact;
pub mod closed;
pub mod contract;
pub mod deployment;
pub mod event;
mod output;
pub mod risk;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod slot;
pub mod state;
