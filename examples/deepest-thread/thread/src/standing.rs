//! How deep one post's thread is.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::{Cycle, Id};

/// A comment in a thread that was read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: Id,
    /// What it replies to.
    pub parent: Id,
    /// Whether readers can see it. A comment that is gone is shown only above one that is live.
    pub live: bool,
}

/// What decides between posts: depth, then the number of live comments, then who was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The post.
    pub post: Id,
    /// The number of levels. A level above a live comment counts even if the comment there is gone.
    pub depth: u32,
    /// The number of live comments.
    pub comments: u32,
    /// The live comment at the deepest level that was written first.
    pub deepest: Option<Id>,
}

impl Standing {
    /// Returns the standing of a post without comments.
    #[must_use]
    pub fn empty(post: Id) -> Self {
        Self {
            post,
            depth: 0,
            comments: 0,
            deepest: None,
        }
    }

    /// Counts one more live comment.
    pub(crate) fn add(&mut self, comment: Id, depth: u32) {
        self.comments += 1;
        let deepest = self.deepest.unwrap_or(Id::MAX);
        if (depth, Reverse(comment)) > (self.depth, Reverse(deepest)) {
            self.depth = depth;
            self.deepest = Some(comment);
        }
    }

    /// Returns the standing if `missing` more comments were found, all of them at the worst place for the others.
    pub(crate) fn at_best(self, missing: u32) -> Self {
        Self {
            depth: self.depth.saturating_add(missing),
            comments: self.comments.saturating_add(missing),
            ..self
        }
    }

    /// Returns what posts are compared by. The greater one wins.
    pub(crate) fn key(&self) -> (u32, u32, Reverse<Id>) {
        (self.depth, self.comments, Reverse(self.post))
    }

    /// Returns the standing of a post that was read whole, and the path to its deepest comment.
    ///
    /// # Errors
    /// Returns [`Cycle`] if a comment is below itself.
    pub fn of(post: Id, nodes: &[Node]) -> Result<(Self, Vec<Id>), Cycle> {
        let parents: HashMap<Id, Id> = nodes.iter().map(|node| (node.id, node.parent)).collect();
        let mut levels = Levels::default();
        let mut standing = Self::empty(post);
        for node in nodes.iter().filter(|node| node.live) {
            let (depth, root) = levels.of(node.id, |id| parents.get(&id).copied())?;
            if root == post {
                standing.add(node.id, depth);
            }
        }
        let mut path = Vec::new();
        let mut next = standing.deepest;
        while let Some(id) = next.filter(|id| *id != post) {
            path.push(id);
            next = parents.get(&id).copied();
        }
        path.reverse();
        Ok((standing, path))
    }
}

/// The levels of comments, each worked out once.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// The level and the root of each comment. `None` while it is worked out.
    known: HashMap<Id, Option<(u32, Id)>>,
}

impl Levels {
    /// Returns the level of a comment, and the root: the first item above that has no parent.
    pub(crate) fn of(&mut self, comment: Id, parent: impl Fn(Id) -> Option<Id>) -> Result<(u32, Id), Cycle> {
        let mut path = Vec::new();
        let mut id = comment;
        let (mut level, root) = loop {
            match self.known.get(&id) {
                Some(Some(known)) => break *known,
                Some(None) => return Err(Cycle { id }),
                None => match parent(id) {
                    None => break (0, id),
                    Some(parent) => {
                        self.known.insert(id, None);
                        path.push(id);
                        id = parent;
                    }
                },
            }
        };
        for id in path.into_iter().rev() {
            level += 1;
            self.known.insert(id, Some((level, root)));
        }
        Ok((level, root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: Id, parent: Id, live: bool) -> Node {
        Node { id, parent, live }
    }

    #[test]
    fn a_gone_comment_is_a_level_only_above_a_live_one() {
        let nodes = [
            node(2, 1, true),
            node(3, 2, false),
            node(4, 3, true),
            node(5, 4, false),
            node(6, 5, false),
        ];
        let (standing, path) = Standing::of(1, &nodes).unwrap();
        assert_eq!(
            (standing.depth, standing.comments, standing.deepest),
            (3, 2, Some(4))
        );
        assert_eq!(path, [2, 3, 4]);
    }

    #[test]
    fn of_two_comments_on_the_deepest_level_the_first_one_is_named() {
        let nodes = [node(2, 1, true), node(9, 2, true), node(5, 2, true)];
        let (standing, path) = Standing::of(1, &nodes).unwrap();
        assert_eq!((standing.depth, standing.deepest), (2, Some(5)));
        assert_eq!(path, [2, 5]);
    }

    #[test]
    fn what_hangs_on_nothing_known_does_not_count() {
        let nodes = [node(2, 1, true), node(4, 77, true)];
        let (standing, _) = Standing::of(1, &nodes).unwrap();
        assert_eq!((standing.depth, standing.comments), (1, 1));
    }

    #[test]
    fn a_circle_is_an_error() {
        let nodes = [node(2, 4, true), node(3, 2, true), node(4, 3, true)];
        assert!(Standing::of(1, &nodes).is_err());
        assert!(Standing::of(1, &[node(2, 2, true)]).is_err());
    }
}
