//! The repository that is measured, in the form in which a host serves it.

use std::path::{Path, PathBuf};

use domain::git::without_dot_git;

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

/// Returns the name of the repository in `folder`, which is that of the folder.
pub fn name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    without_dot_git(&name).to_owned()
}

/// Returns what `name`, or else the current branch, points to in the repository of `folder`, which may be bare.
pub fn tip(folder: &Path, name: Option<&str>) -> Result<Tip, Error> {
    let name = name.unwrap_or("HEAD");
    let ref_name = match line(folder, &["rev-parse", "--verify", "--symbolic-full-name", name])? {
        // If HEAD is detached, the commit is on no branch.
        detached if detached == "HEAD" => "refs/heads/detached".to_owned(),
        full => full,
    };
    Ok(Tip {
        ref_name,
        object: line(folder, &["rev-parse", "--verify", name])?,
        commit: line(folder, &["rev-parse", "--verify", &format!("{name}^{{commit}}")])?,
    })
}

/// Creates a bare repository at `mirror` that has only the ref of `tip`, and borrows the objects of `folder`.
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

/// Returns the last commits that lead to the tip by first parents, the oldest first.
pub fn last_commits(folder: &Path, tip: &Tip, count: u32) -> Result<Vec<String>, Error> {
    let most = format!("--max-count={count}");
    let listed = line(folder, &["rev-list", "--first-parent", &most, &tip.commit])?;
    let mut commits: Vec<_> = listed.lines().map(str::to_owned).collect();
    commits.reverse();
    Ok(commits)
}

/// Has a ref of a mirror point to a commit.
pub fn move_ref(mirror: &Path, ref_name: &str, commit: &str) -> Result<(), Error> {
    line(mirror, &["update-ref", ref_name, commit]).map(drop)
}

fn line(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = peers::output(peers::git().arg("-C").arg(folder).args(arguments))?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}
