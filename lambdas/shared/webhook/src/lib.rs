//! The webhooks of git hosts, with one module for each kind of host: which header authenticates a request, how its body
//! is parsed, and how such a request is built for tests and for `push-code local push`. This library neither serves
//! HTTP nor calls AWS, which the functions of the edge do.

pub mod gitlab;
mod secret;

pub use secret::WebhookSecret;

use domain::push::Push;

/// What a request reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// A push.
    Push(Push),
    /// An event that is not a push, with the reason why it is ignored.
    NotForUs(String),
}
