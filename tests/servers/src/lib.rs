//! Real servers for tests, on the loopback.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a fixture that cannot do its work has failed the test"
)]

mod giftless;

pub use giftless::Giftless;
