//! The commit that a release is made of.

use std::path::{Path, PathBuf};

use local_aws::checkout::Checkout;
use release::Error;
use shell::process;
use tempfile::TempDir;

/// A checkout of the commit that a release is made of.
#[derive(Debug)]
pub struct Source {
    root: PathBuf,
    /// When the commit was made, in seconds since 1970.
    pub time: u64,
}

impl Source {
    /// Returns the commit that is checked out.
    ///
    /// # Errors
    /// Returns an error if the checkout is no clone of git.
    pub async fn of(checkout: &Checkout) -> Result<Self, Error> {
        Self::at(checkout.root()).await
    }

    async fn at(root: &Path) -> Result<Self, Error> {
        let time = git(root, &["log", "-1", "--format=%ct"]).await?;
        let time = time.trim().parse();
        Ok(Self {
            root: root.to_owned(),
            time: time.map_err(|_| not_releasable(root, "git does not say when its commit was made"))?,
        })
    }

    /// Returns the folder of the checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Checks that the checkout is the commit, and that the changes of the version are told.
    ///
    /// # Errors
    /// Returns [`Error::NotReleasable`] if a file was changed, or if `CHANGELOG.md` has no section of the version.
    pub async fn check(&self, version: &str) -> Result<(), Error> {
        let changed = git(&self.root, &["status", "--porcelain"]).await?;
        if let Some(first) = changed.lines().next() {
            let reason = format!(
                "{} is not as it is in the commit: commit or stash what you have changed",
                first.get(3..).unwrap_or(first)
            );
            return Err(not_releasable(&self.root, &reason));
        }
        let file = self.root.join("CHANGELOG.md");
        let changes = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        let heading = format!("## {version}");
        let is_told = changes.lines().any(|line| {
            line.strip_prefix(&heading)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        if is_told {
            return Ok(());
        }
        let reason = format!("CHANGELOG.md has no section {heading:?}: name what is under Unreleased so");
        Err(not_releasable(&self.root, &reason))
    }

    /// Returns a copy of the commit's files in a temporary folder.
    ///
    /// # Errors
    /// Returns an error if it cannot be made.
    pub async fn copy(&self) -> Result<TempDir, Error> {
        let parent = std::env::temp_dir();
        let folder = tempfile::tempdir().map_err(Error::io("create a folder in", &parent))?;
        let packed = tempfile::NamedTempFile::new().map_err(Error::io("create a file in", &parent))?;
        let name = packed.path().to_string_lossy();
        git(
            &self.root,
            &["archive", "--format=tar", "--output", &name, "HEAD"],
        )
        .await?;
        let copied = tar::Archive::new(packed.as_file()).unpack(folder.path());
        copied.map_err(Error::io("write", folder.path()))?;
        Ok(folder)
    }
}

fn not_releasable(root: &Path, reason: &str) -> Error {
    Error::NotReleasable {
        path: root.to_owned(),
        reason: reason.to_owned(),
    }
}

async fn git(root: &Path, arguments: &[&str]) -> Result<String, Error> {
    let mut git = process::command("git");
    let output = git.arg("-C").arg(root).args(arguments).output().await;
    let output = output.map_err(Error::io("run", Path::new("git")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Program {
        command: format!("git {}", arguments[0]),
        tail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn commit(folder: &Path) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        git(folder, &["add", "."]).await.unwrap();
        git(
            folder,
            &[&identity[..], &["commit", "--quiet", "-m", "Begin"]].concat(),
        )
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_release_is_a_commit_whose_changes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let changes = folder.path().join("CHANGELOG.md");
        assert!(matches!(
            Source::at(folder.path()).await,
            Err(Error::Program { .. })
        ));
        git(folder.path(), &["init", "--quiet"]).await.unwrap();
        std::fs::write(
            &changes,
            "# Changelog\n\n## Unreleased\n\n## 1.2.0 (today)\n\n## 1.1.10\n",
        )
        .unwrap();
        commit(folder.path()).await;
        let source = Source::at(folder.path()).await.unwrap();
        source.check("1.2.0").await.unwrap();
        source.check("1.1.10").await.unwrap();
        let error = source.check("1.1.1").await.unwrap_err().to_string();
        assert!(error.contains("no section \"## 1.1.1\""), "{error}");

        std::fs::write(&changes, "## 1.2.0\n## 1.1.1").unwrap();
        let error = source.check("1.1.1").await.unwrap_err().to_string();
        assert!(
            error.contains("CHANGELOG.md is not as it is in the commit"),
            "{error}"
        );
        let copy = source.copy().await.unwrap();
        let copied = std::fs::read_to_string(copy.path().join("CHANGELOG.md")).unwrap();
        assert!(copied.starts_with("# Changelog"), "{copied}");
        std::fs::remove_file(&changes).unwrap();
        commit(folder.path()).await;
    }
}
