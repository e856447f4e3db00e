//! The transfer, in which libgit2 fetches into a new bare repository, which then has one pack.

use std::ffi::OsStr;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};

use aws::failure::chain;
use chrono::{DateTime, Utc};
use domain::contract::Author;
use domain::git::{CommitId, ObjectId};
use domain::plain;
use egress::{Reach, reach};
use git2::{Oid, Repository};
use reporter::ProgressReporter;
use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, FetchError};
use crate::changes::Difference;
use crate::error::Error;
use crate::progress::Progress;
use crate::request::{Base, Connection, FetchRequest};
use crate::{base, changes, libgit2, lineage};

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
    /// The file with the pack, whose index is beside it. It has no objects if the base has the commit already.
    pub pack: PathBuf,
    /// Why the base was not used, if it was not.
    pub base_unused: Option<String>,
    /// How the commit differs from the one that it was to be compared with, or `None` if there is none.
    pub difference: Option<Difference>,
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
    let whole = |name, from, to, depth| Way {
        name,
        from,
        to,
        depth,
        base: None,
    };
    let mut ways = vec![whole("exact", target.object.as_str(), LOCAL_REF, depth)];
    match &target.ref_name {
        Some(ref_name) if target.history => ways.push(whole("history", ref_name.as_str(), LOCAL_REF, 0)),
        Some(ref_name) => {
            ways.push(whole("tip", ref_name.as_str(), LOCAL_REF, 1));
            ways.push(whole("history", ref_name.as_str(), LOCAL_REF, 0));
        }
        None => ways.push(whole("branches", BRANCHES, LOCAL_BRANCHES, 0)),
    }
    let with_base = target.base.iter().flat_map(|base| {
        let of_one_commit = ways.iter().filter(|way| way.depth == 1);
        of_one_commit.map(|way| Way {
            base: Some(base),
            ..*way
        })
    });
    let mut refused = None;
    let mut base_unused = None;
    let mut is_put_aside = false;
    for way in with_base.chain(ways.iter().copied()) {
        connection.check_time()?;
        if way.base.is_some() && is_put_aside {
            continue;
        }
        if let (Some(base), None) = (&target.base, way.base) {
            // The disk may only have room for the whole commit.
            base::remove_packs(&base.packs);
        }
        let folder = connection.folder.join(way.name);
        let failed = match fetch_by(request, way, &folder, progress) {
            Ok(fetched) => {
                let base_unused = base_unused.filter(|_| way.base.is_none());
                return Ok(FetchedPack {
                    base_unused,
                    ..fetched
                });
            }
            Err(error) => error,
        };
        // The disk may only have room for one repository, and this one is of no use.
        let _ = std::fs::remove_dir_all(&folder);
        match failed {
            FetchError::Refused(error) if way.base.is_some() => {
                base_unused.get_or_insert(format!("the host refuses it: {}", error.message()));
            }
            // A whole fetch does not use the base, so an error because of the base leads to one.
            FetchError::Other(error) if way.base.is_some() && may_be_of_the_base(&error) => {
                base_unused.get_or_insert(chain(&error));
                is_put_aside = true;
            }
            FetchError::Refused(error) => refused = Some(error),
            FetchError::Other(Error::CommitNotFound { source, .. }) => refused = source,
            FetchError::Other(error) => return Err(error),
        }
    }
    Err(not_found(request, refused))
}

/// Returns whether a fetch without the base may do better: not if the host refuses the login, or says that the commit
/// is wrong.
fn may_be_of_the_base(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. }
            | Error::Silent { .. }
            | Error::CommitNotFound { .. }
            | Error::Died { .. }
            | Error::Invalid { .. }
            | Error::Workspace(_)
    )
}

/// One way to fetch.
#[derive(Clone, Copy)]
struct Way<'a> {
    /// The name of its folder.
    name: &'static str,
    from: &'a str,
    to: &'static str,
    depth: i32,
    base: Option<&'a Base>,
}

impl Way<'_> {
    /// Returns whether what the ref points to is fetched, and not what was asked for.
    fn is_of_ref(&self) -> bool {
        self.from.starts_with("refs/")
    }
}

fn fetch_by(
    request: &FetchRequest,
    way: Way<'_>,
    folder: &Path,
    progress: &ProgressReporter<Progress>,
) -> Result<FetchedPack, FetchError> {
    let target = &request.target;
    let attempt = Attempt::new(
        &request.connection,
        request.pack_bytes,
        progress,
        folder,
        way.base,
    )
    .map_err(FetchError::Other)?;
    let heads = attempt.fetch(way.from, way.to, way.depth)?;
    let shown = || heads.find(target.ref_name.as_ref()?, &target.object);
    // The base may have a commit that the host has no longer.
    if way.base.is_some() && way.is_of_ref() && shown().as_ref() != Some(&target.object) {
        return Err(FetchError::Other(not_found(request, None)));
    }
    let mut fetched = find(request, attempt.repository(), way.base).map_err(FetchError::Other)?;
    let pushed = &target.object;
    let ref_now = target.ref_name.as_ref().and_then(|name| heads.find(name, pushed));
    fetched.ref_now = match &target.ref_name {
        Some(ref_name) if target.on_ref => {
            let found = lineage::find_on_ref(&attempt, pushed, ref_name, ref_now);
            Some(found.map_err(FetchError::Other)?)
        }
        _ => ref_now,
    };
    let comparison = target.comparison.as_ref();
    fetched.difference = comparison.map(|comparison| {
        let ref_name = target.ref_name.as_ref();
        changes::compare(&attempt, comparison, &fetched.commit, ref_name)
    });
    fetched.bytes = attempt.received();
    Ok(fetched)
}

/// Prepares libgit2 for the only transfer of this process.
pub(crate) fn prepare(connection: &Connection) -> Result<(), Error> {
    check_addresses(connection)?;
    libgit2::ignore_configuration();
    libgit2::set_timeouts(connection.limits.silence_seconds).map_err(|source| Error::Invalid {
        url: connection.url(),
        source,
    })
}

/// Checks that the host's name does not resolve to a link-local or metadata address. The settings may allow a name that
/// does.
fn check_addresses(connection: &Connection) -> Result<(), Error> {
    let url = &connection.url;
    let host = url.host();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = host.unwrap_or(url.host());
    // Of a name that cannot be looked up, libgit2 says more.
    let addresses = (host, 0).to_socket_addrs().into_iter().flatten();
    let mut addresses = addresses.map(|address| address.ip());
    match addresses.find(|address| reach(*address) == Reach::Forbidden) {
        Some(address) => Err(Error::AddressNotAllowed {
            url: connection.url(),
            address,
        }),
        None => Ok(()),
    }
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

/// Describes the commit that was fetched, and checks that it is whole if some of it is in a base.
fn find(request: &FetchRequest, repository: &Repository, base: Option<&Base>) -> Result<FetchedPack, Error> {
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
    if base.is_some() {
        base::check_tree(repository, commit.tree_id())
            .map_err(|source| Error::Invalid { url: url(), source })?;
    }
    let packs = find_packs(repository.path())?;
    let [pack] = packs.as_slice() else {
        let text = format!("it became {} packs instead of one", packs.len());
        return Err(Error::Invalid {
            url: url(),
            source: git2::Error::from_str(&text),
        });
    };
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
        pack: pack.clone(),
        base_unused: None,
        difference: None,
        bytes: 0,
    })
}

/// Returns the packs of a repository that were fetched, without those of its base.
fn find_packs(repository: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = repository.join("objects").join("pack");
    let entries = std::fs::read_dir(folder).map_err(Error::Workspace)?;
    let mut packs = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::Workspace)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("pack-") && name.ends_with(".pack") {
            packs.push(path);
        }
    }
    Ok(packs)
}
