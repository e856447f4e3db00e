//! A handle for a deployed [`Stack`], in AWS or in the local AWS: its outputs, its webhook, its executions and its
//! audit trail, and what people ask about them.

pub mod console;
pub mod deployments;
mod error;
pub mod filter;
pub mod follow;
pub mod login;
pub mod overtaken;
pub mod replay;
pub mod rollback;
pub mod stack;
pub mod trail;
pub mod watch;
pub mod webhook_client;

pub use error::{Error, remedy};
pub use stack::Stack;
