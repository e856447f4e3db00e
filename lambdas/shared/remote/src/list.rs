//! The refs of a repository, as `git ls-remote` lists them.

use domain::git::{ObjectId, RefName};
use git2::RemoteHead;
use reporter::ProgressReporter;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, FetchError};
use crate::error::Error;
use crate::request::ListRequest;
use crate::transfer;

/// A refspec that no ref matches, so that the host lists its refs and nothing is fetched. In this way a listing is
/// connected, logged in and judged as a fetch is.
const NOTHING: [&str; 2] = ["refs/push-code/nothing/*", "refs/push/nothing/*"];

/// What a host lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The refs.
    pub refs: Vec<ListedRef>,
    /// The branch that a clone checks out, or `None` if the host does not say.
    pub default_branch: Option<RefName>,
}

/// A ref, and what it points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRef {
    /// Its name.
    #[serde(rename = "ref")]
    pub name: RefName,
    /// The commit, or the object of an annotated tag.
    pub object: ObjectId,
    /// What an annotated tag is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_of: Option<ObjectId>,
}

impl ListedRef {
    /// Returns what the ref points to. Some hosts report the commit of an annotated tag and not the tag: then it is
    /// that, if it is what was reported.
    #[must_use]
    pub fn as_reported(&self, reported: Option<&ObjectId>) -> &ObjectId {
        match &self.tag_of {
            Some(commit) if reported == Some(commit) => commit,
            _ => &self.object,
        }
    }
}

/// Lists the refs of a repository. A name that is no ref's, such as `HEAD`, is left out.
///
/// # Errors
/// Returns an [`Error`] if the host does not list them, or lists too many.
pub fn list(request: &ListRequest) -> Result<Listing, Error> {
    let connection = &request.connection;
    transfer::prepare(connection)?;
    connection.check_time()?;
    let progress = ProgressReporter::silent();
    let attempt = Attempt::new(connection, 0, &progress, &connection.folder, None)?;
    let invalid = |source| Error::Invalid {
        url: connection.url(),
        source,
    };
    let [from, to] = NOTHING;
    let heads = attempt.fetch(from, to, 1).map_err(|error| match error {
        FetchError::Refused(source) => invalid(source),
        FetchError::Other(error) => error,
    })?;
    let default_branch = heads.default_branch();
    let heads = heads.list().map_err(invalid)?;
    if heads.len() > request.max_refs {
        return Err(Error::TooManyRefs {
            url: connection.url(),
            refs: heads.len(),
            limit: request.max_refs,
        });
    }
    let object = |head: &RemoteHead<'_>| head.oid().to_string().parse::<ObjectId>().ok();
    let mut refs: Vec<ListedRef> = Vec::with_capacity(heads.len());
    for head in heads {
        match (head.name().strip_suffix("^{}"), refs.last_mut()) {
            // What a tag is of follows the tag.
            (Some(name), Some(tag)) if tag.name.as_str() == name => tag.tag_of = object(head),
            _ => refs.extend(
                head.name()
                    .parse()
                    .ok()
                    .zip(object(head))
                    .map(|(name, object)| ListedRef {
                        name,
                        object,
                        tag_of: None,
                    }),
            ),
        }
    }
    Ok(Listing { refs, default_branch })
}
