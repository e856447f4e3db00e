//! The folders that builds run in.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use shell::private;

/// The folders of builds. Builds of a project that run one after the other have the same folder: compilers such as
/// cargo recognize what they have built by its path.
#[derive(Debug)]
pub(crate) struct Folders {
    root: PathBuf,
}

/// The folder of one build, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked, so that no other build takes the folder, nor one of another process.
    lock: File,
}

impl Folders {
    /// Returns the folders below `root`, which must be an absolute path without links.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns an empty folder for a build of `project`.
    ///
    /// # Errors
    /// Returns an error if it cannot be created, or if what an earlier build has left cannot be removed.
    pub fn take(&self, project: &str) -> io::Result<Folder> {
        let mut number = 0_u32;
        let (path, lock) = loop {
            let path = self.root.join(format!("{project}-{number}"));
            let lock = private::create_file(&path.with_extension("lock")).map_err(io::Error::other)?;
            match lock.try_lock() {
                Ok(()) => break (path, lock),
                Err(TryLockError::WouldBlock) => number += 1,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        };
        let folder = Folder { path, lock };
        match fs::remove_dir_all(&folder.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private::create_folder(&folder.path).map_err(io::Error::other)?;
        for name in ["src", "home", "tmp"] {
            fs::create_dir(folder.join(name))?;
        }
        Ok(folder)
    }
}

impl Folder {
    /// Returns the path of what is called `name` in it. `src` is for the source, `home` and `tmp` are the build's own.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the folder of the source.
    pub fn source(&self) -> PathBuf {
        self.join("src")
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is removed before the next build.
        let _ = fs::remove_dir_all(&self.path);
        // Not by closing it alone: a process that is being started has the open file too, until its program begins.
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_that_run_at_once_have_folders_of_their_own_and_later_ones_the_same() {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::new(root.path().to_owned());
        let first = folders.take("project").unwrap();
        let path = first.source();
        fs::write(path.join("left"), "").unwrap();
        let second = folders.take("project").unwrap();
        assert_ne!(second.source(), path);
        drop(first);
        assert!(!path.exists());
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("left"), "").unwrap();
        let third = folders.take("project").unwrap();
        assert_eq!(third.source(), path);
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }
}
