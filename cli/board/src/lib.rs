//! A page on the loopback that shows the audit trail of pushes: what is running now, the last pushes, the timeline of
//! each, its failure and what to do, and where a commit is. It asks what the commands `push-code pushes` ask, and
//! replays a push or rolls back to it as they do.
//!
//! The pages are rendered here and work without a script. With the script they follow the trail: the server asks again
//! every two seconds while a page is open and visible, and sends the parts that have changed.

mod access;
mod actions;
mod assets;
mod live;
mod page;
mod pages;
mod pushes;
mod query;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod server;
mod text;
mod timeline;

pub use pushes::Pushes;
pub use server::{Board, Error};
