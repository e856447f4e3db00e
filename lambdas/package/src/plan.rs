//! Decides what the zip will hold, by the commit's tree and the source's options.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use domain::contract::{Envelope, FetchedInput, FetchedSubmodule};
use domain::git::ObjectId;
use git2::{Oid, Repository};
use reporter::ProgressReporter;
use tree::{Attributes, ExportIgnoreFilter, Pointer, Rules, Tree};

use crate::build_info::{self, BUILD_INFO};
use crate::clone;
use crate::conversion::Converter;
use crate::entry::{self, Content, ZipEntry};
use crate::error::Error;
use crate::progress::Progress;

/// What the zip will hold.
pub struct Plan {
    /// The entries, sorted by the bytes of their paths.
    pub entries: Vec<ZipEntry>,
    pub converter: Converter,
    /// Warnings for the trail.
    pub warnings: Vec<String>,
    /// The LFS objects that the entries need, by the file that each is read from.
    pub lfs: HashMap<PathBuf, Pointer>,
}

/// Plans the zip of a push whose packs are in `folder/repository.git`. Writes the files that it makes into `folder`.
pub fn plan(
    envelope: &Envelope<FetchedInput>,
    folder: &Path,
    progress: &ProgressReporter<Progress>,
) -> Result<Plan, Error> {
    let input = &envelope.input;
    let options = &input.deliver.options;
    let repository = tree::open(&folder.join(REPOSITORY))?;
    let submodules = submodules(&input.fetched.submodules)?;
    let rules = Rules {
        limits: options.limits.tree(),
        symlinks: options.symlinks,
        submodules: &submodules,
    };
    let mut tree = tree::list(&repository, oid(&input.fetched.tree)?, &rules)?;
    let mut warnings = std::mem::take(&mut tree.warnings);
    let roots: Vec<Vec<u8>> = submodules.keys().cloned().collect();
    let attributes = options.attributes || options.lfs;
    let attributes =
        attributes.then(|| Attributes::read(&repository, &tree.entries, &roots, options.limits.tree()));
    let attributes = attributes.transpose()?;

    let mut pointers = HashMap::new();
    if let (true, Some(attributes)) = (options.lfs, &attributes) {
        pointers = self::pointers(&repository, &tree, attributes, &folder.join("lfs"))?;
    }
    let mut entries = entry::of(tree);
    if let (true, Some(attributes)) = (options.attributes, &attributes) {
        ExportIgnoreFilter::new(attributes).remove_from(&mut entries, |entry| &entry.path)?;
    }
    let lfs = replace_pointers(&mut entries, pointers);
    let mut converter = Converter::default();
    if let (true, Some(attributes)) = (options.attributes, &attributes) {
        let files = entries.iter_mut().filter_map(ZipEntry::conversion);
        converter = Converter::plan(&repository, envelope, attributes, &roots, files)?;
    }
    if options.build_info {
        match build_info::entry(&envelope.push, &input.fetched, &entries)? {
            Some(entry) => entries.push(entry),
            None => warnings.push(format!(
                "the repository has a {BUILD_INFO} of its own, which the zip holds instead of ours"
            )),
        }
    }
    if options.full_clone {
        entries.extend(clone::entries(
            &repository,
            envelope,
            &folder.join("clone"),
            progress,
        )?);
    }
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(Plan {
        entries,
        converter,
        warnings,
        lfs,
    })
}

/// The name of the repository in the folder of a plan.
pub const REPOSITORY: &str = "repository.git";

fn oid(id: &ObjectId) -> Result<Oid, tree::Error> {
    Oid::from_str(id.as_str()).map_err(tree::Error::Pack)
}

/// Returns the trees of the submodules, by their paths.
fn submodules(fetched: &[FetchedSubmodule]) -> Result<HashMap<Vec<u8>, Oid>, tree::Error> {
    fetched
        .iter()
        .map(|module| Ok((format!("{}/", module.path).into_bytes(), oid(&module.tree)?)))
        .collect()
}

/// Replaces LFS pointers by their objects. Returns the objects that are needed, by the file that each is read from.
fn replace_pointers(
    entries: &mut [ZipEntry],
    mut pointers: HashMap<Vec<u8>, (PathBuf, Pointer)>,
) -> HashMap<PathBuf, Pointer> {
    let mut needed = HashMap::new();
    for entry in entries {
        let Content::Blob { executable, .. } = entry.content else {
            continue;
        };
        if let Some((file, pointer)) = pointers.remove(&entry.path) {
            entry.content = Content::Disk {
                file: file.clone(),
                executable,
            };
            needed.insert(file, pointer);
        }
    }
    needed
}

/// Returns the LFS pointers by their paths, each with the file that its object is read from.
fn pointers(
    repository: &Repository,
    tree: &Tree,
    attributes: &Attributes,
    folder: &Path,
) -> Result<HashMap<Vec<u8>, (PathBuf, Pointer)>, Error> {
    let found = tree::pointers(repository, &tree.entries, attributes)?;
    Ok(found
        .into_iter()
        .map(|(entry, pointer)| (entry.path.clone(), (folder.join(pointer.oid.as_str()), pointer)))
        .collect())
}
