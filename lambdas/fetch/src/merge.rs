//! Makes one pack of several small ones.

use std::path::{Path, PathBuf};

use git2::{Oid, Repository, RepositoryInitOptions};

/// How many bytes the objects may have, all of which are inflated and packed again.
const MAX_BYTES: usize = 32 << 20;

/// Why packs are not merged.
#[derive(Debug, thiserror::Error)]
pub enum NotMerged {
    /// Their objects are too large.
    #[error("their objects have more than {MAX_BYTES} bytes")]
    Large,
    /// They cannot be read.
    #[error("{0}")]
    Git(#[from] git2::Error),
    /// They cannot be put together.
    #[error("{0}")]
    Workspace(#[from] std::io::Error),
}

/// Merges packs of `repository`, each of which has the bases of its deltas. Returns the new pack, which is put into the
/// repository as `name`, with its index.
pub fn merge(repository: &Path, packs: &[PathBuf], name: &str) -> Result<PathBuf, NotMerged> {
    let folder = tempfile::tempdir_in(repository)?;
    let alone = folder.path().join("merged.git");
    let mut init = RepositoryInitOptions::new();
    init.bare(true).external_template(false);
    let merged = Repository::init_opts(&alone, &init)?;
    for (number, pack) in packs.iter().enumerate() {
        let path = tree::pack_path(&alone, &number.to_string())?;
        for extension in ["pack", "idx"] {
            std::fs::hard_link(pack.with_extension(extension), path.with_extension(extension))?;
        }
    }
    let odb = merged.odb()?;
    let mut objects: Vec<Oid> = Vec::new();
    odb.foreach(|id| {
        objects.push(*id);
        true
    })?;
    // An object may be in several packs.
    objects.sort_unstable();
    objects.dedup();
    let mut builder = merged.packbuilder()?;
    builder.set_threads(1);
    let mut bytes = 0;
    for id in objects {
        bytes += odb.read_header(id)?.0;
        if bytes > MAX_BYTES {
            return Err(NotMerged::Large);
        }
        builder.insert_object(id, None)?;
    }
    builder.write(folder.path(), 0)?;
    let written = folder
        .path()
        .join(format!("pack-{}.pack", builder.name()?.unwrap_or_default()));
    let pack = tree::pack_path(repository, name)?;
    for extension in ["pack", "idx"] {
        std::fs::rename(written.with_extension(extension), pack.with_extension(extension))?;
    }
    Ok(pack)
}
