//! Fetches a commit as the difference from that of an earlier push. Whatever cannot be used of that is put aside, and the commit is
//! fetched whole.

use std::path::PathBuf;

use aws::failure::chain;
use aws::staging::{Staging, StorageError};
use domain::contract::{Base, BaseUse, StagedPack};
use futures::{StreamExt as _, TryStreamExt as _};
use remote::FetchedPack;

use crate::fetcher::Fetcher;
use crate::secret::GitSecret;

/// The most packs of a base. Each push adds one, and all are loaded for the next: after so many, the commit is fetched whole.
const MAX_PACKS: usize = 16;
/// How many objects are loaded at the same time.
const AT_ONCE: usize = 8;

/// What is offered to the git host.
pub struct Offer {
    /// The base, or why there is none. `None` if bases are off.
    base: Option<Result<Base, String>>,
    /// The files of its packs.
    packs: Vec<PathBuf>,
}

impl Offer {
    /// Nothing is offered, and nothing is left for the next pushes.
    pub const OFF: Self = Self {
        base: None,
        packs: Vec::new(),
    };

    /// Loads the packs of a base into the fetcher's repository. `base` may also be why there is none.
    pub async fn load<S: Staging>(fetcher: &Fetcher<'_, S>, base: Result<Base, String>) -> Self {
        let loaded = async {
            let base = base?;
            let packs = load(fetcher, &base).await?;
            Ok::<_, String>((base, packs))
        };
        match loaded.await {
            Ok((base, packs)) => Self {
                base: Some(Ok(base)),
                packs,
            },
            Err(reason) => Self {
                base: Some(Err(reason)),
                packs: Vec::new(),
            },
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

    /// Returns the base that was used, or why none was. `None` if bases are off.
    pub fn used(self, fetched: &FetchedPack, secret: &GitSecret) -> Option<BaseUse> {
        Some(match (self.base?, &fetched.base_unused) {
            (Err(reason), _) => BaseUse::WhyNot(reason),
            // A host may send back what it was sent.
            (Ok(_), Some(reason)) => BaseUse::WhyNot(secret.credentials().redact(reason)),
            (Ok(base), None) => BaseUse::Used(base),
        })
    }
}

/// Returns the files of the packs, or why they cannot be used.
async fn load<S: Staging>(fetcher: &Fetcher<'_, S>, base: &Base) -> Result<Vec<PathBuf>, String> {
    if base.packs.len() > MAX_PACKS {
        return Err(format!("its packs have piled up: {}", base.packs.len()));
    }
    let objects = base.packs.iter().flat_map(|staged| [&staged.pack, &staged.index]);
    let bytes: u64 = objects.map(|object| object.size).sum();
    if bytes > fetcher.limits.pack_bytes {
        return Err(format!("its packs have {bytes} bytes, more than pack_bytes"));
    }
    let mut packs = Vec::new();
    for number in 0..base.packs.len() {
        packs.push(
            fetcher
                .pack_path(&format!("base-{number}"))
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
