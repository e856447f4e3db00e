//! The transfer, in which libgit2 fetches into a new bare repository, which then has one pack.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use domain::contract::Author;
use domain::git::{CommitId, ObjectId};
use domain::plain;
use git2::{Oid, Repository};
use reporter::ProgressReporter;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, FetchError};
use crate::error::Error;
use crate::progress::Progress;
use crate::request::{Connection, FetchRequest};
use crate::{libgit2, lineage};

/// The local ref that a fetch writes.
const LOCAL_REF: &str = "refs/push/fetched";
/// All branches of the host, and the local refs that a fetch of them writes.
const BRANCHES: &str = "refs/heads/*";
const LOCAL_BRANCHES: &str = "refs/push/heads/*";
/// The longest subject, name of the author, and address of the author, in characters.
const MAX_TEXT_CHARACTERS: usize = 200;

/// The result of a fetch.
#[derive(Serialize, Deserialize)]
pub struct FetchedPack {
    /// The commit, which is the target itself, or the one that the tag is of.
    pub commit: CommitId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its author.
    pub author: Author,
    /// The time of the commit.
    pub committed_at: DateTime<Utc>,
    /// The first line of its message.
    pub subject: String,
    /// What the target's ref points to, or `None` if the host does not say.
    pub ref_now: Option<ObjectId>,
    /// The file with the pack.
    pub pack: PathBuf,
    /// The file with the pack's index.
    pub index: PathBuf,
    /// The number of bytes that the host has sent.
    pub bytes: u64,
}

/// Fetches into the request's folder.
///
/// If the host says that it serves objects by their id, as GitLab and GitHub do, exactly the object is fetched. From
/// any other host, and from one that refuses this id, the ref is fetched: first only its tip, which mostly is the
/// pushed object, then its whole history, which must contain the object. If no ref is known, all branches are fetched
/// instead.
///
/// # Errors
/// Returns an [`Error`] if the object cannot be fetched, or is not a commit or a tag of one.
pub fn fetch(request: &FetchRequest, progress: &ProgressReporter<Progress>) -> Result<FetchedPack, Error> {
    let (connection, target) = (&request.connection, &request.target);
    if target.object.as_str().len() == 64 {
        return Err(Error::Sha256 {
            url: connection.url(),
        });
    }
    prepare(connection)?;
    let depth = if target.history { 0 } else { 1 };
    let mut attempts = vec![("exact", target.object.as_str(), LOCAL_REF, depth)];
    match &target.ref_name {
        Some(ref_name) if target.history => attempts.push(("history", ref_name.as_str(), LOCAL_REF, 0)),
        Some(ref_name) => {
            attempts.push(("tip", ref_name.as_str(), LOCAL_REF, 1));
            attempts.push(("history", ref_name.as_str(), LOCAL_REF, 0));
        }
        None => attempts.push(("branches", BRANCHES, LOCAL_BRANCHES, 0)),
    }
    let mut refused = None;
    for (name, from, to, depth) in attempts {
        connection.check_time()?;
        let folder = connection.folder.join(name);
        let attempt = Attempt::new(connection, request.pack_bytes, progress, &folder)?;
        match attempt.fetch(from, to, depth) {
            Ok(heads) => match find(request, attempt.repository()) {
                Err(Error::CommitNotFound { source, .. }) => refused = source,
                Err(error) => return Err(error),
                Ok(mut fetched) => {
                    let ref_now = target.ref_name.as_ref().and_then(|name| heads.find(name));
                    fetched.ref_now = match &target.ref_name {
                        Some(ref_name) if target.on_ref => {
                            let pushed = &target.object;
                            Some(lineage::find_on_ref(&attempt, pushed, ref_name, ref_now)?)
                        }
                        _ => ref_now,
                    };
                    fetched.bytes = attempt.received();
                    return Ok(fetched);
                }
            },
            Err(FetchError::Refused(error)) => refused = Some(error),
            Err(FetchError::Other(error)) => return Err(error),
        }
        // The disk may only have room for one repository, and this one is of no use.
        let _ = std::fs::remove_dir_all(&folder);
    }
    Err(not_found(request, refused))
}

/// Prepares libgit2 for the only transfer of this process.
pub(crate) fn prepare(connection: &Connection) -> Result<(), Error> {
    libgit2::ignore_configuration();
    libgit2::set_timeouts(connection.limits.silence_seconds).map_err(|source| Error::Invalid {
        url: connection.url(),
        source,
    })
}

fn not_found(request: &FetchRequest, source: Option<git2::Error>) -> Error {
    let target = &request.target;
    Error::CommitNotFound {
        url: request.connection.url(),
        object: target.object.to_string(),
        from: target
            .ref_name
            .as_ref()
            .map_or_else(|| "any branch".to_owned(), ToString::to_string),
        source,
    }
}

/// Describes the commit that was fetched.
fn find(request: &FetchRequest, repository: &Repository) -> Result<FetchedPack, Error> {
    let url = || request.connection.url();
    let oid = Oid::from_str(request.target.object.as_str())
        .map_err(|source| Error::Invalid { url: url(), source })?;
    let object = repository
        .find_object(oid, None)
        .map_err(|source| not_found(request, Some(source)))?;
    let commit = object.peel_to_commit().map_err(|source| Error::NotACommit {
        url: url(),
        object: request.target.object.to_string(),
        source,
    })?;
    let author = commit.author();
    // The texts of a commit may have megabytes.
    let short = |bytes: &[u8]| plain(&String::from_utf8_lossy(bytes), MAX_TEXT_CHARACTERS);
    let id = |oid: Oid| {
        oid.to_string()
            .parse::<ObjectId>()
            .map_err(|error| Error::Invalid {
                url: url(),
                source: git2::Error::from_str(&error.to_string()),
            })
    };
    let (pack, index) = find_pack(repository.path())?;
    Ok(FetchedPack {
        commit: id(commit.id())?.into_commit(),
        tree: id(commit.tree_id())?,
        author: Author {
            name: short(author.name_bytes()),
            email: short(author.email_bytes()),
        },
        committed_at: DateTime::from_timestamp(commit.time().seconds(), 0).unwrap_or_default(),
        subject: short(commit.summary_bytes().unwrap_or_default()),
        ref_now: None,
        pack,
        index,
        bytes: 0,
    })
}

/// Returns the only pack of a repository, and its index.
fn find_pack(repository: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let folder = repository.join("objects").join("pack");
    let entries = std::fs::read_dir(&folder).map_err(Error::Workspace)?;
    let mut packs = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::Workspace)?.path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            packs.push(path);
        }
    }
    match packs.as_slice() {
        [pack] => Ok((pack.clone(), pack.with_extension("idx"))),
        packs => Err(Error::Workspace(std::io::Error::other(format!(
            "{} has {} packs instead of one",
            folder.display(),
            packs.len()
        )))),
    }
}
