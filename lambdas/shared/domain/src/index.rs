//! The indexes of the table, which find states by keys.

/// An index of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Index {
    /// `PushesByRepository`: the pushes of a repository, or the deployments of an application, by time.
    Repository,
    /// `PushesByStatus`: the pushes of a [`Category`](crate::push_index::Category) and a day, or the deployments of a
    /// push, by time.
    Status,
    /// `PushesByCommit`: the pushes of a commit.
    Commit,
}

impl Index {
    /// Returns the index's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Repository => "PushesByRepository",
            Self::Status => "PushesByStatus",
            Self::Commit => "PushesByCommit",
        }
    }

    /// Returns the names of the attributes with its partition key and its sort key.
    #[must_use]
    pub fn attributes(self) -> [&'static str; 2] {
        match self {
            Self::Repository => ["gsi1pk", "gsi1sk"],
            Self::Status => ["gsi2pk", "gsi2sk"],
            Self::Commit => ["gsi3pk", "gsi3sk"],
        }
    }
}

/// Where an index has a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    /// The index.
    pub index: Index,
    /// The partition key.
    pub partition: String,
    /// The sort key.
    pub sort: String,
}
