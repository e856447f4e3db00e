//! What a build has made of a tree, by digests, so that it can neither change nor be mistaken for anything else.

use chrono::{DateTime, Utc};
pub use domain::digest::Digest;
use domain::git::{CommitId, ObjectId};
use serde::{Deserialize, Serialize};

use crate::deployment::{ApplicationName, DeploymentId};

/// The largest template that CloudFormation accepts, in bytes.
pub const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

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
