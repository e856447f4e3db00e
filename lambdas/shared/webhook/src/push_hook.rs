//! A push as tests and `push-code local push` describe it, to send the webhook of any kind of git host.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The id that git hosts write if there is no object.
pub(crate) const ZEROS: &str = "0000000000000000000000000000000000000000";

/// Returns the id, or zeros.
pub(crate) fn or_zeros(id: Option<&str>) -> &str {
    id.unwrap_or(ZEROS)
}

/// A push of one ref, as a git host reports it.
#[derive(Debug, Clone)]
pub struct PushHook {
    /// The repository's path, such as `group/project`.
    pub repository: String,
    /// The URL to clone it by HTTP.
    pub git_http_url: String,
    /// The URL to clone it by SSH.
    pub git_ssh_url: String,
    /// The full name of the ref.
    pub ref_name: String,
    /// What the ref pointed to before, or `None` if the push created it.
    pub before: Option<String>,
    /// The commit or annotated tag that the ref points to now, or `None` if the push deleted it.
    pub after: Option<String>,
    /// The commit that the ref leads to.
    pub commit: Option<String>,
    /// The last commits that came with the push, oldest first.
    pub commits: Vec<Commit>,
    /// How many commits came with the push.
    pub total_commits: usize,
    /// Who pushed.
    pub user: Person,
}

/// A commit of a [`PushHook`].
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Its message.
    pub message: String,
    /// Its time.
    pub timestamp: DateTime<Utc>,
    /// Its author.
    pub author: Person,
}

/// A name and an e-mail address.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl PushHook {
    /// Returns whether the ref is a tag.
    pub(crate) fn is_tag(&self) -> bool {
        self.ref_name.starts_with("refs/tags/")
    }

    /// Returns the name of the branch or tag.
    pub(crate) fn short_name(&self) -> &str {
        self.ref_name.splitn(3, '/').nth(2).unwrap_or_default()
    }

    /// Returns the name by which hosts know the user.
    pub(crate) fn username(&self) -> &str {
        self.user.email.split('@').next().unwrap_or_default()
    }
}

/// Returns a push of `ref_name` that creates it.
#[cfg(any(test, feature = "samples"))]
#[must_use]
pub fn sample(ref_name: &str) -> PushHook {
    let person = Person {
        name: "A".to_owned(),
        email: "a@example.com".to_owned(),
    };
    PushHook {
        repository: "group/sub/project".to_owned(),
        git_http_url: "http://127.0.0.1:4567/group/sub/project.git".to_owned(),
        git_ssh_url: "git@127.0.0.1:group/sub/project.git".to_owned(),
        ref_name: ref_name.to_owned(),
        before: None,
        after: Some("a".repeat(40)),
        commit: Some("b".repeat(40)),
        commits: vec![Commit {
            id: "b".repeat(40),
            message: "first\n\nmore".to_owned(),
            timestamp: DateTime::UNIX_EPOCH,
            author: person.clone(),
        }],
        total_commits: 1,
        user: person,
    }
}
