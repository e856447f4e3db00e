//! What is deployed: a checkout, which is built before, or a release, whose functions are built already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_config::SdkConfig;
use deployed_stack::Stack;
use local_aws::application::PUSH_CODE;
use local_aws::architecture::Architecture;
use local_aws::build::{Profile, build};
use local_aws::checkout::Checkout;
use local_aws::sam;
use local_aws::tools::Sam;
use release::Release;
use shell::progress::Progress;

use crate::Error;

/// What is deployed.
#[derive(Debug)]
pub enum Origin {
    /// A checkout.
    Checkout(Checkout),
    /// A release.
    Release(Release),
}

impl Origin {
    /// Returns the release at `path`, or without one, the checkout.
    ///
    /// # Errors
    /// Returns an error if it is no release, or if there is no checkout.
    pub fn find(path: Option<&Path>, progress: Progress) -> Result<Self, Error> {
        let Some(path) = path else {
            return match Checkout::find() {
                Err(local_aws::Error::NoCheckout(here)) => Err(Error::NothingToDeploy(here)),
                found => Ok(Self::Checkout(found?)),
            };
        };
        let release = Release::open(path, progress)?;
        let own = env!("CARGO_PKG_VERSION");
        if release.version() != own {
            progress.line(&format!(
                "This push-code is version {own}, and the release is {}: the push-code in it knows it best",
                release.version()
            ));
        }
        Ok(Self::Release(release))
    }

    /// Returns what it is, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Checkout(checkout) => format!("the checkout {}", checkout.root().display()),
            Self::Release(release) => format!("the release {}", release.version()),
        }
    }

    /// Returns its template for these processors.
    pub fn template(&self, architecture: Architecture) -> PathBuf {
        match self {
            Self::Checkout(checkout) => checkout.template(&PUSH_CODE),
            Self::Release(release) => release.template(architecture),
        }
    }

    /// Returns the processors that its functions are, or are to be, built for: by the parameter, or else by what the
    /// stack has.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if there are no functions for them.
    pub fn architecture(
        &self,
        given: &BTreeMap<String, String>,
        existing: Option<&stacks::Stack>,
    ) -> Result<Architecture, Error> {
        let can = match self {
            Self::Checkout(_) => &[Architecture::THIS],
            Self::Release(release) => release.architectures(),
        };
        let has = existing.and_then(|stack| stack.parameters.get("Architecture"));
        let wanted = given.get("Architecture").or(has);
        let found = can
            .iter()
            .find(|one| wanted.is_none_or(|wanted| one.name() == wanted));
        found.copied().ok_or_else(|| {
            let wanted = wanted.map_or("", String::as_str);
            let can: Vec<_> = can.iter().map(|one| one.name()).collect();
            let can = can.join(" and ");
            Error::Usage(match self {
                Self::Checkout(_) => format!(
                    "this command builds for {can}, as this machine has it, and the stack is for {wanted}: run sam build and sam deploy \
                     as push-code docs install/deploy shows, or change the stack by --parameter Architecture={can}"
                ),
                Self::Release(release) => format!(
                    "the release {} has functions for {can}, and the stack is for {wanted}: deploy from a checkout on a machine of that \
                     kind, or change the stack by --parameter Architecture=VALUE",
                    release.version()
                ),
            })
        })
    }

    /// Builds what is not built yet, and deploys it.
    ///
    /// # Errors
    /// Returns an error if the tools cannot be installed, or if the build or the deployment fails.
    pub async fn deploy(
        &self,
        config: &SdkConfig,
        target: sam::Target<'_>,
        architecture: Architecture,
        progress: Progress,
    ) -> Result<Stack, Error> {
        let stack = match self {
            Self::Checkout(checkout) => {
                let (tools, built) = build(checkout, &PUSH_CODE, Profile::Release, progress).await?;
                let log = checkout.folder()?.join("sam-deploy.log");
                let files = (checkout.root(), built.template.as_path());
                sam::deploy_to(config, tools.sam(), target, files, (&log, progress)).await?
            }
            Self::Release(release) => {
                let tools = Sam::install(progress).await?;
                // Not in the release, which may be removed afterwards.
                let log = python_tools::cache_folder().join(format!("sam-deploy-{}.log", target.name));
                let template = release.template(architecture);
                let files = (release.folder(), template.as_path());
                sam::deploy_to(config, &tools, target, files, (&log, progress)).await?
            }
        };
        Ok(stack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(architecture: Architecture) -> BTreeMap<String, String> {
        BTreeMap::from([("Architecture".to_owned(), architecture.to_string())])
    }

    fn stack(architecture: Architecture) -> stacks::Stack {
        stacks::Stack {
            id: String::new(),
            status: String::new(),
            reason: String::new(),
            change_set: None,
            parameters: of(architecture),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// A release that has functions for these processors.
    fn release(architectures: &[Architecture]) -> (tempfile::TempDir, Origin) {
        let folder = tempfile::tempdir().unwrap();
        for architecture in architectures {
            let path = folder.path().join(architecture.name());
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("template.yaml"), "Outputs: {Version: {Value: 1.2.3}}").unwrap();
        }
        let found = Origin::find(Some(folder.path()), Progress::Silent).unwrap();
        (folder, found)
    }

    #[test]
    fn a_checkout_is_built_for_the_processors_of_this_machine_which_a_stack_has_to_be_for() {
        let this = Architecture::THIS;
        let others: Vec<_> = Architecture::all().iter().filter(|&&one| one != this).collect();
        let checkout = Origin::find(None, Progress::Silent).unwrap();
        let nothing = BTreeMap::new();
        assert_eq!(checkout.architecture(&nothing, None).unwrap(), this);
        assert_eq!(checkout.architecture(&nothing, Some(&stack(this))).unwrap(), this);
        for other in others {
            assert!(checkout.architecture(&of(*other), None).is_err());
            assert!(checkout.architecture(&nothing, Some(&stack(*other))).is_err());
            let asked = checkout.architecture(&of(this), Some(&stack(*other)));
            assert_eq!(asked.unwrap(), this, "it was asked for");
        }
    }

    #[test]
    fn a_release_is_deployed_for_the_processors_of_the_stack() {
        use Architecture::{Arm64, X86_64};
        let (_folder, both) = release(&[Arm64, X86_64]);
        let nothing = BTreeMap::new();
        assert_eq!(both.architecture(&nothing, None).unwrap(), X86_64);
        assert_eq!(both.architecture(&nothing, Some(&stack(Arm64))).unwrap(), Arm64);
        assert_eq!(
            both.architecture(&of(X86_64), Some(&stack(Arm64))).unwrap(),
            X86_64
        );
        assert!(both.template(Arm64).ends_with("arm64/template.yaml"));

        let (_folder, one) = release(&[X86_64]);
        let error = one
            .architecture(&nothing, Some(&stack(Arm64)))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the release 1.2.3 has functions for x86_64, and the stack is for arm64: "),
            "{error}"
        );
        let mips = BTreeMap::from([("Architecture".to_owned(), "mips".to_owned())]);
        assert!(both.architecture(&mips, None).is_err());
    }
}
