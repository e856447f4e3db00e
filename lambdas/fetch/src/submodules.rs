//! Fetches the submodules of a commit, and theirs.

use std::collections::{HashMap, VecDeque};

use aws::staging::Staging;
use domain::contract::{Deliver, FetchedSubmodule, StagedPack};
use domain::git::ObjectId;
use domain::policy;
use domain::remote_url::{RemoteUrl, without_login};
use domain::source::{GitHost, Limits};
use remote::{Target, gitmodules};
use tree::{Attributes, Content, ExportIgnoreFilter};

use crate::base::{Offer, Pile};
use crate::error::Error;
use crate::fetcher::Fetcher;
use crate::last::Last;
use crate::listing::{Listing, blocking};

const GITMODULES: &[u8] = b".gitmodules";
/// The largest `.gitmodules`, in bytes.
const MAX_GITMODULES_BYTES: usize = 1 << 20;
/// If there are more submodules than this, none of them begins from those of an earlier push: the packs of all are
/// named in one event.
const MAX_BASES: usize = 32;

/// Which submodules are fetched, and how.
pub struct Sources<'a> {
    pub deliver: &'a Deliver,
    /// The push from whose submodules these begin, or why there is none. `None` if bases are off.
    pub earlier: Option<&'a Result<Last, String>>,
}

/// A tree whose submodules are to be fetched.
struct Parent {
    /// Its path from the pushed commit's root; empty, or with a slash at its end.
    path: String,
    url: RemoteUrl,
    tree: ObjectId,
    /// How many submodules it is within.
    depth: u64,
}

/// A submodule as its parent's tree and `.gitmodules` record it.
struct Recorded {
    /// Its path from the pushed commit's root, without a slash at its end.
    path: String,
    /// Its URL, as it is written in `.gitmodules`.
    url: String,
    commit: ObjectId,
}

/// Fetches the submodules of `tree`, which is in the repository `url`, and theirs.
pub async fn fetch<S: Staging>(
    fetcher: &mut Fetcher<'_, S>,
    sources: Sources<'_>,
    url: RemoteUrl,
    tree: ObjectId,
) -> Result<Vec<FetchedSubmodule>, Error> {
    let mut fetched: Vec<FetchedSubmodule> = Vec::new();
    // The submodule that already has a commit, by URL and id.
    let mut known = HashMap::new();
    let mut parents = VecDeque::from([Parent {
        path: String::new(),
        url,
        tree,
        depth: 0,
    }]);
    while let Some(parent) = parents.pop_front() {
        let recorded = recorded(fetcher, &parent, sources.deliver.options.attributes).await?;
        let count = fetched.len() + recorded.len();
        check_limits(fetcher.limits, &parent, count, &recorded)?;
        let earlier = sources.earlier.filter(|_| count <= MAX_BASES);
        for submodule in recorded {
            let path = submodule.path.clone();
            let within = |error| Error::Submodule {
                path: path.clone(),
                source: Box::new(error),
            };
            let url = resolve(sources.deliver, &parent.url, &submodule.url).map_err(within)?;
            let key = (url.clone(), submodule.commit.clone());
            let next = match known.get(&key) {
                Some(&index) => {
                    let same: &FetchedSubmodule = &fetched[index];
                    FetchedSubmodule {
                        path: submodule.path,
                        ..same.clone()
                    }
                }
                None => {
                    let number = known.len() + 1;
                    known.insert(key, fetched.len());
                    one(fetcher, (earlier, sources.deliver), &url, submodule, number)
                        .await
                        .map_err(within)?
                }
            };
            parents.push_back(Parent {
                path: format!("{}/", next.path),
                url,
                tree: next.tree.clone(),
                depth: parent.depth + 1,
            });
            fetched.push(next);
        }
    }
    Ok(fetched)
}

/// Fetches one submodule, which is the `number`th.
async fn one<S: Staging>(
    fetcher: &mut Fetcher<'_, S>,
    (earlier, deliver): (Option<&Result<Last, String>>, &Deliver),
    url: &RemoteUrl,
    submodule: Recorded,
    number: usize,
) -> Result<FetchedSubmodule, Error> {
    let name = format!("submodules/{number}");
    let offer = match earlier {
        None => Offer::OFF,
        Some(earlier) => {
            let base = earlier.as_ref().map_err(String::clone);
            let base = base.and_then(|last| last.submodule_base(&submodule.path, url, deliver));
            Offer::load(fetcher, &name, base, Pile::SUBMODULE).await
        }
    };
    let target = Target {
        object: submodule.commit,
        ref_name: None,
        on_ref: false,
        history: false,
        comparison: None,
        base: offer.for_transfer(),
    };
    let fetched = fetcher.fetch(url, target).await?;
    let (StagedPack { pack, index }, base) = offer.stage(fetcher, &fetched, &name).await?;
    Ok(FetchedSubmodule {
        path: submodule.path,
        url: url.clone(),
        commit: fetched.commit,
        tree: fetched.tree,
        pack,
        index,
        base,
    })
}

fn resolve(deliver: &Deliver, parent: &RemoteUrl, text: &str) -> Result<RemoteUrl, Error> {
    let list = |items: &[&str]| items.join(", ");
    let url =
        policy::submodule_url(&deliver.git_hosts, parent, text).ok_or_else(|| Error::HostNotAllowed {
            url: without_login(text),
            allowed: list(&deliver.git_hosts.iter().map(GitHost::as_str).collect::<Vec<_>>()),
        })?;
    if policy::submodule_is_allowed(&deliver.submodule_repositories, &url)? {
        return Ok(url);
    }
    Err(Error::RepositoryNotAllowed {
        url: url.into(),
        allowed: list(
            &deliver
                .submodule_repositories
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        ),
    })
}

fn check_limits(limits: &Limits, parent: &Parent, count: usize, recorded: &[Recorded]) -> Result<(), Error> {
    let limit = |limit, reason| {
        Err(Error::Limit {
            url: parent.url.to_string(),
            limit,
            reason,
        })
    };
    if count as u64 > limits.submodules {
        return limit(
            "submodules",
            format!("the commit has more than {} submodules", limits.submodules),
        );
    }
    match recorded.first() {
        Some(submodule) if parent.depth >= limits.submodule_depth => limit(
            "submodule_depth",
            format!("{} is within {} submodules", submodule.path, parent.depth),
        ),
        _ => Ok(()),
    }
}

async fn recorded<S: Staging>(
    fetcher: &Fetcher<'_, S>,
    parent: &Parent,
    attributes: bool,
) -> Result<Vec<Recorded>, Error> {
    let repository = fetcher.repository();
    let (tree, path, limits) = (parent.tree.clone(), parent.path.clone(), fetcher.limits.tree());
    blocking(move || {
        let listing = Listing::read(&repository, &tree, limits)?;
        let attributes = attributes.then(|| listing.attributes(limits)).transpose()?;
        read(&listing, attributes.as_ref(), &path)
    })
    .await
}

/// Returns the submodules of the tree at `path`, without those that its attributes leave out.
fn read(listing: &Listing, attributes: Option<&Attributes>, path: &str) -> Result<Vec<Recorded>, Error> {
    let mut left_out = attributes.map(ExportIgnoreFilter::new);
    let mut submodules = Vec::new();
    for entry in &listing.tree.entries {
        let Content::Submodule { commit } = entry.content else {
            continue;
        };
        let left_out = match &mut left_out {
            Some(left_out) => left_out.has(&entry.path)?,
            None => false,
        };
        if !left_out {
            submodules.push((entry.path.strip_suffix(b"/").unwrap_or(&entry.path), commit));
        }
    }
    if submodules.is_empty() {
        return Ok(Vec::new());
    }
    let modules = read_gitmodules(listing)?;
    let mut recorded = Vec::new();
    for (below, commit) in submodules {
        let full = [path.as_bytes(), below].concat();
        let invalid = |reason: String| Error::SubmoduleInvalid {
            path: tree::lossy(&full),
            reason,
        };
        let url = match modules.get(below) {
            Some(module) if module.left_out => continue,
            Some(module) => module.url.clone(),
            None => None,
        };
        recorded.push(Recorded {
            path: String::from_utf8(full.clone()).map_err(|_| invalid("its path is not UTF-8".to_owned()))?,
            url: url.ok_or_else(|| invalid(".gitmodules has no URL for it".to_owned()))?,
            commit: commit
                .to_string()
                .parse()
                .map_err(|error: domain::Invalid| invalid(error.to_string()))?,
        });
    }
    Ok(recorded)
}

fn read_gitmodules(listing: &Listing) -> Result<HashMap<Vec<u8>, gitmodules::Submodule>, Error> {
    let invalid = |reason: String| Error::SubmoduleInvalid {
        path: tree::lossy(GITMODULES),
        reason,
    };
    match listing.file(GITMODULES, MAX_GITMODULES_BYTES)? {
        Ok(Some(text)) => gitmodules::parse(&text).map_err(|reason| invalid(reason.to_owned())),
        Ok(None) => Ok(HashMap::new()),
        Err(size) => Err(invalid(format!(
            "it has {size} bytes, more than {MAX_GITMODULES_BYTES}"
        ))),
    }
}
