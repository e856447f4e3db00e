//! Finds the post of the past hours whose thread is deepest.
//!
//! Hacker News gives comments one by one, each by its number, which takes as many requests as there are comments. The
//! search gives a thousand at once, flat, and each names its parent. A post of the past h hours has only comments of
//! the past h hours, so these are asked for by slices of time ([`sweep`](mod@sweep)), and the threads are worked out
//! from the links ([`thread::Forest`]). Comments that are gone are not in the search: a parent that is missing is asked
//! for by its number. Before a thread is the answer, it is read whole.

mod error;
mod http;
mod plain;
mod source;
mod sweep;
mod tree;

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use thread::{Answer, DeepestComment, Examined, Forest, Hole, Hours, Id, Unanswered};

pub use error::FindError;
pub use http::HttpSource;
pub use source::{Hit, Item, Kind, Page, Slice, Source};
pub use sweep::MAX_SEARCHES;
pub use tree::Tree;

/// The most requests for single items at once.
const ITEMS_AT_ONCE: usize = 32;
/// The most items that are asked for one by one. A month has about 5,000.
const MAX_HOLES: usize = 30_000;
/// The most gone comments, one above another, that are asked for.
const MAX_ROUNDS: usize = 100;
/// The most threads that are read whole.
const MAX_TREES: usize = 100;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The length of the window.
    pub hours: Hours,
    /// The end of the window, in seconds since 1970.
    pub as_of: i64,
}

/// Answers the question.
///
/// # Errors
/// Returns a [`FindError`] if a source does not answer, or answers what cannot be.
pub async fn handle(source: &impl Source, question: Question) -> Result<Answer, FindError> {
    let mut search = Search {
        source,
        question,
        forest: Forest::default(),
        details: HashMap::new(),
        trees: 0,
        examined: Examined::default(),
    };
    search.sweep().await?;
    for post in search.forest.begun_before() {
        search.read_whole(post).await?;
    }
    search.fill_holes().await?;
    while let Some(post) = search.forest.next_to_read()? {
        if !search.read_whole(post).await? {
            break;
        }
    }
    search.answer()
}

/// One search for an answer.
struct Search<'a, S> {
    source: &'a S,
    question: Question,
    forest: Forest,
    /// What is known of each post that was read whole.
    details: HashMap<Id, tree::Details>,
    trees: usize,
    examined: Examined,
}

impl<S: Source> Search<'_, S> {
    /// Finds the posts and comments of the window.
    async fn sweep(&mut self) -> Result<(), FindError> {
        let to = self.question.as_of;
        let from = to - self.question.hours.seconds();
        let (hits, requests) = sweep::sweep(self.source, from, to).await?;
        for hit in hits {
            match hit {
                Hit::Post { id, comments, .. } => self.forest.add_post(id, comments),
                Hit::Comment { id, parent, post, .. } => self.forest.add_comment(id, parent, post),
            }
        }
        self.examined.requests += requests;
        (self.examined.posts, self.examined.comments) = self.forest.size();
        Ok(())
    }

    /// Asks for the parents that the search does not have, until each chain of them ends.
    async fn fill_holes(&mut self) -> Result<(), FindError> {
        for round in 0.. {
            let mut asked: Vec<_> = self.forest.holes()?.into_iter().collect();
            if asked.is_empty() {
                break;
            }
            let most = if round < MAX_ROUNDS {
                MAX_HOLES - self.examined.holes
            } else {
                0
            };
            for hole in asked.split_off(most.min(asked.len())) {
                self.forest.give_up(hole.id);
            }
            self.examined.holes += asked.len();
            self.examined.requests += asked.len();
            let source = self.source;
            let found: Vec<(Hole, Option<Item>)> = stream::iter(asked)
                .map(|hole| async move { Ok::<_, FindError>((hole, source.item(hole.id).await?)) })
                .buffer_unordered(ITEMS_AT_ONCE)
                .try_collect()
                .await?;
            let mut nowhere = BTreeSet::new();
            for (hole, item) in found {
                match item {
                    Some(item) => self.forest.fill(hole.id, item.parent),
                    None => {
                        nowhere.insert(hole.post);
                        self.forest.give_up(hole.id);
                    }
                }
            }
            // The whole thread has the comments that are known nowhere else.
            for post in nowhere {
                self.read_whole(post).await?;
            }
        }
        Ok(())
    }

    /// Reads a post's whole thread. Returns `false` if too many were read.
    async fn read_whole(&mut self, post: Id) -> Result<bool, FindError> {
        if self.trees == MAX_TREES {
            return Ok(false);
        }
        self.trees += 1;
        self.examined.requests += 1;
        match self.source.tree(post, self.question.as_of).await? {
            Some(tree) => {
                self.forest.read_whole(post, &tree.nodes)?;
                self.details.insert(post, tree.details);
            }
            None => self.forest.remove_post(post),
        }
        Ok(true)
    }

    fn answer(mut self) -> Result<Answer, FindError> {
        let mut unanswered: Vec<_> = self
            .forest
            .given_up()?
            .into_iter()
            .map(|Hole { id, post }| Unanswered::Parent { id, post })
            .collect();
        unanswered.extend(self.forest.next_to_read()?.map(|id| Unanswered::Thread { id }));
        let Question { hours, as_of } = self.question;
        let mut answer = Answer {
            as_of,
            hours,
            post: None,
            depth: 0,
            deepest_comment: None,
            path: vec![],
            thread: vec![],
            examined: self.examined,
            complete: unanswered.is_empty(),
            unanswered,
        };
        if let Some(standing) = self.forest.deepest_read() {
            answer.depth = standing.depth;
            answer.deepest_comment = standing.deepest.map(|id| DeepestComment {
                id,
                url: format!("https://news.ycombinator.com/item?id={id}"),
            });
            if let Some(details) = self.details.remove(&standing.post) {
                answer.post = Some(details.post);
                answer.path = details.path;
                answer.thread = details.thread;
            }
        }
        Ok(answer)
    }
}
