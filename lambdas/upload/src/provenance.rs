//! The provenance document: an in-toto statement (<https://in-toto.io/Statement/v1>) with SLSA's provenance predicate
//! (<https://slsa.dev/spec/v1.1/provenance>), which says what a zip was made of, and by which execution.
//!
//! The document of one execution is the same each time. A signature over it is not.

use chrono::{DateTime, Utc};
use domain::contract::{Envelope, UploadInput};
use domain::git::ObjectId;
use domain::source::Options;
use serde::Serialize;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The build type, which defines `externalParameters` and `internalParameters`: see docs/architecture.md.
pub const BUILD_TYPE: &str = "urn:push-code:archive:v1";

/// The document's media type.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Resource<ArchiveDigest<'a>>; 1],
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

/// A resource descriptor of in-toto.
#[derive(Serialize)]
struct Resource<D> {
    uri: String,
    digest: D,
}

#[derive(Serialize)]
struct ArchiveDigest<'a> {
    sha256: &'a str,
}

/// The ids of git's objects, by in-toto's names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GitDigest<'a> {
    git_commit: &'a str,
    git_tree: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: ExternalParameters<'a>,
    internal_parameters: InternalParameters<'a>,
    resolved_dependencies: Vec<Resource<GitDigest<'a>>>,
}

#[derive(Serialize)]
struct ExternalParameters<'a> {
    source: &'a str,
    repository: &'a str,
    #[serde(rename = "ref")]
    ref_name: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
    pusher: Option<&'a str>,
}

#[derive(Serialize)]
struct InternalParameters<'a> {
    push_id: String,
    delivery_id: &'a str,
    sequence: u64,
    options: &'a Options,
    /// The push whose zip a rollback has delivered again. The options are those by which it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_to: Option<String>,
}

#[derive(Serialize)]
struct RunDetails<'a> {
    builder: Builder,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Builder {
    id: String,
    version: Version,
}

#[derive(Serialize)]
struct Version {
    #[serde(rename = "push-code")]
    push_code: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    invocation_id: &'a str,
    started_on: DateTime<Utc>,
}

/// Returns the document as JSON.
pub fn document(envelope: &Envelope<UploadInput>) -> Result<Vec<u8>, serde_json::Error> {
    let (push, input, execution) = (&envelope.push, &envelope.input, &envelope.execution);
    let fetched = &input.fetched;
    // The form is SPDX's URI of a version control system, which in-toto documents use.
    let git = |url: &str, at: &str| format!("git+{url}@{at}");
    let mut dependencies = vec![Resource {
        uri: git(&fetched.url, push.ref_name.as_str()),
        digest: GitDigest {
            git_commit: fetched.commit.as_str(),
            git_tree: fetched.tree.as_str(),
        },
    }];
    dependencies.extend(fetched.submodules.iter().map(|module| Resource {
        uri: git(module.url.as_str(), module.commit.as_str()),
        digest: GitDigest {
            git_commit: module.commit.as_str(),
            git_tree: module.tree.as_str(),
        },
    }));
    let mut json = serde_json::to_vec_pretty(&Statement {
        kind: STATEMENT,
        subject: [Resource {
            uri: input.deliver.destination.to_string(),
            digest: ArchiveDigest {
                sha256: &input.archive.sha256,
            },
        }],
        predicate_type: PREDICATE,
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE,
                external_parameters: ExternalParameters {
                    source: push.source.as_str(),
                    repository: push.repository.as_str(),
                    ref_name: push.ref_name.as_str(),
                    before: push.before.as_ref().map(ObjectId::as_str),
                    after: push.after.as_ref().map(ObjectId::as_str),
                    pusher: push.pusher.as_deref(),
                },
                internal_parameters: InternalParameters {
                    push_id: push.push_id.to_string(),
                    delivery_id: push.delivery_id.as_str(),
                    sequence: input.deliver.sequence,
                    options: &input.deliver.options,
                    rollback_to: push.rollback_to.map(|to| to.to_string()),
                },
                resolved_dependencies: dependencies,
            },
            run_details: RunDetails {
                builder: Builder {
                    id: state_machine(&execution.id),
                    version: Version {
                        push_code: env!("CARGO_PKG_VERSION"),
                    },
                },
                metadata: Metadata {
                    invocation_id: &execution.id,
                    started_on: execution.started_at,
                },
            },
        },
    })?;
    json.push(b'\n');
    Ok(json)
}

/// Returns the ARN of the execution's state machine, or `execution` itself if it is not the ARN of an execution.
fn state_machine(execution: &str) -> String {
    let machine = execution.replacen(":execution:", ":stateMachine:", 1);
    match machine.rsplit_once(':') {
        Some((machine, _)) if machine.contains(":stateMachine:") => machine.to_owned(),
        _ => execution.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use domain::contract::FetchedSubmodule;
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::scene::{EXECUTION, envelope, object_id, push};

    #[test]
    fn the_document_says_what_the_zip_was_made_of_and_by_which_execution() {
        let mut envelope = envelope(push("d1", None, Some('a')), 7);
        envelope.input.fetched.submodules.push(FetchedSubmodule {
            path: "lib".to_owned(),
            url: "https://git.example.com/group/lib.git".parse().unwrap(),
            commit: object_id('c').into_commit(),
            tree: object_id('d'),
            pack: envelope.input.fetched.pack.clone(),
            index: envelope.input.fetched.index.clone(),
            base: None,
        });
        let text = document(&envelope).unwrap();
        assert_eq!(text.last(), Some(&b'\n'));
        let digits = |letter: &str| letter.repeat(40);
        assert_eq!(
            serde_json::from_slice::<Value>(&text).unwrap(),
            json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{
                    "uri": "s3://zips/gitlab/group/project/tags/v1.zip",
                    "digest": {"sha256": "a".repeat(64)},
                }],
                "predicateType": "https://slsa.dev/provenance/v1",
                "predicate": {
                    "buildDefinition": {
                        "buildType": "urn:push-code:archive:v1",
                        "externalParameters": {
                            "source": "gitlab",
                            "repository": "group/project",
                            "ref": "refs/tags/v1",
                            "before": null,
                            "after": digits("a"),
                            "pusher": "jo",
                        },
                        "internalParameters": {
                            "push_id": envelope.push.push_id.to_string(),
                            "delivery_id": "d1",
                            "sequence": 7,
                            "options": Options::default(),
                        },
                        "resolvedDependencies": [
                            {
                                "uri": "git+https://git.example.com/group/project.git@refs/tags/v1",
                                "digest": {"gitCommit": digits("a"), "gitTree": digits("e")},
                            },
                            {
                                "uri": format!("git+https://git.example.com/group/lib.git@{}", digits("c")),
                                "digest": {"gitCommit": digits("c"), "gitTree": digits("d")},
                            },
                        ],
                    },
                    "runDetails": {
                        "builder": {
                            "id": "arn:aws:states:eu-west-1:123456789012:stateMachine:stack-push",
                            "version": {"push-code": env!("CARGO_PKG_VERSION")},
                        },
                        "metadata": {"invocationId": EXECUTION, "startedOn": "2023-11-14T22:13:20Z"},
                    },
                },
            })
        );
    }

    #[test]
    fn the_builder_is_the_state_machine() {
        assert_eq!(
            state_machine(EXECUTION),
            "arn:aws:states:eu-west-1:123456789012:stateMachine:stack-push"
        );
        for other in ["local", "local:1"] {
            assert_eq!(state_machine(other), other);
        }
    }
}
