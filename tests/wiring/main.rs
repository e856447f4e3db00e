//! The template, the state machines, the guides and the code refer to the same things by name. Only AWS itself would
//! notice a mismatch, so these tests read them as data and compare them. A test of a state machine applies to each file
//! in `statemachine`.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot read what it is to check has failed the test"
)]

mod handlers;
mod iam;
mod machine;
mod metrics;
mod numbers;
mod project;
mod transform;

mod architecture;
mod buckets;
mod codepipeline;
mod cross_account;
mod definition;
mod dependencies;
mod deployer;
mod docs;
mod events;
mod example;
mod failures;
mod functions;
mod links;
mod network;
mod release;
mod rights;
mod roles;
mod settings;
mod sweep;
mod webhook;
