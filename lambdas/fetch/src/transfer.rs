//! The transfer: libgit2 fetches into a new bare repository, which then holds one pack.

use std::path::{Path, PathBuf};
use std::sync::Once;

use chrono::{DateTime, Utc};
use domain::contract::Author;
use domain::git::{CommitId, ObjectId};
use domain::plain;
use domain::source::CONNECT_SECONDS;
use git2::{ConfigLevel, Oid, Repository};
use platform::progress::Teller;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, Failed};
use crate::error::Error;
use crate::lineage;
use crate::order::Order;
use crate::transfer_progress::Progress;

/// The local ref that a fetch writes.
const LOCAL_REF: &str = "refs/push/fetched";
/// All branches of the host, and the local refs that a fetch of them writes.
const BRANCHES: &str = "refs/heads/*";
const LOCAL_BRANCHES: &str = "refs/push/heads/*";
/// The longest subject, and the author's longest name and address, in characters.
const TEXT_CHARACTERS: usize = 200;

/// What was fetched.
#[derive(Serialize, Deserialize)]
pub struct Found {
    pub commit: CommitId,
    pub tree: ObjectId,
    pub author: Author,
    pub committed_at: DateTime<Utc>,
    pub subject: String,
    pub ref_now: Option<ObjectId>,
    pub pack: PathBuf,
    pub index: PathBuf,
    /// The bytes that the host has sent.
    pub bytes: u64,
}

/// Fetches into the order's folder.
///
/// First exactly the object, where the host says that it gives objects by their id, as GitLab and GitHub do. Any other
/// host, and one that refuses this id, is asked for the ref: first for its tip alone, which mostly is what was pushed,
/// then with its history, where the object must be. Where no ref is known all branches are asked for.
pub fn fetch(order: &Order, progress: &Teller<Progress>) -> Result<Found, Error> {
    let wanted = &order.wanted;
    if wanted.object.as_str().len() == 64 {
        return Err(Error::Sha256 {
            url: wanted.url.to_string(),
        });
    }
    prepare_libgit2(order)?;
    let depth = if wanted.history { 0 } else { 1 };
    let mut attempts = vec![("exact", wanted.object.as_str(), LOCAL_REF, depth)];
    match &wanted.ref_name {
        Some(ref_name) if wanted.history => attempts.push(("history", ref_name.as_str(), LOCAL_REF, 0)),
        Some(ref_name) => {
            attempts.push(("tip", ref_name.as_str(), LOCAL_REF, 1));
            attempts.push(("history", ref_name.as_str(), LOCAL_REF, 0));
        }
        None => attempts.push(("branches", BRANCHES, LOCAL_BRANCHES, 0)),
    }
    let mut refused = None;
    for (name, from, to, depth) in attempts {
        order.check_time()?;
        let attempt = Attempt::new(order, progress, &order.folder.join(name))?;
        match attempt.fetch(from, to, depth) {
            Ok(ref_now) => match find(order, attempt.repository()) {
                Err(Error::CommitNotFound { source, .. }) => refused = source,
                Err(error) => return Err(error),
                Ok(mut found) => {
                    found.ref_now = match &wanted.ref_name {
                        Some(ref_name) if wanted.on_ref => {
                            Some(lineage::find_on_ref(&attempt, ref_name, ref_now)?)
                        }
                        _ => ref_now,
                    };
                    found.bytes = attempt.received();
                    return Ok(found);
                }
            },
            Err(Failed::Refused(error)) => refused = Some(error),
            Err(Failed::Other(error)) => return Err(error),
        }
        // What it has fetched is of no use, and there is room for one such.
        let _ = std::fs::remove_dir_all(order.folder.join(name));
    }
    Err(not_found(order, refused))
}

fn not_found(order: &Order, source: Option<git2::Error>) -> Error {
    let wanted = &order.wanted;
    Error::CommitNotFound {
        url: wanted.url.to_string(),
        object: wanted.object.to_string(),
        from: wanted
            .ref_name
            .as_ref()
            .map_or_else(|| "any branch".to_owned(), ToString::to_string),
        source,
    }
}

/// Lets libgit2 read no configuration of the system or the user, in this process. A `url.insteadOf` must not send the
/// credentials elsewhere, and what is in such a file must not decide what comes of a push.
pub fn ignore_configuration() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use ConfigLevel::{Global, ProgramData, System, XDG};
        for level in [System, Global, XDG, ProgramData] {
            #[expect(
                unsafe_code,
                reason = "libgit2 has no other way; it is set before libgit2 is used"
            )]
            // Where this fails there are no such files.
            let _ = unsafe { git2::opts::set_search_path(level, "") };
        }
    });
}

/// libgit2's timeouts are the process's, not a connection's: this one fetches one commit.
fn prepare_libgit2(order: &Order) -> Result<(), Error> {
    ignore_configuration();
    let milliseconds = |seconds: u64| i32::try_from(seconds.saturating_mul(1_000)).unwrap_or(i32::MAX);
    #[expect(
        unsafe_code,
        reason = "libgit2 has no other way; nothing else uses it while these are set"
    )]
    let set = unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(milliseconds(CONNECT_SECONDS)).and_then(|()| {
            git2::opts::set_server_timeout_in_milliseconds(milliseconds(order.limits.silence_seconds))
        })
    };
    set.map_err(|source| Error::Invalid {
        url: order.wanted.url.to_string(),
        source,
    })
}

/// Finds the commit in what was fetched.
fn find(order: &Order, repository: &Repository) -> Result<Found, Error> {
    let url = || order.url();
    let oid = Oid::from_str(order.wanted.object.as_str())
        .map_err(|source| Error::Invalid { url: url(), source })?;
    let object = repository
        .find_object(oid, None)
        .map_err(|source| not_found(order, Some(source)))?;
    let commit = object.peel_to_commit().map_err(|source| Error::NotACommit {
        url: url(),
        object: order.wanted.object.to_string(),
        source,
    })?;
    let author = commit.author();
    // A commit's texts may have megabytes.
    let short = |bytes: &[u8]| plain(&String::from_utf8_lossy(bytes), TEXT_CHARACTERS);
    let id = |oid: Oid| {
        oid.to_string()
            .parse::<ObjectId>()
            .map_err(|error| Error::Invalid {
                url: url(),
                source: git2::Error::from_str(&error.to_string()),
            })
    };
    let (pack, index) = find_pack(repository.path())?;
    Ok(Found {
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

/// The one pack of a repository that was fetched once.
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
