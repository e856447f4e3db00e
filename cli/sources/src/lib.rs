//! The sources of a deployed stack: how one is listed, added, shown, tried, changed and removed. A source is its
//! settings, an SSM parameter, and two secrets, which prove its webhooks and log in at its git hosts.

mod add;
mod captured;
mod change;
mod check;
mod deploy_key;
mod error;
mod host_keys;
mod list;
mod remove;
mod schema;
mod show;
mod store;

pub use add::{Added, NewSource, add, check_is_new};
pub use captured::{Captured, Expected, ProofFound, expect};
pub use change::{Rotated, finish_rotation, rotate, set_disabled};
pub use check::{Check, Outcome, check, check_stack};
pub use deploy_key::DeployKey;
pub use error::Error;
pub use host_keys::{PinnedHost, Trust, pin};
pub use list::{Source, Sweep, list};
pub use remove::{Removed, remove};
pub use schema::schema;
pub use show::{GitSecretShown, LoginBy, LoginShown, Secret, Shown, WebhookShown, show};
pub use store::{RECOVERY_DAYS, Store};
