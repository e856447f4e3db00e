//! The credentials of a source: how to log in at its git hosts, and whom to trust there. Git transfers, Git LFS and
//! listings of refs use the same ones.
//!
//! A git secret says it, as [`GitSecretJson`]. [`Credentials`] finds the login that is for a repository, and removes
//! secrets from texts that people see. Some logins are not sent themselves, but exchanged for what is: an [`Issuer`]
//! makes the tokens of GitHub Apps and the signatures of CodeCommit.

mod access;
mod codecommit;
mod error;
mod expiry;
mod github_app;
mod issuer;
mod jwt;
mod secret;
mod store;

pub use access::Access;
pub use error::{AccessError, TokenError};
pub use expiry::{Expiring, WARNING_DAYS};
pub use issuer::Issuer;
pub use secret::{ApiToken, CodeCommitJson, Credential, GitSecretJson, Login};
pub use store::Credentials;
