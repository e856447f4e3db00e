//! Uploads over a trail and a destination in memory, by themselves and while others write there.

pub(crate) mod scene;
mod store;

mod lease;
mod order;
mod over;
mod writing;

use super::*;
