//! The states over builds that a test sets, with the real zips of a repository and of `sam build`.

use std::io::{Cursor, Write as _};
use std::sync::Mutex;

use artifacts::memory::{BUCKET, MemoryArtifacts, MemoryEvidence};
use aws::AwsFailure;
use chrono::TimeDelta;
use delivery::artifact::{Artifact, Digest};
use delivery::contract::BuildLog;
use delivery::samples;
use domain::error::{Class, Code, Coded};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const TEMPLATE: &str = "
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Ask:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Ask
      Handler: bootstrap
  Again:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Ask
      Handler: again
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: ../../machine.asl.json
";

/// Builds of which each is as the test has set it.
#[derive(Default)]
struct Fixed {
    builds: Mutex<BTreeMap<String, Build>>,
    started: Mutex<Vec<BuildRequest>>,
}

impl Builds for Fixed {
    async fn start(&self, request: &BuildRequest) -> Result<String, AwsFailure> {
        let mut started = self.started.lock().unwrap();
        started.push(request.clone());
        Ok(format!("project:{}", request.token))
    }

    async fn get(&self, id: &str) -> Result<Option<Build>, AwsFailure> {
        Ok(self.builds.lock().unwrap().get(id).cloned())
    }
}

fn build() -> Build {
    Build {
        id: "project:1".to_owned(),
        arn: "arn:aws:codebuild:eu-west-1:123456789012:build/project:1".to_owned(),
        status: BuildStatus::Succeeded,
        phase: "COMPLETED".to_owned(),
        failed: None,
        log: Some(BuildLog {
            group: "/aws/codebuild/project".to_owned(),
            stream: "1".to_owned(),
        }),
        exported: BTreeMap::from([
            ("TESTS_PASSED".to_owned(), "12\n".to_owned()),
            ("TESTS_SKIPPED".to_owned(), "1".to_owned()),
        ]),
        image: "aws/codebuild/amazonlinux-x86_64-standard:5.0".to_owned(),
        output_sha256: None,
        started_at: Some(samples::time()),
        ended_at: Some(samples::time() + TimeDelta::minutes(3)),
    }
}

fn failed(status: &str, phase: &str, code: &str) -> Build {
    Build {
        status: BuildStatus::Failed(status.to_owned()),
        failed: Some(FailedPhase {
            name: phase.to_owned(),
            code: code.to_owned(),
            message: "Error while executing command: cargo test. Reason: exit status 101".to_owned(),
        }),
        ..build()
    }
}

fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

struct Scene {
    builds: Fixed,
    artifacts: MemoryArtifacts,
    evidence: MemoryEvidence,
    input: BuiltInput,
}

impl Scene {
    fn new(output: &[(&str, &str)]) -> Self {
        let artifacts = MemoryArtifacts::default();
        let mut request = samples::request();
        let source = zip(&[
            ("app/buildspec.yml", "version: 0.2"),
            ("app/machine.asl.json", "{}"),
            ("Cargo.lock", "version = 4"),
        ]);
        request.zip.sha256 = artifacts.write(&request.zip.bucket, &request.zip.key, &source);
        let output_key = output_key(&request, &samples::execution("e1"));
        artifacts.write(BUCKET, &output_key, &zip(output));
        let scene = Self {
            builds: Fixed::default(),
            artifacts,
            evidence: MemoryEvidence::default(),
            input: BuiltInput {
                request,
                build: StartedBuild {
                    build_id: "project:1".to_owned(),
                    output_key,
                },
            },
        };
        scene.set(build());
        scene
    }

    fn built() -> Self {
        Self::new(&[
            ("template.yaml", TEMPLATE),
            ("Ask/bootstrap", "elf"),
            ("other", ""),
        ])
    }

    fn set(&self, build: Build) {
        self.builds.builds.lock().unwrap().insert(build.id.clone(), build);
    }

    async fn check(&self) -> Result<BuildProgress, Error> {
        check(&self.builds, &self.input).await
    }

    async fn collect(&self) -> Result<Artifact, Error> {
        let deps = Deps {
            builds: &self.builds,
            artifacts: &self.artifacts,
            evidence: &self.evidence,
        };
        collect(&deps, &samples::execution("e1"), &self.input).await
    }

    fn json(&self, digest: &Digest) -> Value {
        serde_json::from_slice(&self.artifacts.read(digest).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_build_is_started_once_for_an_execution() {
    let builds = Fixed::default();
    let input = BuildInput {
        request: samples::request(),
    };
    let first = start(&builds, &samples::execution("e1"), &input).await.unwrap();
    let again = start(&builds, &samples::execution("e1"), &input).await.unwrap();
    assert_eq!(first, again);
    let retried = start(&builds, &samples::execution("e2"), &input).await.unwrap();
    assert_ne!(first.build_id, retried.build_id);
    assert_ne!(first.output_key, retried.output_key);
    let deployment_id = input.request.deployment_id;
    let started = builds.started.lock().unwrap();
    assert_eq!(
        started[0],
        BuildRequest {
            token: first.build_id.strip_prefix("project:").unwrap().to_owned(),
            source: "zips/gitlab/group/project/main.zip".to_owned(),
            version_id: "v7".to_owned(),
            buildspec: "app/buildspec.yml".to_owned(),
            output_key: first.output_key.clone(),
            variables: BTreeMap::from([
                ("COMMIT", "c".repeat(40)),
                ("TREE", "e".repeat(40)),
                ("DIRECTORY", "app".to_owned()),
                ("DEPLOYMENT_ID", deployment_id.to_string()),
            ]),
            deployment_id,
        }
    );
    assert!(first.output_key.starts_with(&format!("builds/{deployment_id}/")));
}

#[tokio::test]
async fn a_build_is_waited_for() {
    let scene = Scene::built();
    scene.set(Build {
        status: BuildStatus::InProgress,
        phase: "PRE_BUILD".to_owned(),
        ..build()
    });
    let progress = scene.check().await.unwrap();
    assert!(!progress.complete);
    assert_eq!(progress.phase, "PRE_BUILD");
    scene.set(build());
    let progress = scene.check().await.unwrap();
    assert!(progress.complete);
    assert_eq!(progress.log, build().log);
}

#[tokio::test]
async fn a_failed_build_says_in_which_way_it_has_failed_and_where_its_log_is() {
    let command = "COMMAND_EXECUTION_ERROR";
    let timed_out = Build {
        status: BuildStatus::TimedOut,
        ..failed("TIMED_OUT", "BUILD", "BUILD_TIMED_OUT")
    };
    let cases = [
        (failed("FAILED", "PRE_BUILD", command), Code::TestsFailed),
        (failed("FAILED", "INSTALL", command), Code::BuildFailed),
        (failed("FAILED", "BUILD", command), Code::BuildFailed),
        (
            failed("FAILED", "UPLOAD_ARTIFACTS", "CLIENT_ERROR"),
            Code::BuildFailed,
        ),
        (
            failed("FAULT", "PROVISIONING", "ACCESS_DENIED"),
            Code::BuildFailed,
        ),
        (failed("STOPPED", "PRE_BUILD", ""), Code::BuildFailed),
        (
            failed("FAILED", "DOWNLOAD_SOURCE", "YAML_FILE_ERROR"),
            Code::BuildspecMissing,
        ),
        (timed_out, Code::BuildTimedOut),
    ];
    let mut messages = String::new();
    for (build, code) in cases {
        let scene = Scene::built();
        scene.set(build);
        let error = scene.check().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        messages += &format!("{code}: {error}\n");
    }
    insta::assert_snapshot!(messages);
    let error = Error::Unknown { id: "x".to_owned() };
    assert_eq!(error.code().class(), Class::Transient);
}

#[tokio::test]
async fn what_was_built_is_kept_by_digests() {
    let scene = Scene::built();
    let artifact = scene.collect().await.unwrap();
    let code = scene.json(&artifact.template)["Resources"]["Ask"]["Properties"]["CodeUri"].clone();
    assert_eq!(code, json!({ "Key": artifact.objects[1].sha256.key() }));
    assert!(
        !String::from_utf8(scene.artifacts.read(&artifact.template).unwrap())
            .unwrap()
            .contains(BUCKET)
    );
    let properties: Vec<_> = artifact
        .objects
        .iter()
        .map(|object| object.property.as_str())
        .collect();
    assert_eq!(
        properties,
        ["Again.CodeUri", "Ask.CodeUri", "Machine.DefinitionUri"]
    );
    assert_eq!(artifact.objects[0].sha256, artifact.objects[1].sha256);
    assert_eq!(scene.artifacts.read(&artifact.objects[2].sha256).unwrap(), b"{}");
    for object in &artifact.objects {
        let bytes = scene.artifacts.read(&object.sha256).unwrap();
        assert_eq!(bytes.len() as u64, object.size);
    }
    assert_eq!((artifact.tests.passed, artifact.tests.skipped), (12, 1));
    assert_eq!(Some(artifact.built_at), build().ended_at);
    let buildspec = scene.artifacts.write("x", "y", b"version: 0.2");
    assert_eq!(artifact.buildspec, buildspec);
    insta::assert_json_snapshot!(scene.json(&artifact.provenance));
    // The same again is the same.
    assert_eq!(scene.collect().await.unwrap(), artifact);
}

#[tokio::test]
async fn a_build_without_tests_is_refused() {
    for text in [None, Some("0"), Some(""), Some("many"), Some("-1")] {
        let scene = Scene::built();
        let exported = text.map(|text| ("TESTS_PASSED".to_owned(), text.to_owned()));
        scene.set(Build {
            exported: exported.into_iter().collect(),
            ..build()
        });
        let error = scene.collect().await.unwrap_err();
        assert_eq!(error.code(), Code::NoTests, "{text:?}: {error}");
        assert!(scene.evidence.items.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_output_that_is_not_what_sam_build_writes_is_refused_and_nothing_is_kept() {
    const ASK: (&str, String) = ("Ask/bootstrap", String::new());
    let template = |code: &str| TEMPLATE.replacen("CodeUri: Ask\n", &format!("CodeUri: {code}\n"), 1);
    let cases = [
        (vec![], Code::BuildOutputInvalid, "template.yaml"),
        (
            vec![("template.yaml", "a: !Ref b".to_owned())],
            Code::TemplateInvalid,
            "tag",
        ),
        (
            vec![("template.json", "{".to_owned())],
            Code::TemplateInvalid,
            "template.json",
        ),
        (
            vec![
                ("template.yaml", "Resources: {}".to_owned()),
                ("../x", String::new()),
            ],
            Code::BuildOutputInvalid,
            "../x",
        ),
        (
            vec![("template.yaml", template("Missing")), ASK],
            Code::TemplateInvalid,
            "Ask.CodeUri",
        ),
        (
            vec![("template.yaml", template("/etc")), ASK],
            Code::TemplateInvalid,
            "/etc leads out",
        ),
        (
            vec![("template.yaml", template("../../../../../root")), ASK],
            Code::TemplateInvalid,
            "leads out",
        ),
        // Code comes from the build alone, never from the source.
        (
            vec![("template.yaml", template("../..")), ASK],
            Code::TemplateInvalid,
            "is not a folder",
        ),
        (
            vec![
                ("template.yaml", TEMPLATE.replace("machine.asl", "none.asl")),
                ASK,
            ],
            Code::TemplateInvalid,
            "Machine.DefinitionUri: ../../none.asl.json, which is app/none.asl.json in the repository",
        ),
    ];
    for (entries, code, named) in cases {
        let entries: Vec<_> = entries
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let scene = Scene::new(&entries);
        let before = scene.artifacts.objects.lock().unwrap().len();
        let error = scene.collect().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(scene.artifacts.objects.lock().unwrap().len(), before);
        assert!(scene.evidence.items.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_output_or_a_source_that_is_another_is_refused() {
    let scene = Scene::built();
    scene.set(Build {
        output_sha256: Some("0".repeat(64)),
        ..build()
    });
    assert_eq!(scene.collect().await.unwrap_err().code(), Code::ArtifactMismatch);
    let mut scene = Scene::built();
    scene.input.request.zip.sha256 = samples::digest('0');
    assert_eq!(scene.collect().await.unwrap_err().code(), Code::ArtifactMismatch);
}

#[tokio::test]
async fn of_two_builds_of_a_tree_the_first_is_kept_while_its_objects_are_there() {
    let scene = Scene::built();
    let first = scene.collect().await.unwrap();
    scene.set(Build {
        arn: "arn:aws:codebuild:eu-west-1:123456789012:build/project:2".to_owned(),
        ..build()
    });
    assert_eq!(scene.collect().await.unwrap(), first);
    scene
        .artifacts
        .objects
        .lock()
        .unwrap()
        .remove(&format!("s3://{BUCKET}/{}", first.provenance.key()));
    let second = scene.collect().await.unwrap();
    assert_ne!(second.provenance, first.provenance);
    assert_eq!(scene.collect().await.unwrap(), second);
    // The directory is a setting: with another one the tree is another application's.
    let key = (first.application.to_string(), first.tree.to_string());
    scene
        .evidence
        .items
        .lock()
        .unwrap()
        .get_mut(&key)
        .unwrap()
        .directory = "elsewhere".to_owned();
    assert_eq!(scene.collect().await.unwrap(), second);
}
