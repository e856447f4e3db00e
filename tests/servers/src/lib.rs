//! Real servers for tests, on the loopback, and other code that the tests of several crates share.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a fixture that cannot do its work fails the test"
)]

pub mod aws;
pub mod endless;
pub mod growth;
pub mod http;
pub mod ssh;

mod certificate;
mod giftless;
mod request;

pub use certificate::Certificate;
pub use giftless::Giftless;
pub use request::Request;

/// The path of the repository that most tests serve.
pub const PATH: &str = "/group/project.git";
