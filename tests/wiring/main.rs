//! The template, the state machines, the guides and the code are texts that speak of the same things by name. Nothing but
//! AWS itself would notice that they do not fit, so they are read as data here and compared. What is said of a state
//! machine is said of each file in `statemachine`.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot read what it is to check has failed the test"
)]

mod machine;
mod numbers;
mod project;

mod architecture;
mod buckets;
mod definition;
mod dependencies;
mod docs;
mod failures;
mod functions;
mod rights;
mod settings;
mod webhook;
