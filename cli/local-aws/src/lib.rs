//! Runs a local AWS, which emulates AWS on this machine, with the real template and the real functions in it, and
//! deploys a stack there or to AWS.

pub mod application;
pub mod architecture;
pub mod aws;
pub mod build;
mod cargo;
pub mod checkout;
pub mod containers;
mod environment;
mod error;
pub mod function_log;
pub mod ministack;
pub mod sam;
pub mod tools;

pub use error::Error;

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
