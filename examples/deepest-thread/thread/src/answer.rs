//! The answer, as programs get it.

use serde::{Deserialize, Serialize};

use crate::{Hours, Id};

/// The post of the past hours whose thread is deepest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The end of the window, in seconds since 1970. Items of this second or later are not in it.
    pub as_of: i64,
    /// The length of the window.
    pub hours: Hours,
    /// The post, or `None` if the window has none.
    pub post: Option<Post>,
    /// The number of its levels of comments.
    pub depth: u32,
    /// The first comment of the deepest level, or `None` if there is no comment.
    pub deepest_comment: Option<DeepestComment>,
    /// The comments from the first level down to the deepest one.
    pub path: Vec<Id>,
    /// What the comments of `path` say. `None` for a comment that is gone.
    pub thread: Vec<Option<Excerpt>>,
    /// What was looked at.
    pub examined: Examined,
    /// Whether everything that the answer depends on was found.
    pub complete: bool,
    /// What was not found. Empty if `complete`.
    pub unanswered: Vec<Unanswered>,
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Its number.
    pub id: Id,
    /// Its title.
    pub title: String,
    /// What it links to, or `None` if it is a text.
    pub url: Option<String>,
    /// Who has posted it.
    pub by: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// The number of its comments that are not gone.
    pub comments: u32,
}

/// The deepest comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepestComment {
    /// Its number.
    pub id: Id,
    /// Its page.
    pub url: String,
}

/// What somebody has written, or the beginning of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Who.
    pub by: String,
    /// The text, plain, not HTML.
    pub text: String,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// The posts of the window.
    pub posts: usize,
    /// The comments of the window.
    pub comments: usize,
    /// The requests, without those that were repeated after a failure.
    pub requests: usize,
    /// The parents that were asked for one by one.
    pub holes: usize,
}

/// Something that was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unanswered {
    /// A comment whose parent no source knows.
    Parent {
        /// The parent.
        id: Id,
        /// The post that the comment was written for.
        post: Id,
    },
    /// A post that was not read whole, because too many were.
    Thread {
        /// The post.
        id: Id,
    },
}
