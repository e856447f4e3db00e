//! The pinned Python tools of the local AWS, and of builds and deployments.

use std::path::PathBuf;

use python_tools::Requirements;
use shell::progress::Progress;

use crate::Error;

const MINISTACK: Requirements = Requirements {
    name: "ministack",
    file: "cli/local-aws/requirements/ministack.txt",
    text: include_str!("../requirements/ministack.txt"),
    about: "the local AWS (ministack)",
};

const SAM: Requirements = Requirements {
    name: "sam",
    file: "cli/local-aws/requirements/sam.txt",
    text: include_str!("../requirements/sam.txt"),
    about: "the build tools (AWS SAM CLI, cargo-lambda, zig)",
};

/// SAM CLI, cargo-lambda and zig, installed.
#[derive(Debug, Clone)]
pub struct Sam(PathBuf);

impl Sam {
    /// Installs them if they are not installed yet.
    ///
    /// # Errors
    /// Returns an error if there is no usable Python, or pip fails.
    pub async fn install(progress: Progress) -> Result<Self, Error> {
        Ok(Self(SAM.install(progress).await?))
    }

    /// Returns the folder with `sam` and `cargo-lambda`.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }
}

/// The tools of the local AWS, installed.
#[derive(Debug, Clone)]
pub struct Tools {
    ministack: PathBuf,
    sam: Sam,
}

impl Tools {
    /// Installs the tools that are not installed yet.
    ///
    /// # Errors
    /// Returns an error if there is no usable Python, or pip fails.
    pub async fn install(progress: Progress) -> Result<Self, Error> {
        if !cfg!(target_os = "linux") {
            return Err(Error::NotLinux);
        }
        Ok(Self {
            ministack: MINISTACK.install(progress).await?,
            sam: Sam::install(progress).await?,
        })
    }

    /// Returns the path of the Python that has ministack.
    #[must_use]
    pub fn ministack_python(&self) -> PathBuf {
        self.ministack.join("bin/python")
    }

    /// Returns the tools of builds and deployments.
    #[must_use]
    pub fn sam(&self) -> &Sam {
        &self.sam
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned_by_version_and_hash_and_names_no_registry() {
        let servers = include_str!("../../../tests/testkit/requirements.txt");
        let aws_cli = include_str!("../../../tests/testkit/awscli.txt");
        for text in [MINISTACK.text, SAM.text, servers, aws_cli] {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", "");
            for requirement in text.lines() {
                let mut words = requirement.split_whitespace();
                assert!(words.next().unwrap().contains("=="), "{requirement}");
                let options: Vec<_> = words.filter(|word| word.starts_with('-')).collect();
                assert!(!options.is_empty(), "{requirement}");
                assert!(
                    options.iter().all(|option| option.starts_with("--hash=sha256:")),
                    "{requirement}"
                );
                assert!(!requirement.contains("//"), "{requirement}");
            }
        }
    }
}
