//! A post's whole thread, as the search gives it: comments within comments.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use thread::{Excerpt, Id, Node, Post, Standing};

use crate::FindError;
use crate::plain::plain;

/// The most levels of a thread. The form of the answer nests, so a hostile one could be endless.
const MAX_LEVELS: usize = 1_000;
/// The most characters of all excerpts together, each at most six bytes of JSON. An execution's output has at most 256
/// KiB.
const MAX_TEXT: usize = 30_000;
/// The most characters of one excerpt.
const MAX_EXCERPT: usize = 800;

/// A thread that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// All its comments.
    pub nodes: Vec<Node>,
    pub(crate) details: Details,
}

/// What the answer says of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) post: Post,
    pub(crate) path: Vec<Id>,
    pub(crate) thread: Vec<Option<Excerpt>>,
}

/// A post or comment. One that is gone has a number and children only.
#[derive(Deserialize)]
struct Element<'a> {
    id: Id,
    created_at_i: Option<i64>,
    author: Option<String>,
    title: Option<String>,
    url: Option<String>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    // Not parsed before its turn, so that the depth of the JSON is no depth of calls.
    #[serde(borrow, default)]
    children: Vec<&'a RawValue>,
}

impl Tree {
    /// Parses the whole thread of `post`. Comments from `as_of` on are left out.
    ///
    /// # Errors
    /// Returns [`FindError::SearchChanged`] if it is not such a thread.
    pub fn parse(post: Id, json: &[u8], as_of: i64) -> Result<Self, FindError> {
        let top: Element<'_> = serde_json::from_slice(json).map_err(|error| malformed(post, &error))?;
        if top.id != post {
            return Err(FindError::SearchChanged(format!(
                "{} instead of the post {post}",
                top.id
            )));
        }
        let mut nodes = Vec::new();
        let mut comments = HashMap::new();
        let mut level: Vec<(Id, &RawValue)> = top.children.iter().map(|child| (post, *child)).collect();
        for _ in 0..MAX_LEVELS {
            let mut below = Vec::new();
            for (parent, child) in level {
                let child: Element<'_> =
                    serde_json::from_str(child.get()).map_err(|error| malformed(post, &error))?;
                let (id, written) = (child.id, child.created_at_i);
                let live = child.author.is_some() && written.is_some_and(|written| written < as_of);
                nodes.push(Node { id, parent, live });
                below.extend(child.children.iter().map(|below| (id, *below)));
                if live {
                    comments.insert(id, (child.author.unwrap_or_default(), child.text));
                }
            }
            level = below;
            if level.is_empty() {
                break;
            }
        }
        if !level.is_empty() {
            return Err(FindError::SearchChanged(format!(
                "the thread of {post} has more than {MAX_LEVELS} levels"
            )));
        }
        let (standing, path) = Standing::of(post, &nodes)?;
        let length = MAX_EXCERPT.min(MAX_TEXT / path.len().max(1));
        let thread = path.iter().map(|id| {
            let (by, text) = comments.remove(id)?;
            // `null` is no text.
            let text: Option<String> = text.and_then(|text| serde_json::from_str(text.get()).ok());
            let text = plain(&text.unwrap_or_default(), length);
            Some(Excerpt { by, text })
        });
        let thread = thread.collect();
        Ok(Self {
            nodes,
            details: Details {
                post: Post {
                    id: post,
                    title: top.title.unwrap_or_default(),
                    url: top.url.filter(|url| !url.is_empty()),
                    by: top.author.unwrap_or_default(),
                    time: top.created_at_i.unwrap_or_default(),
                    comments: standing.comments,
                },
                path,
                thread,
            },
        })
    }
}

fn malformed(post: Id, error: &serde_json::Error) -> FindError {
    FindError::SearchChanged(format!("the thread of {post} is malformed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = r#"{"id":1,"created_at_i":5,"author":"a","title":"T","url":"","type":"story","children":[
        {"id":2,"created_at_i":6,"author":"b","text":"<p>one","children":[
            {"id":3,"children":[{"id":4,"created_at_i":8,"author":"c","text":null,"children":[]}]},
            {"id":5,"created_at_i":100,"author":"late","children":[]}
        ]}]}"#;

    #[test]
    fn a_thread_has_its_gone_comments_and_none_that_are_newer() {
        let tree = Tree::parse(1, TREE.as_bytes(), 100).unwrap();
        let live: Vec<_> = tree
            .nodes
            .iter()
            .map(|node| (node.id, node.parent, node.live))
            .collect();
        assert_eq!(live, [(2, 1, true), (3, 2, false), (5, 2, false), (4, 3, true)]);
        assert_eq!(tree.details.path, [2, 3, 4]);
        assert_eq!(tree.details.post.comments, 2);
        assert_eq!(tree.details.post.url, None);
        let said = |by: &str, text: &str| {
            Some(Excerpt {
                by: by.to_owned(),
                text: text.to_owned(),
            })
        };
        assert_eq!(tree.details.thread, [said("b", "one"), None, said("c", "")]);
    }

    #[test]
    fn a_deep_thread_is_read_and_an_endless_one_is_an_error() {
        let nested = |levels: usize| {
            let mut json = r#"{"id":1,"children":["#.to_owned();
            for level in 0..levels {
                json += &format!(
                    r#"{{"id":{},"author":"a","created_at_i":1,"children":["#,
                    level + 2
                );
            }
            json + &"]}".repeat(levels + 1)
        };
        let tree = Tree::parse(1, nested(500).as_bytes(), 9).unwrap();
        assert_eq!(tree.details.path.len(), 500);
        let error = Tree::parse(1, nested(MAX_LEVELS + 1).as_bytes(), 9).unwrap_err();
        assert!(error.to_string().contains("1000 levels"), "{error}");
    }

    #[test]
    fn a_thread_that_is_another_or_malformed_or_circular_is_an_error() {
        for json in [
            r#"{"id":2,"children":[]}"#,
            r#"{"id":1,"children":[{"children":[]}]}"#,
            r#"{"id":1,"children":"#,
            "[]",
            "",
        ] {
            let error = Tree::parse(1, json.as_bytes(), 9).unwrap_err();
            assert!(matches!(error, FindError::SearchChanged(_)), "{json}: {error}");
        }
        let twice = r#"{"id":1,"children":[{"id":2,"author":"a","created_at_i":1,"children":[{"id":2,"author":"a","created_at_i":1}]}]}"#;
        let error = Tree::parse(1, twice.as_bytes(), 9).unwrap_err();
        assert!(matches!(error, FindError::ThreadCyclic(_)), "{error}");
    }

    #[test]
    fn excerpts_of_a_long_thread_are_short_enough_for_an_executions_output() {
        let mut json = r#"{"id":1,"children":["#.to_owned();
        for level in 0..300 {
            let text = "\u{10348}".repeat(300);
            json += &format!(
                r#"{{"id":{},"author":"a","created_at_i":1,"text":"{text}","children":["#,
                level + 2
            );
        }
        json += &"]}".repeat(301);
        let tree = Tree::parse(1, json.as_bytes(), 9).unwrap();
        let bytes: usize = tree
            .details
            .thread
            .iter()
            .flatten()
            .map(|said| said.text.len())
            .sum();
        assert!(bytes <= 4 * (MAX_TEXT + 300), "{bytes}");
    }
}
