//! What a build is: its project, with what `StartBuild` overrides.

use std::collections::BTreeMap;

use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::types::{EnvironmentVariable, ProjectArtifacts};

use crate::api::{ApiError, Artifacts, Environment, StartBuild, Variable};
use crate::aws_message;
use crate::buildspec::is_variable;

/// The shortest and the longest timeout in minutes that CodeBuild allows.
const TIMEOUTS: std::ops::RangeInclusive<u16> = 5..=2_160;

/// A build that is to run.
#[derive(Debug, Clone)]
pub(crate) struct BuildRequest {
    pub project: String,
    pub role: String,
    pub source: Source,
    /// A path in the source, or a whole buildspec.
    pub buildspec: Option<String>,
    pub output: Option<Output>,
    pub environment: Environment,
    pub timeout_in_minutes: u16,
    /// The parameters of `StartBuild` that are not applied.
    pub not_applied: Vec<String>,
}

/// The zip with the source.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub bucket: String,
    pub key: String,
    pub version: Option<String>,
}

/// The zip with the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub bucket: String,
    pub key: String,
}

impl BuildRequest {
    /// Reads the project of a request, and applies the request to it.
    ///
    /// # Errors
    /// Returns an error if there is no such project, or if it is not built here.
    pub async fn read(client: &Client, request: &StartBuild, build: &str) -> Result<Self, ApiError> {
        let name = &request.project_name;
        // Folders are named after projects.
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(ApiError::InvalidInput(format!(
                "{name:?} is not a project's name: use letters, digits, - and _"
            )));
        }
        let found = client.batch_get_projects().names(name).send().await;
        let found = found.map_err(|error| {
            ApiError::InvalidInput(format!(
                "the project {name} cannot be read: {}",
                aws_message("codebuild:BatchGetProjects", &error)
            ))
        })?;
        let project = found.projects().first().ok_or_else(|| {
            ApiError::NotFound(format!(
                "Project cannot be found: {name}. Deploy the stack that has it"
            ))
        })?;
        let role = project.service_role().unwrap_or_default().to_owned();
        if role.is_empty() {
            return Err(ApiError::InvalidInput(format!(
                "the project {name} has no service role"
            )));
        }
        let source = project.source();
        let kind = request.source_type_override.as_deref();
        let kind = kind.or_else(|| source.map(|source| source.r#type().as_str()));
        if kind != Some("S3") {
            return Err(ApiError::InvalidInput(format!(
                "the local CodeBuild builds sources of the type S3, not {}",
                kind.unwrap_or("none")
            )));
        }
        let location = request.source_location_override.as_deref();
        let location = location.or_else(|| source.and_then(|source| source.location()));
        let version = request.source_version.as_deref().or(project.source_version());
        let environment = project.environment();
        let own = environment.map_or(&[][..], |environment| environment.environment_variables());
        let own = own.iter().map(variable);
        let timeout = request
            .timeout_in_minutes_override
            .or_else(|| u16::try_from(project.timeout_in_minutes()?).ok());
        let buildspec = request.buildspec_override.as_deref();
        let buildspec = buildspec.or_else(|| source.and_then(|source| source.buildspec()));
        let artifacts = match (&request.artifacts_override, project.artifacts()) {
            (Some(artifacts), _) => Some(artifacts.clone()),
            (None, artifacts) => artifacts.map(project_artifacts),
        };
        Ok(Self {
            project: name.clone(),
            role,
            source: Source::parse(location.unwrap_or_default(), version)?,
            buildspec: buildspec.filter(|text| !text.is_empty()).map(ToOwned::to_owned),
            output: artifacts.map_or(Ok(None), |artifacts| Output::of(&artifacts, name, build))?,
            environment: Environment {
                r#type: environment.map_or_else(String::new, |one| one.r#type().as_str().to_owned()),
                image: environment.map_or_else(String::new, |one| one.image().to_owned()),
                compute_type: environment
                    .map_or_else(String::new, |one| one.compute_type().as_str().to_owned()),
                environment_variables: merge(own, &request.environment_variables_override)?,
            },
            timeout_in_minutes: check_timeout(timeout.unwrap_or(60))?,
            not_applied: request.others.keys().cloned().collect(),
        })
    }
}

fn variable(variable: &EnvironmentVariable) -> Variable {
    Variable {
        name: variable.name().to_owned(),
        value: variable.value().to_owned(),
        kind: variable
            .r#type()
            .map_or("PLAINTEXT", |kind| kind.as_str())
            .to_owned(),
    }
}

fn project_artifacts(artifacts: &ProjectArtifacts) -> Artifacts {
    Artifacts {
        r#type: artifacts.r#type().as_str().to_owned(),
        location: artifacts.location().map(ToOwned::to_owned),
        path: artifacts.path().map(ToOwned::to_owned),
        name: artifacts.name().map(ToOwned::to_owned),
        namespace_type: artifacts.namespace_type().map(|kind| kind.as_str().to_owned()),
        packaging: artifacts
            .packaging()
            .map(|packaging| packaging.as_str().to_owned()),
    }
}

/// Merges the variables of a project with those of a request, which go before.
fn merge(project: impl Iterator<Item = Variable>, request: &[Variable]) -> Result<Vec<Variable>, ApiError> {
    let mut all = BTreeMap::new();
    for variable in project.chain(request.iter().cloned()) {
        if !is_variable(&variable.name) || variable.value.contains('\0') {
            return Err(ApiError::InvalidInput(format!(
                "{:?} is not an environment variable: use letters, digits and underscores in its name",
                variable.name
            )));
        }
        if variable.kind != "PLAINTEXT" {
            return Err(ApiError::InvalidInput(format!(
                "the local CodeBuild has environment variables of the type PLAINTEXT only, and {} is of the type {}",
                variable.name, variable.kind
            )));
        }
        all.insert(variable.name.clone(), variable);
    }
    Ok(all.into_values().collect())
}

fn check_timeout(minutes: u16) -> Result<u16, ApiError> {
    if TIMEOUTS.contains(&minutes) {
        return Ok(minutes);
    }
    Err(ApiError::InvalidInput(format!(
        "timeoutInMinutes is {minutes}, which is not between {} and {}",
        TIMEOUTS.start(),
        TIMEOUTS.end()
    )))
}

impl Source {
    /// Parses `bucket/key` or `arn:aws:s3:::bucket/key`.
    fn parse(location: &str, version: Option<&str>) -> Result<Self, ApiError> {
        let path = location.strip_prefix("arn:aws:s3:::").unwrap_or(location);
        match path.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Self {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                version: version
                    .filter(|version| !version.is_empty())
                    .map(ToOwned::to_owned),
            }),
            _ => Err(ApiError::InvalidInput(format!(
                "the source location {location:?} is not of the form bucket/key"
            ))),
        }
    }
}

impl Output {
    /// Returns where `artifacts` puts the output of a build, or `None` if it has none.
    fn of(artifacts: &Artifacts, project: &str, build: &str) -> Result<Option<Self>, ApiError> {
        match artifacts.r#type.as_str() {
            "NO_ARTIFACTS" => return Ok(None),
            "S3" => {}
            other => {
                return Err(ApiError::InvalidInput(format!(
                    "the local CodeBuild has artifacts of the types S3 and NO_ARTIFACTS, not {other}"
                )));
            }
        }
        if artifacts.packaging.as_deref() != Some("ZIP") {
            return Err(ApiError::InvalidInput(
                "the local CodeBuild packs artifacts as one zip: set their packaging to ZIP".to_owned(),
            ));
        }
        let bucket = artifacts.location.as_deref().unwrap_or_default();
        if bucket.is_empty() || bucket.contains('/') {
            return Err(ApiError::InvalidInput(format!(
                "artifacts.location is {bucket:?}, which is no bucket"
            )));
        }
        let by_id = artifacts.namespace_type.as_deref() == Some("BUILD_ID");
        let parts = [
            artifacts.path.as_deref().unwrap_or_default(),
            if by_id { build } else { "" },
            artifacts.name.as_deref().unwrap_or(project),
        ];
        let parts = parts.map(|part| part.trim_matches('/'));
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Ok(Some(Self {
            bucket: bucket.to_owned(),
            key: parts.join("/"),
        }))
    }

    /// Returns its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_key() {
        let parsed = Source::parse("zips/a/b.zip", Some("v1")).unwrap();
        assert_eq!((parsed.bucket.as_str(), parsed.key.as_str()), ("zips", "a/b.zip"));
        assert_eq!(parsed.version.as_deref(), Some("v1"));
        assert_eq!(
            Source::parse("arn:aws:s3:::zips/k", Some("")).unwrap().version,
            None
        );
        for wrong in ["", "zips", "/k", "zips/"] {
            assert!(Source::parse(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_output_is_a_zip_below_the_path() {
        let artifacts = Artifacts {
            r#type: "S3".to_owned(),
            location: Some("built".to_owned()),
            path: Some("builds/7/".to_owned()),
            name: Some("output.zip".to_owned()),
            namespace_type: None,
            packaging: Some("ZIP".to_owned()),
        };
        let key = |artifacts: &Artifacts| {
            Output::of(artifacts, "project", "uuid").map(|output| output.unwrap().key)
        };
        assert_eq!(key(&artifacts).unwrap(), "builds/7/output.zip");
        let by_id = Artifacts {
            namespace_type: Some("BUILD_ID".to_owned()),
            path: None,
            name: None,
            ..artifacts.clone()
        };
        assert_eq!(key(&by_id).unwrap(), "uuid/project");
        for wrong in [
            Artifacts {
                packaging: None,
                ..artifacts.clone()
            },
            Artifacts {
                location: None,
                ..artifacts.clone()
            },
            Artifacts {
                r#type: "CODEPIPELINE".to_owned(),
                ..artifacts
            },
        ] {
            assert!(key(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_s_variables_go_before_the_project_s() {
        let variable = |name: &str, value: &str| Variable {
            name: name.to_owned(),
            value: value.to_owned(),
            kind: "PLAINTEXT".to_owned(),
        };
        let project = [variable("A", "1"), variable("B", "1")];
        let merged = merge(project.into_iter(), &[variable("B", "2")]).unwrap();
        assert_eq!(merged, [variable("A", "1"), variable("B", "2")]);
        let secret = Variable {
            kind: "SECRETS_MANAGER".to_owned(),
            ..variable("C", "x")
        };
        assert!(
            merge([].into_iter(), &[secret])
                .unwrap_err()
                .to_string()
                .contains("SECRETS_MANAGER")
        );
        assert!(merge([].into_iter(), &[variable("LD-X", "x")]).is_err());
    }

    #[test]
    fn timeouts_are_those_that_codebuild_allows() {
        assert_eq!(check_timeout(5), Ok(5));
        assert!(check_timeout(4).is_err());
    }
}
