//! The build's output, as one zip.

use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::buildspec::Artifacts;
use crate::source::is_inside;

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A pattern is malformed.
    #[error("artifacts.files: {0}")]
    Pattern(#[from] globset::Error),
    /// The folder is not there.
    #[error("no matching base directory path found for: {0}")]
    NoFolder(String),
    /// No file matches.
    #[error("no matching artifact paths found")]
    NoFiles,
    /// A file's name cannot be stored.
    #[error("the artifact {0:?} has a name that is not UTF-8")]
    Name(PathBuf),
    /// A link leads outside the source's folder.
    #[error("the artifact {0:?} is a link that leads out of the source's folder")]
    Outside(PathBuf),
    /// A file cannot be read.
    #[error("the artifact {path:?} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The zip cannot be written.
    #[error("the zip of the artifacts cannot be written")]
    Zip(#[from] ZipError),
}

/// A zip that was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// How many files it has.
    pub files: usize,
}

/// Writes the files below `source` that `artifacts` names into a zip at `path`. Equal files give equal bytes.
///
/// A link to a file is stored as that file, and one to a folder is not followed.
///
/// # Errors
/// Returns an error if there is no such file, or one cannot be read.
pub(crate) fn pack(artifacts: &Artifacts, source: &Path, path: &Path) -> Result<Packed, Error> {
    let base_name = artifacts.base_directory.as_deref().unwrap_or(".");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let source = source.canonicalize().map_err(io(source))?;
    let base = is_inside(Path::new(base_name))
        .then(|| source.join(base_name).canonicalize().ok())
        .flatten()
        .filter(|base| base.starts_with(&source) && base.is_dir())
        .ok_or_else(|| Error::NoFolder(base_name.to_owned()))?;
    let patterns = patterns(&artifacts.files)?;
    let mut names = Vec::new();
    list(&base, Path::new(""), &mut names)?;
    names.retain(|name| patterns.is_match(name));
    if names.is_empty() {
        return Err(Error::NoFiles);
    }
    names.sort();
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path).map_err(io(path))?));
    for name in &names {
        let real = base.join(name).canonicalize().map_err(io(name))?;
        if !real.starts_with(&source) {
            return Err(Error::Outside(name.clone()));
        }
        let mut file = File::open(&real).map_err(io(name))?;
        let metadata = file.metadata().map_err(io(name))?;
        let options = SimpleFileOptions::default()
            .unix_permissions(metadata.permissions().mode() & 0o777)
            .large_file(metadata.len() >= u64::from(u32::MAX));
        let text = name.to_str().ok_or_else(|| Error::Name(name.clone()))?;
        zip.start_file(text, options)?;
        std::io::copy(&mut file, &mut zip).map_err(io(name))?;
    }
    let written = zip
        .finish()?
        .into_inner()
        .map_err(|error| io(path)(error.into_error()))?;
    drop(written);
    let mut hash = HashWriter(Sha256::new());
    std::io::copy(&mut File::open(path).map_err(io(path))?, &mut hash).map_err(io(path))?;
    Ok(Packed {
        sha256: hex::encode(hash.0.finalize()),
        files: names.len(),
    })
}

/// Parses patterns, in which only `**` goes into folders.
fn patterns(files: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in files {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// Lists the files of a folder and those below it.
fn list(base: &Path, folder: &Path, names: &mut Vec<PathBuf>) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(base.join(folder)).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = folder.join(entry.file_name());
        // Links, pipes and the like are what they lead to, or nothing.
        if entry.file_type().map_err(io)?.is_dir() {
            list(base, &name, names)?;
        } else if base.join(&name).is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// Hashes what is written to it.
struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use zip::ZipArchive;

    use super::*;

    fn scene() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("src");
        for (name, mode) in [
            ("out/a/run", 0o755),
            ("out/a/b/deep.txt", 0o644),
            ("out/.hidden", 0o600),
            ("top", 0o644),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        folder
    }

    /// Returns the names, modes and contents of the zip with these artifacts.
    fn packed(
        folder: &Path,
        base: Option<&str>,
        files: &[&str],
    ) -> Result<Vec<(String, u32, String)>, Error> {
        let artifacts = serde_json::json!({ "files": files, "base-directory": base });
        let artifacts: Artifacts = serde_json::from_value(artifacts).unwrap();
        let path = folder.join("output.zip");
        let packed = pack(&artifacts, &folder.join("src"), &path)?;
        let bytes = fs::read(&path).unwrap();
        assert_eq!(packed.sha256, hex::encode(Sha256::digest(&bytes)));
        // The same again.
        assert_eq!(pack(&artifacts, &folder.join("src"), &path)?, packed);
        let mut zip = ZipArchive::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(zip.len(), packed.files);
        let entries = (0..zip.len()).map(|index| {
            let mut entry = zip.by_index(index).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let name = String::from_utf8(entry.name_raw().to_vec()).unwrap();
            (name, entry.unix_mode().unwrap() & 0o777, text)
        });
        Ok(entries.collect())
    }

    fn names(folder: &Path, base: Option<&str>, files: &[&str]) -> Vec<String> {
        let packed = packed(folder, base, files).unwrap();
        packed.into_iter().map(|(name, ..)| name).collect()
    }

    #[test]
    fn files_are_chosen_by_patterns_below_the_base_directory() {
        let folder = scene();
        let folder = folder.path();
        let all = packed(folder, Some("out"), &["**/*"]).unwrap();
        let all: Vec<_> = all
            .iter()
            .map(|(name, mode, text)| (name.as_str(), *mode, text.as_str()))
            .collect();
        assert_eq!(
            all,
            [
                (".hidden", 0o600, "out/.hidden"),
                ("a/b/deep.txt", 0o644, "out/a/b/deep.txt"),
                ("a/run", 0o755, "out/a/run"),
            ]
        );
        assert_eq!(names(folder, Some("./out/"), &["a/*"]), ["a/run"]);
        assert_eq!(
            names(folder, None, &["./top", "out/a/**/*"]),
            ["out/a/b/deep.txt", "out/a/run", "top"]
        );
    }

    #[test]
    fn nothing_is_no_output() {
        let folder = scene();
        let folder = folder.path();
        let none = packed(folder, Some("out"), &["top"]).unwrap_err();
        assert_eq!(none.to_string(), "no matching artifact paths found");
        for base in ["missing", "top", "..", "/", "out/../.."] {
            let none = packed(folder, Some(base), &["**/*"]).unwrap_err();
            assert_eq!(
                none.to_string(),
                format!("no matching base directory path found for: {base}")
            );
        }
        assert!(matches!(
            packed(folder, None, &["[a"]).unwrap_err(),
            Error::Pattern(_)
        ));
    }

    #[test]
    fn a_link_is_stored_as_its_file_and_none_leads_outside() {
        let folder = scene();
        let out = folder.path().join("src/out");
        symlink("../top", out.join("link")).unwrap();
        symlink("a", out.join("folder")).unwrap();
        symlink("nothing", out.join("dangling")).unwrap();
        let all = packed(
            folder.path(),
            Some("out"),
            &["link", "folder", "folder/**", "dangling"],
        )
        .unwrap();
        assert_eq!(all, [("link".to_owned(), 0o644, "top".to_owned())]);
        symlink("/etc/hostname", out.join("outside")).unwrap();
        let refused = packed(folder.path(), Some("out"), &["*"]).unwrap_err();
        assert!(matches!(refused, Error::Outside(_)), "{refused}");
        symlink("..", folder.path().join("src/up")).unwrap();
        let refused = packed(folder.path(), Some("up"), &["*"]).unwrap_err();
        assert!(matches!(refused, Error::NoFolder(_)), "{refused}");
    }
}
