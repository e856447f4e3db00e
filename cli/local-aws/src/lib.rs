//! Runs a local AWS, which emulates AWS on this machine, with the real template and the real functions in it. A
//! [`Stack`](stack::Stack) is a handle for the stack there or in AWS: its webhook, its executions and its audit trail.

pub mod application;
pub mod architecture;
pub mod aws;
pub mod build;
mod cargo;
pub mod checkout;
pub mod console;
pub mod containers;
pub mod deployments;
mod environment;
mod error;
pub mod filter;
pub mod follow;
pub mod function_log;
pub mod login;
pub mod ministack;
pub mod overtaken;
pub mod replay;
pub mod rollback;
pub mod sam;
pub mod stack;
pub mod tools;
pub mod trail;
pub mod watch;
pub mod webhook_client;

pub use error::{Error, remedy};
pub use stack::Stack;

/// The region that the local AWS emulates.
pub const REGION: &str = "us-east-1";
/// The access key id of the local AWS's administrator. Its secret is [`Ministack::secret_key`](ministack::Ministack).
pub const ACCESS_KEY: &str = "test";

/// Returns the number of the account with this access key, which is the key itself except that of [`ACCESS_KEY`].
#[must_use]
pub fn account_of(access_key: &str) -> &str {
    match access_key {
        ACCESS_KEY => "000000000000",
        account => account,
    }
}
