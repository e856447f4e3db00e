//! The checkout of Push Code whose stack is run, and the folder `.push-code/` in it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use shell::private;

use crate::Error;
use crate::application::Application;

/// The files of the whole workspace that every application is built from.
const WORKSPACE: [&str; 3] = ["Cargo.lock", "Cargo.toml", "rust-toolchain.toml"];

/// Where this program was built, or `None` for the one of a release, which runs on machines where others may have that
/// folder.
const BUILT_IN: Option<&str> = match option_env!("PUSH_CODE_RELEASE") {
    Some(_) => None,
    None => Some(env!("CARGO_MANIFEST_DIR")),
};

/// A checkout of Push Code.
#[derive(Debug, Clone)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Returns the checkout that contains the current folder, or else the one that this program was built from.
    ///
    /// # Errors
    /// Returns [`Error::NoCheckout`] if there is neither.
    pub fn find() -> Result<Self, Error> {
        let here = std::env::current_dir().map_err(Error::io("find", Path::new(".")))?;
        Self::find_from(here, BUILT_IN.map(Path::new))
    }

    /// Returns the checkout that contains the folder `here`, or else the one that contains the folder `built_in`.
    fn find_from(here: PathBuf, built_in: Option<&Path>) -> Result<Self, Error> {
        let root = here
            .ancestors()
            .chain(built_in.into_iter().flat_map(Path::ancestors))
            .find(|folder| folder.join("template.yaml").is_file() && folder.join("lambdas").is_dir());
        match root {
            Some(root) => Ok(Self {
                root: root.to_owned(),
            }),
            None => Err(Error::NoCheckout(here)),
        }
    }

    /// Returns its top folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of this command's own files, which git ignores, and which only its owner may enter.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn folder(&self) -> Result<PathBuf, Error> {
        let folder = self.root.join(".push-code");
        private::create_folder(&folder)?;
        Ok(folder)
    }

    /// Returns the path of an application's template.
    #[must_use]
    pub fn template(&self, application: &Application) -> PathBuf {
        self.root.join(application.template)
    }

    /// Returns the folder of an application's template, in which `sam` runs.
    #[must_use]
    pub fn template_folder(&self, application: &Application) -> PathBuf {
        let folder = Path::new(application.template).parent().unwrap_or(Path::new(""));
        self.root.join(folder)
    }

    /// Returns a hash of all that the application is built from.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub fn fingerprint(&self, application: &Application) -> Result<String, Error> {
        let mut hash = Sha256::new();
        for input in WORKSPACE.iter().chain(application.sources) {
            hash_tree(&mut hash, &self.root, Path::new(input))?;
        }
        Ok(hex::encode(hash.finalize()))
    }
}

/// Hashes names and contents, in the order of the names. A file that does not exist has no contents.
fn hash_tree(hash: &mut Sha256, root: &Path, relative: &Path) -> Result<(), Error> {
    let path = root.join(relative);
    if path.is_dir() {
        let mut names = std::fs::read_dir(&path)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(Error::io("read", &path))?;
        names.sort();
        for name in names
            .iter()
            .filter(|name| *name != "target" && *name != ".aws-sam")
        {
            hash_tree(hash, root, &relative.join(name))?;
        }
    } else if path.exists() {
        let content = std::fs::read(&path).map_err(Error::io("read", &path))?;
        hash.update(relative.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(content.len().to_be_bytes());
        hash.update(content);
    }
    Ok(())
}

/// Reads a JSON file of this command's own. Returns `None` if it does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::State {
                path: path.to_owned(),
                source,
            }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Writes a JSON file that only its owner may read, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let io = |error| Error::io("write", path)(error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    serde_json::to_writer_pretty(&mut file, value).map_err(|error| io(error.into()))?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::PUSH_CODE;

    fn checkout() -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        std::fs::create_dir_all(root.join("lambdas/fetch/src")).unwrap();
        std::fs::write(root.join("lambdas/fetch/src/lib.rs"), "one").unwrap();
        std::fs::write(root.join("template.yaml"), "two").unwrap();
        (folder, Checkout { root })
    }

    #[test]
    fn a_checkout_is_the_one_around_this_folder_or_the_one_that_the_program_was_built_in() {
        let (folder, checkout) = checkout();
        let root = checkout.root.as_path();
        let elsewhere = tempfile::tempdir().unwrap();
        let found = |here: &Path, built_in: Option<&Path>| Checkout::find_from(here.to_owned(), built_in);
        let (inside, built_in) = (root.join("lambdas/fetch"), root.join("cli"));
        assert_eq!(found(&inside, None).unwrap().root, root);
        assert_eq!(found(elsewhere.path(), Some(&built_in)).unwrap().root, root);
        let (_other, second) = self::checkout();
        assert_eq!(found(root, Some(second.root())).unwrap().root, root);
        for built_in in [None, Some(elsewhere.path())] {
            let error = found(elsewhere.path(), built_in).unwrap_err();
            assert!(
                matches!(&error, Error::NoCheckout(here) if here == elsewhere.path()),
                "{error}"
            );
        }
        drop(folder);
    }

    #[test]
    fn a_fingerprint_changes_with_names_and_contents_of_what_is_built() {
        let (_folder, checkout) = checkout();
        let first = checkout.fingerprint(&PUSH_CODE).unwrap();
        assert_eq!(checkout.fingerprint(&PUSH_CODE).unwrap(), first);
        std::fs::write(checkout.root.join("README.md"), "not built").unwrap();
        assert_eq!(checkout.fingerprint(&PUSH_CODE).unwrap(), first);

        std::fs::write(checkout.root.join("lambdas/fetch/src/lib.rs"), "other").unwrap();
        let second = checkout.fingerprint(&PUSH_CODE).unwrap();
        assert_ne!(second, first);
        std::fs::rename(
            checkout.root.join("lambdas/fetch/src/lib.rs"),
            checkout.root.join("lambdas/fetch/src/main.rs"),
        )
        .unwrap();
        assert_ne!(checkout.fingerprint(&PUSH_CODE).unwrap(), second);
    }

    #[test]
    fn a_json_file_is_read_as_it_was_written_and_only_by_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), None);
        write_json(&path, &vec![1, 2]).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), Some(vec![1, 2]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o77, 0);
        std::fs::write(&path, "{").unwrap();
        assert!(
            read_json::<Vec<u8>>(&path)
                .unwrap_err()
                .to_string()
                .contains("state.json")
        );
    }
}
