//! HTTP to servers that are not trusted, from a function that has neighbours which nobody else may reach.
//!
//! A [`Client`] speaks to one server, and to wherever that leads: no further inside the network than the server itself is,
//! unless the settings name the place. It follows no redirect by itself, and waits neither longer than a server may be
//! silent nor beyond a deadline. What is asked, and what an answer means, is up to whoever uses it.

mod address;
mod client;
mod connector;
mod error;
mod redirect;
mod timeouts;

pub use address::Reach;
pub use client::{Body, Client, Response};
pub use error::{Error, named};
pub use redirect::{check_scheme, location};
