//! What a build has made of a tree, by digests, so that it can neither change nor be mistaken for anything else.

use chrono::{DateTime, Utc};
use domain::Invalid;
use domain::git::{CommitId, ObjectId};
use domain::text_newtype;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::deployment::{ApplicationName, DeploymentId};

/// The largest template that CloudFormation accepts, in bytes.
pub const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

text_newtype!(
    /// A SHA-256, as 64 lower-case hexadecimal digits.
    Digest,
    parse_digest
);

impl Digest {
    /// Returns the digest of some content.
    #[must_use]
    pub fn of(content: impl AsRef<[u8]>) -> Self {
        Self::of_hash(Sha256::digest(content).into())
    }

    /// Creates the digest with these bytes.
    #[must_use]
    pub fn of_hash(bytes: [u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Returns the key at which the bytes with this digest are in the artifact bucket.
    #[must_use]
    pub fn key(&self) -> String {
        format!("sha256/{self}")
    }
}

/// What was built of a tree. The same tree is built once: an artifact is found by application and tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The application.
    pub application: ApplicationName,
    /// The tree that was built. Two commits with the same tree have the same content.
    pub tree: ObjectId,
    /// The commit whose zip was built.
    pub commit: CommitId,
    /// The application's folder in the tree.
    pub directory: String,
    /// The template, in which the code of functions is named by keys, without a bucket.
    pub template: Digest,
    /// The objects that the template names.
    pub objects: Vec<ArtifactObject>,
    /// The provenance document.
    pub provenance: Digest,
    /// The tests that it has passed.
    pub tests: TestRecord,
    /// The delivered zip that was built.
    pub zip: SourceZip,
    /// The SHA-256 of the buildspec.
    pub buildspec: Digest,
    /// The build.
    pub build_id: String,
    /// The deployment that has built it.
    pub built_by: DeploymentId,
    /// When the build had ended.
    pub built_at: DateTime<Utc>,
}

/// An object that a template names, such as the code of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactObject {
    /// Its place in the template, such as `AskFunction.CodeUri`.
    pub property: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The tests that a build has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRecord {
    /// How many have passed, at least one.
    pub passed: u64,
    /// How many were skipped.
    pub skipped: u64,
}

/// A delivered zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceZip {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's version. The same key has the zip of another push later.
    pub version_id: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

fn parse_digest(text: &str) -> Result<String, Invalid> {
    let well_formed = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("SHA-256", text, "it must have 64 of 0-9 and a-f"))
    }
}
