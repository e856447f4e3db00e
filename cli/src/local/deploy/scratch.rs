//! The repository that is pushed: a clone of this checkout with a branch for each environment, which is served until it
//! is dropped.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use git_host::{Credentials, GitHost, Options};
use local_aws::checkout::Checkout;

use crate::Error;
use crate::origin::GIT_USER;
use crate::repository::git;

/// The repository's path on its host.
pub const REPOSITORY: &str = "local/push-code";

/// The branch that is deployed to dev.
pub const DEV: &str = "refs/heads/dev";

/// The branch that is deployed to prod.
pub const MAIN: &str = "refs/heads/main";

/// The folder of the example in the repository.
pub const DIRECTORY: &str = "examples/deepest-thread";

/// What is broken, to see how a deployment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Break {
    /// A unit test fails: nothing is built.
    Test,
    /// The template has a resource that does not exist: nothing is changed.
    Template,
    /// The new version does not answer its probe: the stack is taken back.
    Probe,
    /// An alarm is raised while the new version has a share of the traffic: the traffic and the stack are taken back.
    Alarm,
}

/// The repository.
#[derive(Debug)]
pub struct Scratch {
    host: GitHost,
    work: PathBuf,
    _root: tempfile::TempDir,
}

impl Scratch {
    /// Clones the checkout as it is committed, and serves the clone on `port` to clients that have the password.
    ///
    /// # Errors
    /// Returns an error if git fails, or if the port is in use.
    pub async fn of(checkout: &Checkout, port: u16, password: String, log: PathBuf) -> Result<Self, Error> {
        let root = tempfile::tempdir().map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
        let (work, bare) = (
            root.path().join("work"),
            root.path().join(format!("served/{REPOSITORY}.git")),
        );
        if let Some(folder) = bare.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let (from, to, separate) = (path(checkout.root())?, path(&work)?, path(&bare)?);
        let separate = format!("--separate-git-dir={separate}");
        git(
            root.path(),
            &["clone", "--quiet", "--shared", "--no-tags", &separate, from, to],
        )
        .await?;
        for (name, value) in [("user.name", "Push Code"), ("user.email", "push-code@localhost")] {
            git(&work, &["config", name, value]).await?;
        }
        let options = Options {
            port,
            credentials: Some(Credentials {
                username: GIT_USER.to_owned(),
                password,
            }),
            log: Some(log),
            ..Options::with_any_commit()
        };
        let host = GitHost::serve(&root.path().join("served"), options).await?;
        // What main points to before anything is merged.
        git(&work, &["update-ref", MAIN, "HEAD"]).await?;
        git(&work, &["checkout", "--quiet", "--detach"]).await?;
        Ok(Self {
            host,
            work,
            _root: root,
        })
    }

    /// Returns the origin, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.host.origin()
    }

    /// Commits a change of the example to the dev branch, so that there is something to deploy. Returns the commit.
    ///
    /// # Errors
    /// Returns an error if git fails, or if a file of the example is not as it was.
    pub async fn commit_change(&self, broken: Option<Break>, release: &str) -> Result<String, Error> {
        let template = format!("{DIRECTORY}/template.yaml");
        self.edit(
            &template,
            "Description: Answers requests, by an execution for each question.",
            &format!("Description: Answers requests, by an execution for each question ({release})."),
        )?;
        match broken {
            None | Some(Break::Alarm) => {}
            Some(Break::Test) => self.edit(
                &format!("{DIRECTORY}/thread/src/lib.rs"),
                "\n#[cfg(test)]\n",
                "\n#[cfg(test)]\n#[test]\nfn it_is_broken_on_purpose() {\n    assert_eq!(42, 43);\n}\n\n#[cfg(test)]\n",
            )?,
            Some(Break::Template) => self.edit(&template, "\nResources:\n", "\nResources:\n  Unknown:\n    Type: AWS::No::Such\n\n")?,
            Some(Break::Probe) => self.edit(
                &template,
                "STATE_MACHINE_ARN: !Ref DeepestStateMachine",
                "STATE_MACHINE_ARN: arn:aws:states:us-east-1:000000000000:stateMachine:no-such-machine",
            )?,
        }
        let subject = match broken {
            None => format!("Release {release}"),
            Some(broken) => format!("Release {release}, with a broken {broken:?}").to_lowercase(),
        };
        git(&self.work, &["commit", "--quiet", "--all", "--message", &subject]).await?;
        git(&self.work, &["update-ref", DEV, "HEAD"]).await?;
        git(&self.work, &["rev-parse", "HEAD"]).await
    }

    /// Merges the dev branch into main by a merge commit, whose tree is that of dev. Returns what main pointed to, and
    /// the merge commit.
    ///
    /// # Errors
    /// Returns an error if git fails.
    pub async fn merge(&self) -> Result<(String, String), Error> {
        let before = git(&self.work, &["rev-parse", MAIN]).await?;
        let merge = git(
            &self.work,
            &[
                "commit-tree",
                &format!("{DEV}^{{tree}}"),
                "-p",
                MAIN,
                "-p",
                DEV,
                "-m",
                "Merge branch 'dev'",
            ],
        )
        .await?;
        git(&self.work, &["update-ref", MAIN, &merge]).await?;
        Ok((before, merge))
    }

    /// Replaces the first `from` of a file by `to`.
    fn edit(&self, file: &str, from: &str, to: &str) -> Result<(), Error> {
        let place = self.work.join(file);
        let text = std::fs::read_to_string(&place).map_err(Error::io("read", &place))?;
        if !text.contains(from) {
            return Err(Error::Usage(format!(
                "{file} of the last commit has no {from:?}, which this command changes"
            )));
        }
        std::fs::write(&place, text.replacen(from, to, 1)).map_err(Error::io("write", &place))
    }
}

fn path(path: &Path) -> Result<&str, Error> {
    path.to_str()
        .ok_or_else(|| Error::Usage(format!("the path {} is not UTF-8", path.display())))
}
