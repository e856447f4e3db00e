//! Installs pinned Python tools into private virtual environments in a cache folder.

mod error;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use shell::lock::{Lock, lock};
use shell::progress::Progress;
use shell::{IoError, process};

pub use error::Error;

/// The names under which Python may be installed, the best one first.
const PYTHONS: [&str; 7] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python",
];

/// A requirements file, for which there is one virtual environment.
#[derive(Debug)]
pub struct Requirements {
    /// The prefix of the virtual environment's name.
    pub name: &'static str,
    /// The file's path in the checkout.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
    /// What is installed, for people.
    pub about: &'static str,
}

impl Requirements {
    /// Returns the virtual environment in which all of them are installed, after installing them if they are not yet.
    ///
    /// # Errors
    /// Returns an error if there is no usable Python, or pip fails.
    pub async fn install(&self, progress: Progress) -> Result<PathBuf, Error> {
        install(self, &cache_folder(), progress).await
    }
}

/// Returns `$PUSH_CODE_CACHE`, or else `$XDG_CACHE_HOME/push-code`, or else `~/.cache/push-code`.
#[must_use]
pub fn cache_folder() -> PathBuf {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    variable("PUSH_CODE_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME").or_else(home)?.join("push-code")))
        .unwrap_or_else(|| std::env::temp_dir().join("push-code"))
}

/// Installs the requirements into a virtual environment below `cache`.
///
/// The virtual environment's folder is named by a hash of its requirements, so other requirements get another one. It
/// is created where it stays, because its scripts contain its path. A marker file says that it is complete, and a lock
/// keeps two processes from creating it at once.
async fn install(requirements: &Requirements, cache: &Path, progress: Progress) -> Result<PathBuf, Error> {
    let hash = hex::encode(Sha256::digest(requirements.text));
    let folder = cache.join(format!("{}-{}", requirements.name, &hash[..12]));
    if is_whole(&folder) {
        return Ok(folder);
    }
    std::fs::create_dir_all(cache).map_err(IoError::of("create", cache))?;
    let _lock = lock(&folder.with_extension("lock"), Lock::Exclusive, progress).await?;
    if is_whole(&folder) {
        return Ok(folder);
    }
    let step = progress.step(format!("Installing {}", requirements.about));
    let python = find_python().await?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(IoError::of("remove", &folder))?;
    }
    make_venv(&python, &folder).await?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirements.text).map_err(IoError::of("write", &list))?;
    let log = folder.with_extension("log");
    let mut pip = process::command(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        // The list is complete and names each file by its hash, so no dependency is resolved. The resolver would refuse
        // the packages of a requirement's extras, because only their versions are bounded there.
        "--require-hashes",
        "--no-deps",
        // Building a package would run code whose hash is not in the list.
        "--only-binary=:all:",
        "--requirement",
    ])
    .arg(&list);
    let run = process::run_logged(&mut pip, &log);
    let news = |log: &str| downloaded(requirements.text, log);
    if !process::watch(run, &log, &step.reporter(), news).await?.success() {
        return Err(Error::Pip {
            requirements: requirements.file,
            tail: process::tail(&log),
            log,
        });
    }
    let marker = marker(&folder);
    std::fs::write(&marker, "").map_err(IoError::of("write", &marker))?;
    step.done(&format!("Installed {}", requirements.about));
    Ok(folder)
}

/// Returns how many of the packages pip has reached, by its log.
fn downloaded(requirements: &str, log: &str) -> Option<String> {
    let all = requirements.lines().filter(|line| line.contains("==")).count();
    // pip ignores packages for other systems or versions of Python.
    let begins = ["Collecting ", "Ignoring "];
    let done = log
        .lines()
        .filter(|line| begins.iter().any(|begin| line.starts_with(begin)))
        .count();
    if log.contains("\nInstalling collected packages") {
        return Some(format!("all {all} packages are downloaded, and are unpacked"));
    }
    (done > 0).then(|| format!("{done} of {all} packages"))
}

fn marker(folder: &Path) -> PathBuf {
    folder.join("complete")
}

/// Returns whether all was installed, and the Python that it was made from still exists.
fn is_whole(folder: &Path) -> bool {
    marker(folder).exists() && folder.join("bin/python").exists()
}

async fn make_venv(python: &str, folder: &Path) -> Result<(), Error> {
    let output = process::command(python)
        .args(["-m", "venv"])
        .arg(folder)
        .output()
        .await
        .map_err(IoError::of("run", Path::new(python)))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::VenvMissing {
        python: python.to_owned(),
        detail: [output.stdout, output.stderr]
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("\n"),
    })
}

async fn find_python() -> Result<String, Error> {
    let mut found = "Python 3 was not found".to_owned();
    for name in PYTHONS {
        let asked = process::command(name)
            .args([
                "-c",
                "import sys; print(sys.version_info[0], sys.version_info[1])",
            ])
            .output()
            .await;
        let Some((major, minor)) = asked.ok().and_then(|output| parse_version(&output.stdout)) else {
            continue;
        };
        if major == 3 && (10..=14).contains(&minor) {
            return Ok(name.to_owned());
        }
        found = format!("{name} is Python {major}.{minor}, which the pinned tools do not support");
    }
    Err(Error::Python {
        found,
        tried: PYTHONS.join(", "),
    })
}

fn parse_version(output: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(output).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_python_is_parsed() {
        assert_eq!(parse_version(b"3 11\n"), Some((3, 11)));
        assert_eq!(parse_version(b""), None);
    }

    #[test]
    fn the_log_of_pip_says_how_many_packages_are_downloaded() {
        let requirements = "a==1 \\\n  --hash=x\nb==2\nc==3";
        let mut log = "Looking in indexes\n".to_owned();
        assert_eq!(downloaded(requirements, &log), None);
        log += "Ignoring a: markers don't match\nCollecting b==2 (from -r x)\n  Downloading b.whl\n";
        assert_eq!(downloaded(requirements, &log).as_deref(), Some("2 of 3 packages"));
        log += "Installing collected packages: b, c\n";
        assert!(
            downloaded(requirements, &log)
                .unwrap()
                .starts_with("all 3 packages")
        );
    }

    #[tokio::test]
    async fn a_file_without_a_hash_is_not_installed() {
        let cache = tempfile::tempdir().unwrap();
        let wheel = cache.path().join("example-1-py3-none-any.whl");
        std::fs::write(&wheel, "other").unwrap();
        let text = format!("example @ file://{}", wheel.display());
        let requirements = Requirements {
            name: "example",
            file: "example.txt",
            text: Box::leak(text.into_boxed_str()),
            about: "an example",
        };
        let error = install(&requirements, cache.path(), Progress::Silent)
            .await
            .unwrap_err();
        let Error::Pip { tail, .. } = error else {
            panic!("{error}")
        };
        assert!(tail.contains("--require-hashes"), "{tail}");
    }

    #[test]
    fn a_venv_without_its_marker_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::fs::write(folder.path().join("bin/python"), "").unwrap();
        assert!(!is_whole(folder.path()));
        std::fs::write(marker(folder.path()), "").unwrap();
        assert!(is_whole(folder.path()));
    }
}
