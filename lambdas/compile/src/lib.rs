//! `Build`, `CheckBuild` and `Collect`: run the repository's buildspec in CodeBuild, and keep what it has made by its
//! digests.
//!
//! The build is the repository's own code, so nothing that it writes is trusted: not the zip's entries, not the
//! template's references. It may write to one key of the artifact bucket, which this function takes apart.

mod archive;
mod builds;
mod codebuild;
mod collect;
mod error;
mod provenance;
mod template;
mod yaml;

use std::collections::BTreeMap;

use delivery::contract::{BuildInput, BuildProgress, BuiltInput, Request, StartedBuild};
use domain::execution::Execution;
use uuid::Uuid;

pub use builds::{Build, BuildRequest, BuildStatus, Builds, FailedPhase};
pub use codebuild::CodeBuild;
pub use collect::collect;
pub use error::Error;

use error::Place;

/// The code with which CodeBuild says that there is no buildspec, or none that can be read.
const BUILDSPEC_ERROR: &str = "YAML_FILE_ERROR";

/// The phase that runs the tests.
const TESTS: &str = "PRE_BUILD";

/// What the states need besides their inputs.
#[derive(Debug)]
pub struct Deps<'a, B, A, E> {
    /// What runs builds.
    pub builds: &'a B,
    /// The artifact bucket.
    pub artifacts: &'a A,
    /// The evidence of earlier builds.
    pub evidence: &'a E,
}

/// Starts a build of the delivered zip.
///
/// # Errors
/// Returns an [`Error`] if CodeBuild does not start it.
pub async fn start(
    builds: &impl Builds,
    execution: &Execution,
    input: &BuildInput,
) -> Result<StartedBuild, Error> {
    let request = &input.request;
    let output_key = output_key(request, execution);
    let build = BuildRequest {
        token: token(request, execution),
        source: format!("{}/{}", request.zip.bucket, request.zip.key),
        version_id: request.zip.version_id.clone(),
        buildspec: buildspec(request),
        output_key: output_key.clone(),
        variables: BTreeMap::from([
            ("COMMIT", request.push.commit.to_string()),
            ("TREE", request.push.tree.to_string()),
            ("DIRECTORY", request.settings.directory.clone()),
            ("DEPLOYMENT_ID", request.deployment_id.to_string()),
        ]),
        deployment_id: request.deployment_id,
    };
    let build_id = builds.start(&build).await.map_err(Error::Builds)?;
    Ok(StartedBuild { build_id, output_key })
}

/// Returns how far a build is.
///
/// # Errors
/// Returns an [`Error`] if the build has failed.
pub async fn check(builds: &impl Builds, input: &BuiltInput) -> Result<BuildProgress, Error> {
    let build = get(builds, &input.build.build_id).await?;
    let complete = match &build.status {
        BuildStatus::InProgress => false,
        BuildStatus::Succeeded => true,
        BuildStatus::TimedOut => {
            return Err(Error::TimedOut {
                id: build.id,
                phase: build.failed.map_or(build.phase, |failed| failed.name),
                log: Place(build.log),
            });
        }
        BuildStatus::Failed(status) => {
            let status = status.clone();
            return Err(failure(&input.request, build, status));
        }
    };
    Ok(BuildProgress {
        complete,
        phase: build.phase,
        log: build.log,
    })
}

fn failure(request: &Request, build: Build, status: String) -> Error {
    let (id, log) = (build.id, Place(build.log));
    let failed = build.failed.unwrap_or(FailedPhase {
        name: build.phase,
        code: String::new(),
        message: "no phase says why".to_owned(),
    });
    let reason = failed.message;
    if failed.code == BUILDSPEC_ERROR {
        let path = buildspec(request);
        return Error::Buildspec {
            id,
            path,
            reason,
            log,
        };
    }
    if failed.name == TESTS && status == "FAILED" {
        return Error::TestsFailed { id, reason, log };
    }
    Error::BuildFailed {
        id,
        status,
        phase: failed.name,
        reason,
        log,
    }
}

async fn get(builds: &impl Builds, id: &str) -> Result<Build, Error> {
    let build = builds.get(id).await.map_err(Error::Builds)?;
    build.ok_or_else(|| Error::Unknown { id: id.to_owned() })
}

/// Returns the path of the buildspec in the repository.
fn buildspec(request: &Request) -> String {
    path_in(&request.settings.directory, "buildspec.yml")
}

/// Returns a path below `directory`, which may be empty.
fn path_in(directory: &str, path: &str) -> String {
    if directory.is_empty() {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    }
}

/// Returns the key of the output. Each execution of a deployment has its own, because a build may outlast the execution
/// that has started it.
fn output_key(request: &Request, execution: &Execution) -> String {
    let token = token(request, execution);
    format!("builds/{}/{token}/output.zip", request.deployment_id)
}

/// Returns the text by which CodeBuild knows a repeated request. An execution that retries a deployment gets a build of
/// its own instead of the one that has failed.
fn token(request: &Request, execution: &Execution) -> String {
    let name = format!("{}\n{}", request.deployment_id, execution.id);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests;
