//! The `.git` folder of a full clone: the ref with its history, so that git works where the zip is unpacked.
//!
//! The history is packed anew, by one thread and in an order that the commits determine, because a git host sends a
//! different pack each time.

use std::path::Path;

use domain::contract::{Envelope, FetchedCommit, FetchedInput};
use domain::push::Push;
use git2::{Index, Oid, PackBuilderStage, Repository, Sort};
use reporter::ProgressReporter;

use crate::build_info::BUILD_INFO;
use crate::entry::{Content, ZipEntry};
use crate::error::Error;
use crate::progress::Progress;

/// The most memory for the objects that deltas are searched in, in bytes.
const WINDOW_BYTES: i64 = 256 << 20;

/// Makes the files of the `.git` folder in `folder`, and returns their entries.
pub fn entries(
    repository: &Repository,
    envelope: &Envelope<FetchedInput>,
    folder: &Path,
    progress: &ProgressReporter<Progress>,
) -> Result<Vec<ZipEntry>, Error> {
    let fetched = &envelope.input.fetched;
    std::fs::create_dir_all(folder).map_err(Error::Workspace)?;
    let pushed = envelope
        .push
        .after
        .as_ref()
        .map_or(fetched.commit.as_str(), |id| id.as_str());
    let oid = |id: &str| Oid::from_str(id).map_err(Error::Clone);
    let (pushed, commit, tree) = (
        oid(pushed)?,
        oid(fetched.commit.as_str())?,
        oid(fetched.tree.as_str())?,
    );

    let name = pack(repository, pushed, commit, folder, progress)?;
    write_index(repository, tree, &folder.join("index"))?;

    let made = |path: &str, text: String| ZipEntry {
        path: format!(".git/{path}").into_bytes(),
        content: Content::Generated(text.into_bytes()),
    };
    let disk = |path: String, file: &str| ZipEntry {
        path: format!(".git/{path}").into_bytes(),
        content: Content::Disk {
            file: folder.join(file),
            executable: false,
        },
    };
    let pack = format!("pack-{name}.pack");
    let index = format!("pack-{name}.idx");
    Ok(vec![
        made("HEAD", head(&envelope.push, commit)),
        made("config", config(&envelope.push, fetched)),
        made("info/exclude", format!("/{BUILD_INFO}\n")),
        made("packed-refs", packed_refs(&envelope.push, pushed, commit)),
        disk("index".to_owned(), "index"),
        disk(format!("objects/pack/{pack}"), &pack),
        disk(format!("objects/pack/{index}"), &index),
        // git takes a folder for a repository only if it has this subfolder.
        ZipEntry {
            path: b".git/refs/".to_vec(),
            content: Content::Folder,
        },
    ])
}

/// Packs everything that is reachable from `pushed`. Returns the name of the pack.
fn pack(
    repository: &Repository,
    pushed: Oid,
    commit: Oid,
    folder: &Path,
    progress: &ProgressReporter<Progress>,
) -> Result<String, Error> {
    // The objects that are compared are held in memory, which a few large files of a history would exhaust.
    let configured = repository
        .config()
        .and_then(|mut config| config.set_i64("pack.windowMemory", WINDOW_BYTES));
    configured.map_err(Error::Clone)?;
    let mut builder = repository.packbuilder().map_err(Error::Clone)?;
    // Several threads would divide the work by chance, and the deltas would differ each time.
    builder.set_threads(1);
    let set = builder.set_progress_callback(|stage, objects, total| {
        progress.report(|| match stage {
            PackBuilderStage::AddingObjects => Progress::Listing {
                objects: objects.into(),
            },
            PackBuilderStage::Deltafication => Progress::Packing {
                objects: objects.into(),
                total: total.into(),
            },
        });
        true
    });
    set.map_err(Error::Clone)?;
    let mut walk = repository.revwalk().map_err(Error::Clone)?;
    let walked = walk
        .set_sorting(Sort::TOPOLOGICAL | Sort::TIME)
        .and_then(|()| walk.push(commit))
        .and_then(|()| builder.insert_walk(&mut walk));
    walked.map_err(Error::Clone)?;
    // The tag objects between the ref and the commit.
    let mut object = repository.find_object(pushed, None).map_err(Error::Clone)?;
    while let Some(tag) = object.as_tag() {
        builder.insert_object(tag.id(), None).map_err(Error::Clone)?;
        object = tag.target().map_err(Error::Clone)?;
    }
    builder.write(folder, 0o644).map_err(Error::Clone)?;
    let name = builder.name().map_err(Error::Clone)?;
    name.map(ToOwned::to_owned)
        .ok_or_else(|| Error::Clone(git2::Error::from_str("the pack has no name")))
}

/// Writes an index without times and sizes. git compares the files' contents once, and then fills them in.
fn write_index(repository: &Repository, tree: Oid, path: &Path) -> Result<(), Error> {
    let written = Index::open(path).and_then(|mut index| {
        index.read_tree(&repository.find_tree(tree)?)?;
        index.write()
    });
    written.map_err(Error::Clone)
}

fn head(push: &Push, commit: Oid) -> String {
    let name = push.ref_name.as_str();
    if name.starts_with("refs/heads/") {
        format!("ref: {name}\n")
    } else {
        format!("{commit}\n")
    }
}

fn config(push: &Push, fetched: &FetchedCommit) -> String {
    // A URL has no quotes. A ref name may have quotes, `#` and `;`, but no backslash and no line end.
    let mut text = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
        [remote \"origin\"]\n\turl = \"{}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        fetched.url
    );
    if let Some(branch) = push.ref_name.as_str().strip_prefix("refs/heads/") {
        let branch = branch.replace('"', "\\\"");
        text += &format!("[branch \"{branch}\"]\n\tremote = origin\n\tmerge = \"refs/heads/{branch}\"\n");
    }
    text
}

fn packed_refs(push: &Push, pushed: Oid, commit: Oid) -> String {
    let name = push.ref_name.as_str();
    let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    text += &format!("{pushed} {name}\n");
    if pushed != commit {
        text += &format!("^{commit}\n");
    }
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        text += &format!("{pushed} refs/remotes/origin/{branch}\n");
    }
    text
}
