//! The provenance document of an artifact: an in-toto statement (<https://in-toto.io/Statement/v1>) with SLSA's
//! provenance predicate (<https://slsa.dev/spec/v1.1/provenance>), which says what it was made of, and by which build.

use delivery::artifact::{ArtifactObject, Digest, TestRecord};
use delivery::contract::Request;
use serde_json::{Value, json};

use crate::builds::Build;

/// The build type, which defines the parameters: see docs/architecture.md.
const BUILD_TYPE: &str = "urn:push-code:artifact:v1";

/// What an artifact was made of.
#[derive(Debug)]
pub struct ArtifactFacts<'a> {
    pub request: &'a Request,
    pub build: &'a Build,
    pub template: &'a Digest,
    pub objects: &'a [ArtifactObject],
    pub tests: TestRecord,
    /// The buildspec, and the lock files.
    pub files: &'a [SourceFile],
}

/// A file of the delivered zip that a build depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path in the repository.
    pub path: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

/// Returns the document as JSON.
pub fn document(facts: &ArtifactFacts<'_>) -> Value {
    let (request, build) = (facts.request, facts.build);
    let (push, zip) = (&request.push, &request.zip);
    let mut subject = vec![json!({ "name": "template", "digest": { "sha256": facts.template } })];
    subject.extend(
        facts
            .objects
            .iter()
            .map(|object| json!({ "name": object.property, "digest": { "sha256": object.sha256 } })),
    );
    let mut dependencies = vec![
        json!({
            "uri": format!("s3://{}/{}?versionId={}", zip.bucket, zip.key, zip.version_id),
            "digest": { "sha256": zip.sha256 },
        }),
        json!({
            "name": push.repository,
            "digest": { "gitCommit": push.commit, "gitTree": push.tree },
        }),
        // CodeBuild tells the image's name, and no digest of it.
        json!({ "name": "image", "uri": build.image }),
    ];
    dependencies.extend(
        facts
            .files
            .iter()
            .map(|file| json!({ "name": file.path, "digest": { "sha256": file.sha256 } })),
    );
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "application": request.settings.application,
                    "repository": push.repository,
                    "ref": push.ref_name,
                    "directory": request.settings.directory,
                },
                "internalParameters": {
                    "deployment_id": request.deployment_id,
                    "push_id": push.push_id,
                    "tests": facts.tests,
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": project(&build.arn),
                    "version": { "push-code": env!("CARGO_PKG_VERSION") },
                },
                "metadata": {
                    "invocationId": build.arn,
                    "startedOn": build.started_at,
                    "finishedOn": build.ended_at,
                },
            },
        },
    })
}

/// Returns the project of a build's ARN, `arn:...:build/{project}:{id}`.
fn project(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(project, _)| project)
}
