//! The threads of a window, which are worked out from links.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::standing::Levels;
use crate::{Id, Node, Standing};

/// The posts and comments of a window.
#[derive(Debug, Default)]
pub struct Forest {
    posts: BTreeMap<Id, KnownPost>,
    parents: HashMap<Id, Id>,
    /// The live comments, and the post that each was written for.
    live: HashMap<Id, Id>,
    /// Items that no source knows.
    unknown: BTreeSet<Id>,
    /// Items that are known to be no comment, and are not in the window.
    outside: BTreeSet<Id>,
}

/// A post of the window.
#[derive(Debug, Clone, Copy)]
struct KnownPost {
    /// How many live comments it has according to the index.
    claimed: u32,
    /// What came of reading it whole.
    read: Option<Standing>,
}

/// A comment is below itself, according to the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the comment {id} is below itself")]
pub struct Cycle {
    /// The comment.
    pub id: Id,
}

/// A parent that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hole {
    /// The parent.
    pub id: Id,
    /// The post that the comment below was written for.
    pub post: Id,
}

impl Forest {
    /// Adds a post of the window, which has this many live comments according to the index.
    pub fn add_post(&mut self, id: Id, claimed: u32) {
        self.posts.insert(id, KnownPost { claimed, read: None });
    }

    /// Adds a live comment of the window, written for `post`. Its parent may have been moved below another post since.
    pub fn add_comment(&mut self, id: Id, parent: Id, post: Id) {
        self.parents.insert(id, parent);
        self.live.insert(id, post);
    }

    /// Adds what fills a hole: the parent of a comment that is not in the index, or `None` if the item has no parent.
    pub fn fill(&mut self, id: Id, parent: Option<Id>) {
        match parent {
            Some(parent) => {
                self.parents.insert(id, parent);
            }
            None => {
                self.outside.insert(id);
            }
        }
    }

    /// Notes that no source knows an item.
    pub fn give_up(&mut self, id: Id) {
        self.unknown.insert(id);
    }

    /// Adds a post's whole thread, which replaces whatever else was found for it.
    ///
    /// # Errors
    /// Returns [`Cycle`] if a comment is below itself.
    pub fn read_whole(&mut self, post: Id, nodes: &[Node]) -> Result<(), Cycle> {
        let (standing, _) = Standing::of(post, nodes)?;
        if let Some(known) = self.posts.get_mut(&post) {
            known.read = Some(standing);
        }
        // Comments that were moved here from another post may be above or below others.
        for node in nodes.iter().filter(|node| !node.live) {
            self.parents.entry(node.id).or_insert(node.parent);
        }
        Ok(())
    }

    /// Removes a post that is gone meanwhile.
    pub fn remove_post(&mut self, post: Id) {
        self.posts.remove(&post);
        self.outside.insert(post);
    }

    /// Returns the number of posts and of comments of the window.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.posts.len(), self.live.len())
    }

    /// Returns the posts that began before the window, as their time was set anew, and have comments. Some of these may
    /// be older than the window.
    #[must_use]
    pub fn begun_before(&self) -> Vec<Id> {
        let first = self.live.keys().min().copied().unwrap_or(Id::MAX);
        self.unread()
            .filter(|(post, claimed)| *post < first && *claimed > 0)
            .map(|(post, _)| post)
            .collect()
    }

    /// Returns the parents that are neither known nor given up, above comments that were written for a post of the
    /// window that was not read whole.
    ///
    /// # Errors
    /// Returns [`Cycle`] if a comment is below itself.
    pub fn holes(&self) -> Result<BTreeSet<Hole>, Cycle> {
        // What is older than all these posts is below none of them.
        let first = self.unread().map(|(post, _)| post).min().unwrap_or(Id::MAX);
        self.roots(|root| {
            root >= first
                && !self.posts.contains_key(&root)
                && !self.outside.contains(&root)
                && !self.unknown.contains(&root)
        })
    }

    /// Returns the parents that were given up, above such comments.
    ///
    /// # Errors
    /// Returns [`Cycle`] if a comment is below itself.
    pub fn given_up(&self) -> Result<BTreeSet<Hole>, Cycle> {
        self.roots(|root| self.unknown.contains(&root))
    }

    /// Returns the wanted roots of the comments that were written for posts that were not read whole.
    fn roots(&self, wanted: impl Fn(Id) -> bool) -> Result<BTreeSet<Hole>, Cycle> {
        let mut levels = Levels::default();
        let mut roots: BTreeMap<Id, Id> = BTreeMap::new();
        for (&comment, &post) in &self.live {
            if self.posts.get(&post).is_some_and(|known| known.read.is_none()) {
                let (_, root) = levels.of(comment, |id| self.parent(id))?;
                if wanted(root) {
                    let first = roots.entry(root).or_insert(post);
                    *first = post.min(*first);
                }
            }
        }
        Ok(roots.into_iter().map(|(id, post)| Hole { id, post }).collect())
    }

    /// Returns the posts that were not read whole, with the numbers of their comments according to the index.
    fn unread(&self) -> impl Iterator<Item = (Id, u32)> {
        let unread = self.posts.iter().filter(|(_, known)| known.read.is_none());
        unread.map(|(post, known)| (*post, known.claimed))
    }

    /// Returns the post that has to be read whole next before the deepest thread is certain: the one that could be
    /// deepest by the comments that the index says it has besides those that were found, if none of those is below a
    /// gone one. `None` if the deepest one is certain, or there is no post.
    ///
    /// # Errors
    /// Returns [`Cycle`] if a comment is below itself.
    pub fn next_to_read(&self) -> Result<Option<Id>, Cycle> {
        let standings = self.standings()?;
        let best = standings.into_iter().map(|(known, standing)| match known.read {
            Some(_) => (false, standing),
            None => {
                let missing = known.claimed.saturating_sub(standing.comments);
                (true, standing.at_best(missing))
            }
        });
        let best = best.max_by_key(|(_, standing)| standing.key());
        Ok(best.and_then(|(unread, standing)| unread.then_some(standing.post)))
    }

    /// Returns the deepest thread of those that were read whole, or `None` if none was.
    #[must_use]
    pub fn deepest_read(&self) -> Option<Standing> {
        let read = self.posts.values().filter_map(|known| known.read);
        read.max_by_key(Standing::key)
    }

    /// Returns the standing of each post, by what was read whole or else by what was found.
    fn standings(&self) -> Result<Vec<(KnownPost, Standing)>, Cycle> {
        let mut levels = Levels::default();
        let mut standings: HashMap<Id, Standing> = HashMap::new();
        for &comment in self.live.keys() {
            let (level, root) = levels.of(comment, |id| self.parent(id))?;
            if self.posts.contains_key(&root) {
                let standing = standings.entry(root).or_insert_with(|| Standing::empty(root));
                standing.add(comment, level);
            }
        }
        Ok(self
            .posts
            .iter()
            .map(|(post, known)| {
                let found_by_links = standings.remove(post).unwrap_or(Standing::empty(*post));
                (*known, known.read.unwrap_or(found_by_links))
            })
            .collect())
    }

    /// Returns what an item replies to. A post of the window replies to nothing, whatever a source says.
    fn parent(&self, id: Id) -> Option<Id> {
        if self.posts.contains_key(&id) {
            return None;
        }
        self.parents.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole(id: Id, post: Id) -> Hole {
        Hole { id, post }
    }

    #[test]
    fn a_parent_that_is_not_in_the_index_is_a_hole_until_it_is_filled() {
        let mut forest = Forest::default();
        forest.add_post(10, 2);
        forest.add_comment(13, 12, 10);
        forest.add_comment(14, 12, 10);
        assert_eq!(forest.holes().unwrap(), BTreeSet::from([hole(12, 10)]));
        forest.fill(12, Some(11));
        assert_eq!(forest.holes().unwrap(), BTreeSet::from([hole(11, 10)]));
        forest.fill(11, Some(10));
        assert!(forest.holes().unwrap().is_empty());
        assert_eq!(forest.next_to_read().unwrap(), Some(10));
    }

    #[test]
    fn comments_of_older_posts_are_no_holes() {
        let mut forest = Forest::default();
        forest.add_post(10, 0);
        forest.add_comment(13, 5, 3);
        // Written for the post, moved below an older one.
        forest.add_comment(14, 4, 10);
        assert!(forest.holes().unwrap().is_empty());
        assert_eq!(forest.size(), (1, 2));
    }

    #[test]
    fn a_parent_that_is_given_up_is_no_hole_and_is_named() {
        let mut forest = Forest::default();
        forest.add_post(10, 1);
        forest.add_comment(13, 12, 10);
        forest.give_up(12);
        assert!(forest.holes().unwrap().is_empty());
        assert_eq!(forest.given_up().unwrap(), BTreeSet::from([hole(12, 10)]));
        forest.read_whole(10, &[]).unwrap();
        assert!(forest.given_up().unwrap().is_empty());
    }

    #[test]
    fn a_moved_comment_counts_where_it_is_now() {
        let mut forest = Forest::default();
        forest.add_post(10, 0);
        forest.add_post(11, 2);
        forest.add_comment(12, 11, 10);
        forest.add_comment(13, 12, 10);
        assert_eq!(forest.next_to_read().unwrap(), Some(11));
    }

    #[test]
    fn a_post_whose_missing_comments_could_make_it_deepest_is_read() {
        let mut forest = Forest::default();
        forest.add_post(10, 2);
        forest.add_comment(20, 10, 10);
        forest.add_comment(21, 20, 10);
        // Two of three comments were not found: at best they make it three deep.
        forest.add_post(11, 3);
        forest.add_comment(22, 11, 11);
        // One was not found, which is not enough.
        forest.add_post(12, 1);
        assert_eq!(forest.next_to_read().unwrap(), Some(11));
        let node = |id, parent| Node {
            id,
            parent,
            live: true,
        };
        forest
            .read_whole(11, &[node(22, 11), node(23, 11), node(24, 11)])
            .unwrap();
        assert_eq!(forest.next_to_read().unwrap(), Some(10));
        forest.read_whole(10, &[node(20, 10), node(21, 20)]).unwrap();
        assert_eq!(forest.next_to_read().unwrap(), None);
        assert_eq!(forest.deepest_read().unwrap().post, 10);
    }

    #[test]
    fn a_post_that_is_gone_meanwhile_leaves_its_place_to_the_next() {
        let mut forest = Forest::default();
        forest.add_post(10, 1);
        forest.add_post(11, 0);
        forest.add_comment(12, 10, 10);
        assert_eq!(forest.next_to_read().unwrap(), Some(10));
        forest.remove_post(10);
        assert_eq!(forest.next_to_read().unwrap(), Some(11));
        assert!(forest.holes().unwrap().is_empty());
    }

    #[test]
    fn of_equal_depths_more_comments_win_and_then_the_first_post() {
        let mut forest = Forest::default();
        for (post, comments) in [(10, 1), (11, 2), (12, 2)] {
            forest.add_post(post, comments);
            for number in 0..comments {
                forest.add_comment(Id::from(number) + post * 10, post, post);
            }
        }
        assert_eq!(forest.next_to_read().unwrap(), Some(11));
    }

    #[test]
    fn a_post_from_before_the_window_that_has_comments_is_named() {
        let mut forest = Forest::default();
        forest.add_post(5, 3);
        forest.add_post(6, 0);
        forest.add_post(30, 9);
        forest.add_comment(20, 5, 5);
        assert_eq!(forest.begun_before(), [5]);
    }

    #[test]
    fn a_circle_of_parents_is_an_error() {
        let mut forest = Forest::default();
        forest.add_post(10, 2);
        forest.add_comment(12, 13, 10);
        forest.add_comment(13, 12, 10);
        assert!(forest.holes().is_err());
        assert!(forest.next_to_read().is_err());
    }
}
