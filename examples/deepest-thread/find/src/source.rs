//! What has to be known of Hacker News.

use thread::Id;

use crate::{FindError, Tree};

/// Where posts and comments come from.
pub trait Source: Sync {
    /// Returns the newest posts or comments of a slice of time, at most a thousand. Items that are gone are not found.
    fn search(&self, slice: Slice) -> impl Future<Output = Result<Page, FindError>> + Send;

    /// Returns an item, live or gone, or `None` if it is not known.
    fn item(&self, id: Id) -> impl Future<Output = Result<Option<Item>, FindError>> + Send;

    /// Returns a post's whole thread as of `as_of`, or `None` if the post is gone.
    fn tree(&self, post: Id, as_of: i64) -> impl Future<Output = Result<Option<Tree>, FindError>> + Send;
}

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stories and polls.
    Posts,
    /// Comments.
    Comments,
}

/// A slice of time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// What is searched for.
    pub kind: Kind,
    /// The first second.
    pub from: i64,
    /// The second after the last one.
    pub to: i64,
}

/// A response of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many there are in the slice.
    pub total: usize,
    /// The newest of them, the newest first.
    pub hits: Vec<Hit>,
}

/// A post or comment that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// A story or poll.
    Post {
        /// Its number.
        id: Id,
        /// When it was posted, or set anew.
        time: i64,
        /// How many live comments it has.
        comments: u32,
    },
    /// A comment.
    Comment {
        /// Its number.
        id: Id,
        /// When it was written.
        time: i64,
        /// What it replies to.
        parent: Id,
        /// The post that it was written for.
        post: Id,
    },
}

impl Hit {
    /// Returns the time.
    #[must_use]
    pub fn time(&self) -> i64 {
        match *self {
            Self::Post { time, .. } | Self::Comment { time, .. } => time,
        }
    }
}

/// An item, live or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What it replies to, or `None` if it is no comment.
    pub parent: Option<Id>,
}
