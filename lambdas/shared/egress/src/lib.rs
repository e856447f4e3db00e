//! HTTP to servers that are not trusted, from a function that can reach private networks.
//!
//! A [`Client`] sends requests to one server, and to the URLs that the server refers to. Those must not be further
//! inside the network than the server itself, unless the settings name their host. The client follows no redirect by
//! itself, and waits neither longer than a server may be silent nor beyond a deadline. What is requested, and what a
//! response means, is decided by the caller.

mod address;
mod client;
mod connector;
mod error;
mod redirect;
mod timeouts;

pub use address::{Reach, reach};
pub use client::{Body, Client, Response};
pub use error::{Error, named};
pub use redirect::{check_scheme, location};
