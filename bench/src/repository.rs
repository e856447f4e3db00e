//! The repository that is measured, as a host serves it.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::peers;

/// A ref, and what it points to.
pub struct Tip {
    /// The ref's full name.
    pub ref_name: String,
    /// What it points to, a commit or an annotated tag.
    pub object: String,
    /// The commit that it leads to.
    pub commit: String,
}

/// The name of the repository of `folder`, after the folder.
pub fn name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".git").unwrap_or(&name).to_owned()
}

/// What `name` points to in the repository of `folder`, bare or not; the current branch if `None`.
pub fn tip(folder: &Path, name: Option<&str>) -> Result<Tip, Error> {
    let name = name.unwrap_or("HEAD");
    let ref_name = match line(folder, &["rev-parse", "--verify", "--symbolic-full-name", name])? {
        // Checked out by itself, the commit is on no branch.
        detached if detached == "HEAD" => "refs/heads/detached".to_owned(),
        full => full,
    };
    Ok(Tip {
        ref_name,
        object: line(folder, &["rev-parse", "--verify", name])?,
        commit: line(folder, &["rev-parse", "--verify", &format!("{name}^{{commit}}")])?,
    })
}

/// Makes a bare repository at `mirror` that has the ref of `tip` alone, and borrows the objects of `folder`.
pub fn create_mirror(folder: &Path, tip: &Tip, mirror: &Path) -> Result<(), Error> {
    let shared = line(
        folder,
        &["rev-parse", "--path-format=absolute", "--git-common-dir"],
    )?;
    let objects = PathBuf::from(shared).join("objects");
    let format = line(folder, &["rev-parse", "--show-object-format"])?;
    std::fs::create_dir_all(mirror).map_err(Error::io("make", mirror))?;
    line(mirror, &["init", "--quiet", "--bare", "--object-format", &format])?;
    let alternates = mirror.join("objects/info/alternates");
    std::fs::write(&alternates, format!("{}\n", objects.display()))
        .map_err(Error::io("write", &alternates))?;
    line(mirror, &["update-ref", &tip.ref_name, &tip.object]).map(drop)
}

fn line(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = peers::output(peers::git().arg("-C").arg(folder).args(arguments))?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}
