//! `Acquire`: finds what was built of a tree before, here or in the account whose evidence may be read.
//!
//! The same tree is the same content, so what one account has tested is what the other one gets. The other account is
//! trusted to say what was tested, not to say what the bytes are: each object is compared with its digest while it is
//! copied.

mod other;

use artifacts::bucket::ArtifactStore;
use artifacts::evidence::EvidenceStore;
use artifacts::{ArtifactError, digests, is_complete, keep};
use aws::AwsFailure;
use delivery::artifact::Artifact;
use delivery::contract::{Acquired, Request};
use domain::error::{Code, Coded};

pub use other::OtherAccount;

/// The largest object that is copied, in bytes. Lambda accepts at most 250 MiB of a function.
const MAX_OBJECT_BYTES: u64 = 512 << 20;

/// Where an artifact of this account was found.
const OWN: &str = "own";

/// What the state needs besides its input.
#[derive(Debug)]
pub struct Deps<'a, A, E> {
    /// The artifact bucket.
    pub artifacts: &'a A,
    /// The evidence of this account.
    pub evidence: &'a E,
    /// The account whose evidence may be read, if there is one.
    pub other: Option<&'a OtherAccount>,
}

/// Why it cannot be said what was built of a tree.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    /// The other account's role may not be assumed, or may not read what it has to.
    #[error("the evidence of the role {role} may not be read")]
    Refused { role: String, source: Denial },
    /// The other account's role could not be assumed for a reason that may pass.
    #[error("the role {role} could not be assumed")]
    Unavailable { role: String, source: AwsFailure },
    /// The other account's evidence is of something else.
    #[error("the evidence of the role {role} is not of what was asked for: {reason}")]
    Invalid { role: String, reason: String },
    /// The artifact bucket or the evidence failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The function's own disk failed.
    #[error("the function's ephemeral storage could not be used")]
    Workspace(#[from] std::io::Error),
}

/// What was refused.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// STS has refused to give the role.
    #[error(transparent)]
    Role(AwsFailure),
    /// The role may not read an item or an object.
    #[error(transparent)]
    Read(Box<ArtifactError>),
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } => Code::EvidenceRefused,
            Self::Unavailable { .. } => Code::EvidenceUnavailable,
            Self::Invalid { .. } => Code::ArtifactMismatch,
            Self::Artifact(error) => error.code(),
            Self::Workspace(_) => Code::WorkspaceFailed,
        }
    }
}

/// Finds what was built of the tree of a push.
///
/// # Errors
/// Returns an [`Error`] if it cannot be said, or if an object is not what the evidence says.
pub async fn acquire(
    deps: &Deps<'_, impl ArtifactStore, impl EvidenceStore>,
    request: &Request,
) -> Result<Acquired, Error> {
    let (application, tree) = (&request.settings.application, &request.push.tree);
    let own = deps.evidence.find(application, tree).await?;
    if let Some(artifact) = own.filter(|artifact| is_of(artifact, request))
        && is_complete(deps.artifacts, &artifact).await?
    {
        return Ok(found(artifact, OWN));
    }
    let none = Acquired {
        artifact: None,
        from: None,
    };
    let Some(other) = deps.other else {
        return Ok(none);
    };
    let (evidence, artifacts) = other.open().await?;
    let theirs = evidence.find(application, tree).await;
    let theirs = theirs.map_err(|error| other.failed(error))?;
    let Some(artifact) = theirs.filter(|artifact| is_of(artifact, request)) else {
        return Ok(none);
    };
    check(other, &artifact, request)?;
    copy(deps.artifacts, other, &artifacts, &artifact).await?;
    let artifact = keep(deps.artifacts, deps.evidence, artifact).await?;
    Ok(found(artifact, &other.role_arn))
}

fn found(artifact: Artifact, from: &str) -> Acquired {
    Acquired {
        artifact: Some(artifact),
        from: Some(from.to_owned()),
    }
}

/// Returns whether an artifact is of the directory that the settings name now.
fn is_of(artifact: &Artifact, request: &Request) -> bool {
    artifact.directory == request.settings.directory
}

fn check(other: &OtherAccount, artifact: &Artifact, request: &Request) -> Result<(), Error> {
    let reason = if artifact.application != request.settings.application {
        format!("it is of the application {}", artifact.application)
    } else if artifact.tree != request.push.tree {
        format!("it is of the tree {}", artifact.tree)
    } else if artifact.tests.passed == 0 {
        "no test has passed".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid {
        role: other.role_arn.clone(),
        reason,
    })
}

/// Copies the objects that are not here yet. Each is compared with its digest when it is read.
async fn copy(
    own: &impl ArtifactStore,
    other: &OtherAccount,
    theirs: &impl ArtifactStore,
    artifact: &Artifact,
) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("object");
    for digest in digests(artifact) {
        if own.contains(digest).await? {
            continue;
        }
        let loaded = theirs.get(digest, MAX_OBJECT_BYTES, &path).await;
        loaded.map_err(|error| other.failed(error))?;
        own.put(digest, &path).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use artifacts::memory::{BUCKET, MemoryArtifacts, MemoryEvidence};
    use delivery::samples;

    use super::*;

    struct Scene {
        artifacts: MemoryArtifacts,
        evidence: MemoryEvidence,
    }

    impl Scene {
        async fn new() -> Self {
            let scene = Self {
                artifacts: MemoryArtifacts::default(),
                evidence: MemoryEvidence::default(),
            };
            let mut artifact = samples::artifact();
            let objects = [
                &mut artifact.template,
                &mut artifact.provenance,
                &mut artifact.objects[0].sha256,
            ];
            for (number, digest) in objects.into_iter().enumerate() {
                *digest = scene.artifacts.write("anywhere", "x", &[number as u8]);
                scene.artifacts.write(BUCKET, &digest.key(), &[number as u8]);
            }
            scene.evidence.put(&artifact, None).await.unwrap();
            scene
        }

        async fn acquire(&self, request: &Request) -> Acquired {
            let deps = Deps {
                artifacts: &self.artifacts,
                evidence: &self.evidence,
                other: None,
            };
            acquire(&deps, request).await.unwrap()
        }
    }

    #[tokio::test]
    async fn what_was_built_here_is_found_by_application_tree_and_directory() {
        let scene = Scene::new().await;
        let acquired = scene.acquire(&samples::request()).await;
        assert_eq!(acquired.from.as_deref(), Some("own"));
        assert_eq!(acquired.artifact.unwrap().tree, samples::request().push.tree);
        let mut other = samples::request();
        other.push.tree = "d".repeat(40).parse().unwrap();
        assert_eq!(scene.acquire(&other).await.artifact, None);
        let mut other = samples::request();
        other.settings.directory = "elsewhere".to_owned();
        assert_eq!(scene.acquire(&other).await.artifact, None);
        let mut other = samples::request();
        other.settings.application = "other".parse().unwrap();
        assert_eq!(scene.acquire(&other).await.artifact, None);
    }

    #[tokio::test]
    async fn what_is_not_there_any_more_is_built_again() {
        let all = Scene::new().await.artifacts.objects.lock().unwrap().clone();
        for name in all.keys().filter(|name| name.contains("sha256")) {
            let scene = Scene::new().await;
            scene.artifacts.objects.lock().unwrap().remove(name);
            assert_eq!(scene.acquire(&samples::request()).await.artifact, None, "{name}");
        }
    }
}
