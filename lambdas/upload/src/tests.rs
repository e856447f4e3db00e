//! Uploads over a trail and a destination in memory, by themselves and while others write there.

pub(crate) mod scene;
mod store;

mod expire;
mod keep;
mod lease;
mod order;
mod over;
mod rollbacks;
mod writing;

use super::*;
