//! What git hosts send when something is pushed, one module for each kind of host: which header proves where a request
//! comes from, how its body is read, and how such a request is built, for tests and for `push-code local push`. Nothing
//! here answers HTTP or calls AWS: the functions of the edge do.

pub mod gitlab;
mod secret;

pub use secret::WebhookSecret;

use domain::push::Push;

/// What a request reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// A push.
    Push(Push),
    /// Something else, with the reason why it is of no interest.
    NotForUs(String),
}
