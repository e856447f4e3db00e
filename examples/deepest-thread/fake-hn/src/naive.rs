//! The deepest thread, by going through each post's comments from the top: what the fast way has to find too.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::{Id, World};

/// The deepest thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deepest {
    /// The post.
    pub post: Id,
    /// Its levels.
    pub depth: u32,
    /// Its live comments.
    pub comments: u32,
    /// The first live comment of the deepest level. `None` if there is no comment.
    pub comment: Option<Id>,
}

impl World {
    /// Returns the deepest thread of the posts of the `hours` before `as_of`, or `None` if there is no post. Comments
    /// from `as_of` on do not count.
    #[must_use]
    pub fn deepest(&self, hours: u32, as_of: i64) -> Option<Deepest> {
        let replies = self.replies();
        let from = as_of - i64::from(hours) * 3600;
        let posts = self
            .items()
            .filter(|(_, item)| item.is_post() && item.is_live() && (from..as_of).contains(&item.time));
        let threads = posts.map(|(post, _)| {
            let thread = self.below(post, &replies, as_of);
            Deepest {
                post,
                depth: thread.depth,
                comments: thread.comments,
                comment: (thread.depth > 0).then_some(thread.deepest),
            }
        });
        threads.max_by_key(|thread| (thread.depth, thread.comments, Reverse(thread.post)))
    }

    fn below(&self, id: Id, replies: &HashMap<Id, Vec<Id>>, as_of: i64) -> Below {
        let mut all = Below {
            depth: 0,
            comments: 0,
            deepest: Id::MAX,
        };
        for reply in replies.get(&id).into_iter().flatten() {
            let below = self.below(*reply, replies, as_of);
            let live = self
                .item(*reply)
                .is_some_and(|item| item.is_live() && item.time < as_of);
            all.comments += below.comments + u32::from(live);
            let (depth, deepest) = match (below.depth, live) {
                (0, false) => continue,
                (0, true) => (1, *reply),
                (depth, _) => (depth + 1, below.deepest),
            };
            if (depth, Reverse(deepest)) > (all.depth, Reverse(all.deepest)) {
                (all.depth, all.deepest) = (depth, deepest);
            }
        }
        all
    }
}

/// What is below an item.
struct Below {
    depth: u32,
    comments: u32,
    deepest: Id,
}
