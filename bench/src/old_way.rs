//! The old way to make a zip of a push: a full clone with a checkout, whose folder is walked and zipped on one thread.
//!
//! Services such as aws-push-code and quickstart-git2s3 clone with libgit2, because a Lambda function has no git. A CI
//! step clones with git itself. Which one is faster depends on the repository.

use std::fs::File;
use std::io::BufWriter;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use git2::build::RepoBuilder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::error::Error;
use crate::measure::{self, Cost};
use crate::{folder, peers, stage};

/// What to clone, and where to.
#[derive(Debug, clap::Args)]
pub struct OldWayArgs {
    #[arg(value_enum)]
    cloner: Cloner,
    url: String,
    branch: String,
    /// Where the clone goes.
    folder: PathBuf,
    /// The zip to write.
    zip: PathBuf,
}

/// The program that clones.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Cloner {
    Git,
    Libgit2,
}

impl Cloner {
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Libgit2 => "libgit2",
        }
    }
}

/// Clones, walks and zips in a process of its own, with its files in `folder`.
pub fn run_apart(folder: &Path, cloner: Cloner, url: &str, branch: &str) -> Result<Cost, Error> {
    let (checkout, zip) = (folder.join("checkout"), folder.join("old-way.zip"));
    let mut command = stage::this_program()?;
    command
        .args(["old-way", cloner.name(), url, branch])
        .args([&checkout, &zip]);
    let cost = measure::run(&mut command, &folder.join("stderr"))?;
    folder::remove(&checkout)?;
    Ok(cost)
}

/// Clones, walks and zips.
pub fn run(args: &OldWayArgs) -> Result<(), Error> {
    match args.cloner {
        Cloner::Git => {
            let mut clone = peers::git();
            clone
                .args(["clone", "--quiet", "--branch", &args.branch, &args.url])
                .arg(&args.folder);
            peers::output(&mut clone)?;
        }
        Cloner::Libgit2 => {
            RepoBuilder::new()
                .branch(&args.branch)
                .clone(&args.url, &args.folder)?;
        }
    }
    let file = File::create(&args.zip).map_err(Error::io("write", &args.zip))?;
    let mut zip = ZipWriter::new(BufWriter::new(file));
    add(&mut zip, &args.folder, &args.folder, &args.zip)?;
    zip.finish().map_err(Error::zip(&args.zip))?;
    Ok(())
}

/// Adds the contents of `folder` except git's own folder.
fn add(
    zip: &mut ZipWriter<BufWriter<File>>,
    root: &Path,
    folder: &Path,
    zip_path: &Path,
) -> Result<(), Error> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        paths.push(entry.map_err(Error::io("list", folder))?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(root).unwrap_or(&path);
        if name == Path::new(".git") {
            continue;
        }
        // Names that are not UTF-8 are not measured.
        let name = String::from_utf8_lossy(name.as_os_str().as_bytes()).into_owned();
        let metadata = path.symlink_metadata().map_err(Error::io("read", &path))?;
        let options = SimpleFileOptions::default()
            .compression_level(Some(6))
            .unix_permissions(metadata.permissions().mode());
        let zipped = Error::zip(zip_path);
        if metadata.is_dir() {
            add(zip, root, &path, zip_path)?;
        } else if metadata.is_symlink() {
            let target = path.read_link().map_err(Error::io("read", &path))?;
            zip.add_symlink(name, target.to_string_lossy(), options)
                .map_err(zipped)?;
        } else {
            zip.start_file(name, options).map_err(zipped)?;
            let mut file = File::open(&path).map_err(Error::io("read", &path))?;
            std::io::copy(&mut file, zip).map_err(Error::io("zip", &path))?;
        }
    }
    Ok(())
}
