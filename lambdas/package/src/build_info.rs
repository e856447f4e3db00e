//! `build-info.json`: tells whoever unpacks the zip what it was made of. Nothing in it differs between two pushes of
//! the same commit to the same ref.

use domain::contract::{Author, FetchedCommit};
use domain::push::Push;
use serde::Serialize;

use crate::entry::{Content, ZipEntry};
use crate::error::Error;

/// The path of `build-info.json` in the zip.
pub const BUILD_INFO: &str = "build-info.json";

#[derive(Serialize)]
struct BuildInfo<'a> {
    repository: &'a str,
    #[serde(rename = "ref")]
    ref_name: &'a str,
    commit: &'a str,
    tree: &'a str,
    author: &'a Author,
    committed_at: String,
    subject: &'a str,
}

/// Returns the entry, or `None` if the repository has a file, link or folder whose name is the same on some file
/// system: the commit's own content takes precedence, and ours could be written through its link.
pub fn entry(push: &Push, fetched: &FetchedCommit, entries: &[ZipEntry]) -> Result<Option<ZipEntry>, Error> {
    if entries
        .iter()
        .any(|entry| tree::begins_with(&entry.path, BUILD_INFO.as_bytes()))
    {
        return Ok(None);
    }
    let mut json = serde_json::to_vec_pretty(&BuildInfo {
        repository: push.repository.as_str(),
        ref_name: push.ref_name.as_str(),
        commit: fetched.commit.as_str(),
        tree: fetched.tree.as_str(),
        author: &fetched.author,
        committed_at: fetched.committed_at.to_rfc3339(),
        subject: &fetched.subject,
    })?;
    json.push(b'\n');
    Ok(Some(ZipEntry {
        path: BUILD_INFO.as_bytes().to_vec(),
        content: Content::Generated(json),
    }))
}
