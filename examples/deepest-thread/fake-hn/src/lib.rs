//! A Hacker News that is made up: a [`World`] of posts and comments, and a [`Fake`] that serves it by the same two APIs
//! as the real one, with their limits.

mod grow;
mod naive;
mod serve;
mod world;

pub use grow::Shape;
pub use naive::Deepest;
pub use serve::{Counts, Fake, Response, Weather};
pub use world::{Item, Kind, State, World};

/// The number of a post or a comment.
pub type Id = u64;
