//! A deployment that is in the state `Applied`, on a trail in memory.

mod approving;
mod closing;
mod scene;
mod writing;
