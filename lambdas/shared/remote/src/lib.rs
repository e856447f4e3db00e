//! Fetches one commit from a git host, as one pack, or lists its refs, by HTTP(S) or SSH.
//!
//! The host is not trusted and may send anything, so libgit2 speaks to it in a process of its own, by a
//! [`TransferProgram`], which has at most one login. A [`FetchRequest`] says what to fetch, how to log in and which
//! limits apply; a [`FetchedPack`] is the result. This library also decides which certificates and host keys are
//! trusted, and whether the host shows the commit on its ref. What is done with the commit is decided by the caller.

mod attempt;
mod base;
mod certificates;
mod changes;
mod child;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod gitmodules;
mod host_key;
mod known_hosts;
mod libgit2;
mod lineage;
mod list;
mod login;
mod meaning;
mod progress;
mod request;
mod side_band;
mod transfer;

pub use base::remove_packs;
pub use changes::Difference;
pub use child::{TransferProgram, transfer_if_asked};
pub use error::Error;
pub use host_key::HostKey;
pub use libgit2::ignore_configuration;
pub use list::{ListedRef, Listing};
pub use progress::{Phase, Progress};
pub use request::{Base, Comparison, Connection, FetchRequest, Target};
pub use transfer::FetchedPack;
