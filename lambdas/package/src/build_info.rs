//! `build-info.json`: what the zip was made of, for whoever unpacks it. It has nothing in it that differs between two
//! pushes of the same commit to the same ref.

use domain::contract::{Author, FetchedCommit};
use domain::push::Push;
use serde::Serialize;

use crate::entry::{Content, Entry};
use crate::error::Error;

/// Its path in the zip.
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

/// The entry; none where the repository has a file, link or folder of that name, on some file system at least: the commit's
/// own content comes first, and ours would be written through its link.
pub fn entry(push: &Push, fetched: &FetchedCommit, entries: &[Entry]) -> Result<Option<Entry>, Error> {
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
    Ok(Some(Entry {
        path: BUILD_INFO.as_bytes().to_vec(),
        content: Content::Made(json),
    }))
}
