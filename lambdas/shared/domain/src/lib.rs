//! The types and decisions of Push Code, without AWS, tokio, a clock or an environment.
//!
//! Newtypes are parsed once, at the edge, and are always valid. [`contract`] has the inputs and outputs of the
//! workflow's states, [`event`] and [`state`] are a push's audit trail and its only fold, [`policy`], [`order`] and
//! [`destination`] have the decisions, [`paths`] what of a tree concerns a destination, and [`error`] is the catalogue
//! of all errors. [`push_index`] has the keys by which pushes are found, and [`delivered`] what is kept of a delivered
//! push apart from its trail. [`reporting`] says what the git host shows of a push, by a [`commit_status`], and
//! [`closed`] how it has ended. [`aggregate`], [`flow`], [`execution`] and [`index`] have what is true of deployments
//! too.

pub mod aggregate;
pub mod closed;
pub mod commit_status;
pub mod contract;
pub mod cost;
pub mod delivered;
pub mod destination;
pub mod digest;
pub mod error;
pub mod event;
pub mod execution;
pub mod flow;
pub mod git;
mod git_host;
pub mod glob;
pub mod index;
pub mod limits;
pub mod order;
mod output;
pub mod paths;
pub mod policy;
pub mod push;
pub mod push_index;
mod pushes;
pub mod remote_url;
pub mod reporting;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod source;
pub mod state;
mod text;

pub use text::{Invalid, parse_name, plain};
