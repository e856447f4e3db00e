//! Fetches a commit as the difference from that of an earlier push. Whatever cannot be used of that is put aside, and
//! the commit is fetched whole.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws::failure::chain;
use aws::staging::{Staging, StorageError};
use domain::contract::{Base, BaseUse, StagedPack};
use futures::{StreamExt as _, TryStreamExt as _};
use remote::FetchedPack;

use crate::error::Error;
use crate::fetcher::Fetcher;
use crate::listing::blocking;
use crate::merge::merge;

/// How many objects are loaded at the same time.
const AT_ONCE: usize = 8;
/// A pack that has more bytes than this is not merged with others.
const MERGED_BYTES: u64 = 4 << 20;

/// The most characters of why a base was not used, which may be what a host says.
const MAX_REASON_CHARACTERS: usize = 300;

/// How many packs may pile up. Each push adds one, and all are loaded for the next.
#[derive(Debug, Clone, Copy)]
pub struct Pile {
    /// How many small packs the base has when they are merged with what the push adds.
    merged: usize,
    /// The most packs of a base. If there are more, of which most are not small ones, the commit is fetched whole.
    limit: usize,
}

impl Pile {
    /// That of a commit.
    pub const COMMIT: Self = Self { merged: 8, limit: 16 };
    /// That of a submodule. All packs of all submodules are named in one event.
    pub const SUBMODULE: Self = Self { merged: 1, limit: 2 };
}

/// What is offered to the git host.
pub struct Offer {
    /// The base, or why there is none. `None` if bases are off.
    base: Option<Result<Base, String>>,
    /// The files of its packs.
    packs: Vec<PathBuf>,
    pile: Pile,
}

impl Offer {
    /// Nothing is offered, and nothing is left for the next pushes.
    pub const OFF: Self = Self {
        base: None,
        packs: Vec::new(),
        pile: Pile::COMMIT,
    };

    /// Loads the packs of a base into the fetcher's repository, for the commit that is staged as `name`. `base` may
    /// also be why there is none.
    pub async fn load<S: Staging>(
        fetcher: &mut Fetcher<'_, S>,
        name: &str,
        base: Result<Base, String>,
        pile: Pile,
    ) -> Self {
        let loaded = async {
            let base = base?;
            let packs = load(fetcher, name, &base, pile).await?;
            Ok::<_, String>((base, packs))
        };
        let (base, packs) = match loaded.await {
            Ok((base, packs)) => (Ok(base), packs),
            Err(reason) => (Err(reason), Vec::new()),
        };
        Self {
            base: Some(base),
            packs,
            pile,
        }
    }

    /// Returns what the transfer needs of it.
    pub fn for_transfer(&self) -> Option<remote::Base> {
        let base = self.base.as_ref()?.as_ref().ok()?;
        Some(remote::Base {
            commit: base.commit.clone(),
            packs: self.packs.clone(),
        })
    }

    /// Stages what was fetched as `name`. Returns the pack, and the base that was used with the packs that are needed
    /// besides, or why none was. The latter is `None` if bases are off.
    pub async fn stage<S: Staging>(
        self,
        fetcher: &Fetcher<'_, S>,
        fetched: &FetchedPack,
        name: &str,
    ) -> Result<(StagedPack, Option<BaseUse>), Error> {
        let reason = match (self.base, &fetched.base_unused) {
            (None, _) => return Ok((fetcher.stage(&fetched.pack, name, false).await?, None)),
            (Some(Ok(mut base)), None) => {
                let pack =
                    stage_with(fetcher, &fetched.pack, name, &mut base, &self.packs, self.pile).await?;
                return Ok((pack, Some(BaseUse::Used(base))));
            }
            (Some(Err(reason)), _) => reason,
            // A host may send back what it was sent.
            (Some(Ok(_)), Some(reason)) => fetcher.secret.credentials().redact(reason),
        };
        let reason = domain::plain(&reason, MAX_REASON_CHARACTERS);
        let pack = fetcher.stage(&fetched.pack, name, true).await?;
        Ok((pack, Some(BaseUse::WhyNot(reason))))
    }
}

/// Stages a pack that was fetched with a base, of which `packs` are the files. Leaves to the base the packs that are
/// needed besides.
async fn stage_with<S: Staging>(
    fetcher: &Fetcher<'_, S>,
    pack: &Path,
    name: &str,
    base: &mut Base,
    packs: &[PathBuf],
    pile: Pile,
) -> Result<StagedPack, Error> {
    // The base has the commit already.
    if is_empty(pack).map_err(Error::Workspace)? && !base.packs.is_empty() {
        return Ok(base.packs.remove(0));
    }
    // The oldest one has most of the tree, and stays as it is.
    let newer = base.packs.len().saturating_sub(1);
    let is_small = |number: &usize| base.packs[*number].pack.size <= MERGED_BYTES;
    let small: Vec<_> = (0..newer).filter(is_small).collect();
    if small.len() < pile.merged {
        return fetcher.stage(pack, name, true).await;
    }
    let files = small.iter().map(|number| packs[*number].clone());
    let files: Vec<_> = std::iter::once(pack.to_owned()).chain(files).collect();
    let (repository, merged_name) = (fetcher.repository(), format!("merged-{}", name.replace('/', "-")));
    match blocking(move || Ok(merge(&repository, &files, &merged_name))).await? {
        Ok(merged) => {
            for number in small.into_iter().rev() {
                base.packs.remove(number);
            }
            fetcher.stage(&merged, name, true).await
        }
        Err(reason) => {
            tracing::warn!(%reason, "packs are not merged");
            fetcher.stage(pack, name, true).await
        }
    }
}

/// Returns whether a pack has no objects. The number of them ends its header, by gitformat-pack(5).
fn is_empty(pack: &Path) -> std::io::Result<bool> {
    let mut header = [0; 12];
    std::fs::File::open(pack)?.read_exact(&mut header)?;
    Ok(header[8..] == [0; 4])
}

/// Returns the files of the packs, or why they cannot be used.
async fn load<S: Staging>(
    fetcher: &mut Fetcher<'_, S>,
    name: &str,
    base: &Base,
    pile: Pile,
) -> Result<Vec<PathBuf>, String> {
    if base.packs.len() > pile.limit {
        return Err(format!("its packs have piled up: {}", base.packs.len()));
    }
    let objects = base.packs.iter().flat_map(|staged| [&staged.pack, &staged.index]);
    let bytes: u64 = objects.map(|object| object.size).sum();
    if !fetcher.may_load(bytes) {
        return Err(format!(
            "its packs have {bytes} bytes, and those of all bases may have a quarter of pack_bytes"
        ));
    }
    let name = name.replace('/', "-");
    let mut packs = Vec::new();
    for number in 0..base.packs.len() {
        packs.push(
            fetcher
                .pack_path(&format!("base-{name}-{number}"))
                .map_err(|error| chain(&error))?,
        );
    }
    let one = async |(staged, pack): (&StagedPack, &PathBuf)| {
        fetcher.staging.load(&staged.pack, pack).await?;
        fetcher
            .staging
            .load(&staged.index, &pack.with_extension("idx"))
            .await
    };
    let loads: Vec<_> = base.packs.iter().zip(&packs).map(one).collect();
    let loaded: Result<(), StorageError> = futures::stream::iter(loads).buffered(AT_ONCE).try_collect().await;
    if let Err(error) = loaded {
        remote::remove_packs(&packs);
        return Err(chain(&error));
    }
    Ok(packs)
}
