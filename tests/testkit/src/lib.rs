//! Code that the tests of several crates share: real servers on the loopback, hosts that misbehave, certificates, and
//! git.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a fixture that cannot do its work fails the test"
)]

pub mod aws;
pub mod aws_cli;
pub mod codecommit;
pub mod endless;
pub mod git;
pub mod github;
pub mod growth;
pub mod http;
pub mod logs;
pub mod ssh;

mod certificate;
mod giftless;
mod request;

pub use certificate::Certificate;
pub use giftless::Giftless;
pub use request::Request;

/// The path of the repository that most tests serve.
pub const PATH: &str = "/group/project.git";
