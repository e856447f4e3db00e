//! Posts and comments.

use std::collections::{BTreeMap, HashMap};

use crate::Id;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A link or a text.
    Story,
    /// A poll.
    Poll,
    /// A job, which has no comments.
    Job,
    /// A comment.
    Comment,
}

/// Whether readers see an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They do.
    Live,
    /// It is flagged.
    Dead,
    /// It is deleted.
    Deleted,
    /// It is deleted, and the API of single items does not know it.
    Unknown,
}

/// A post or a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Whether readers see it.
    pub state: State,
    /// When it was made, in seconds since 1970. A post's time may be set anew.
    pub time: i64,
    /// What it replies to. `None` if it is a post.
    pub parent: Option<Id>,
    /// The post that a comment was written for, even if it was moved since.
    pub written_for: Id,
}

/// All posts and comments.
#[derive(Debug, Clone, Default)]
pub struct World {
    items: BTreeMap<Id, Item>,
}

impl World {
    /// Adds a live post.
    pub fn post(&mut self, id: Id, time: i64) {
        self.add(id, Kind::Story, time, None);
    }

    /// Adds a post or a job.
    pub fn post_of(&mut self, kind: Kind, id: Id, time: i64) {
        self.add(id, kind, time, None);
    }

    /// Adds a live comment.
    pub fn comment(&mut self, id: Id, parent: Id, time: i64) {
        self.add(id, Kind::Comment, time, Some(parent));
    }

    fn add(&mut self, id: Id, kind: Kind, time: i64, parent: Option<Id>) {
        let item = Item {
            kind,
            state: State::Live,
            time,
            parent,
            written_for: parent.map_or(id, |parent| self.root(parent)),
        };
        self.items.insert(id, item);
    }

    /// Sets whether readers see an item.
    pub fn set(&mut self, id: Id, state: State) {
        if let Some(item) = self.items.get_mut(&id) {
            item.state = state;
        }
    }

    /// Sets a post's time anew.
    pub fn set_time(&mut self, id: Id, time: i64) {
        if let Some(item) = self.items.get_mut(&id) {
            item.time = time;
        }
    }

    /// Moves a comment, with all comments below it, below another item that is not below it.
    pub fn move_below(&mut self, id: Id, parent: Id) {
        if let Some(item) = self.items.get_mut(&id) {
            item.parent = Some(parent);
        }
    }

    /// Returns all items, in the order of their numbers.
    pub fn items(&self) -> impl Iterator<Item = (Id, &Item)> {
        self.items.iter().map(|(id, item)| (*id, item))
    }

    /// Returns an item.
    #[must_use]
    pub fn item(&self, id: Id) -> Option<&Item> {
        self.items.get(&id)
    }

    /// Returns the post that an item is below.
    #[must_use]
    pub fn root(&self, mut id: Id) -> Id {
        while let Some(parent) = self.items.get(&id).and_then(|item| item.parent) {
            id = parent;
        }
        id
    }

    /// Returns the replies of each item, in the order of their numbers.
    #[must_use]
    pub fn replies(&self) -> HashMap<Id, Vec<Id>> {
        let mut replies: HashMap<Id, Vec<Id>> = HashMap::new();
        for (id, item) in self.items() {
            if let Some(parent) = item.parent {
                replies.entry(parent).or_default().push(id);
            }
        }
        replies
    }
}

impl Item {
    /// Returns whether readers see it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Returns whether it is a story or a poll.
    #[must_use]
    pub fn is_post(&self) -> bool {
        matches!(self.kind, Kind::Story | Kind::Poll)
    }
}
