//! Git hosts: fetches one commit, as one pack, from a repository that somebody else serves, by HTTP(S) or SSH.
//!
//! The host may send anything, so libgit2 speaks to it in a process of its own, a [`TransferProgram`], which has one login
//! at most. A [`FetchRequest`] says what is wanted, how to log in and which limits hold; a [`FetchedPack`] is what came of
//! it. Which certificates and host keys are trusted, and what the host shows on its refs, is decided here too. What else
//! is done with a commit, or with more than one, is up to whoever fetches.

mod attempt;
mod certificates;
mod child;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod gitmodules;
mod known_hosts;
mod libgit2;
mod lineage;
mod meaning;
mod progress;
mod request;
mod side_band;
mod transfer;

pub use child::{TransferProgram, transfer_if_asked};
pub use error::Error;
pub use libgit2::ignore_configuration;
pub use progress::{Phase, Progress};
pub use request::{FetchRequest, Target};
pub use transfer::FetchedPack;
