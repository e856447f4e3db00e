//! A build of a push from its start to what is kept of it, by the project's own CodeBuild.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use ::artifacts::bucket::{ArtifactStore as _, S3Artifacts};
use ::artifacts::evidence::{DynamoEvidence, EvidenceStore as _};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use compile::{CodeBuild, Deps, Error};
use delivery::artifact::{Artifact, Digest};
use delivery::contract::{BuildInput, BuiltInput, Request};
use delivery::samples;
use domain::error::{Code, Coded};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{Aws, BUCKET, TABLE};

const SOURCES: &str = "zips";
const PROJECT: &str = "project";

/// What `sam build` writes, as far as it matters here.
const TEMPLATE: &str = r#"{"Resources": {
    "Ask": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "Ask"}},
    "Machine": {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "../../machine.asl.json"}}
}}"#;

/// A project whose builds test with this command.
fn buildspec(test: &str) -> String {
    format!(
        r#"
version: 0.2
env:
  exported-variables: [TESTS_PASSED, TESTS_SKIPPED]
phases:
  pre_build:
    commands:
      - {test}
      - export TESTS_PASSED=3 TESTS_SKIPPED=1
  build:
    commands:
      - mkdir -p app/.aws-sam/build/Ask
      - cp app/template.json app/.aws-sam/build/template.yaml
      - echo "$COMMIT $TREE $DIRECTORY" >app/.aws-sam/build/Ask/bootstrap
      - chmod +x app/.aws-sam/build/Ask/bootstrap
artifacts:
  base-directory: app/.aws-sam/build
  files: ['**/*']
"#
    )
}

struct Scene {
    aws: Aws,
    builds: CodeBuild,
    artifacts: S3Artifacts,
    evidence: DynamoEvidence,
    request: Request,
    _codebuild: local_codebuild::CodeBuild,
}

impl Scene {
    async fn start(buildspec: Option<&str>) -> Self {
        let aws = Aws::start().await;
        aws.create_table().await;
        let s3 = aws_sdk_s3::Client::new(&aws.config);
        s3.create_bucket().bucket(SOURCES).send().await.unwrap();
        let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let request = s3.put_bucket_versioning().bucket(SOURCES);
        request
            .versioning_configuration(versions.build())
            .send()
            .await
            .unwrap();
        create_project(&aws).await;

        let mut request = samples::request();
        let mut files = vec![("app/template.json", TEMPLATE), ("app/machine.asl.json", "{}")];
        files.extend(buildspec.map(|text| ("app/buildspec.yml", text)));
        let source = zip(&files);
        request.zip.sha256 = Digest::of(&source);
        let put = s3.put_object().bucket(SOURCES).key(&request.zip.key);
        let put = put.body(source.into()).send().await.unwrap();
        request.zip.version_id = put.version_id.unwrap();

        let folder = aws.folder.path().join("builds");
        let settings = local_codebuild::Settings::new(aws.config.clone(), "000000000000", folder);
        let codebuild = local_codebuild::CodeBuild::start(settings).await.unwrap();
        let config = ::aws::at(&aws.config, Some(codebuild.endpoint().to_owned()));
        Self {
            builds: CodeBuild::new(&config, PROJECT.to_owned(), BUCKET.to_owned()),
            artifacts: aws.artifacts(),
            evidence: DynamoEvidence::new(&aws.config, TABLE.to_owned()),
            request,
            aws,
            _codebuild: codebuild,
        }
    }

    /// Starts a build, and waits until it has ended.
    async fn build(&self, execution: &str) -> Result<BuiltInput, Error> {
        let input = BuildInput {
            request: self.request.clone(),
        };
        let build = compile::start(&self.builds, &samples::execution(execution), &input).await?;
        let input = BuiltInput {
            request: self.request.clone(),
            build,
        };
        for _ in 0..600 {
            if compile::check(&self.builds, &input).await?.complete {
                return Ok(input);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the build does not end");
    }

    async fn collect(&self, input: &BuiltInput) -> Result<Artifact, Error> {
        let deps = Deps {
            builds: &self.builds,
            artifacts: &self.artifacts,
            evidence: &self.evidence,
        };
        compile::collect(&deps, &samples::execution("e1"), input).await
    }

    async fn read(&self, digest: &Digest) -> Vec<u8> {
        let path = self.aws.folder.path().join("read");
        self.artifacts.get(digest, 1 << 20, &path).await.unwrap();
        std::fs::read(path).unwrap()
    }
}

/// Creates the project with a role for its builds.
async fn create_project(aws: &Aws) {
    let policy = |statement: Value| json!({ "Version": "2012-10-17", "Statement": [statement] });
    let service = json!({ "Effect": "Allow", "Principal": { "Service": "codebuild.amazonaws.com" }, "Action": "sts:AssumeRole" });
    let rights = json!({ "Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*" });
    let template = json!({ "Resources": {
        "Role": { "Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": policy(service),
            "Policies": [{ "PolicyName": "p", "PolicyDocument": policy(rights) }],
        } },
        "Log": { "Type": "AWS::Logs::LogGroup", "Properties": { "LogGroupName": "/aws/codebuild/project" } },
        "Project": { "Type": "AWS::CodeBuild::Project", "Properties": {
            "Name": PROJECT,
            "ServiceRole": { "Fn::GetAtt": ["Role", "Arn"] },
            "Source": { "Type": "NO_SOURCE", "BuildSpec": "version: 0.2" },
            "Artifacts": { "Type": "NO_ARTIFACTS" },
            "Environment": { "Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "aws/codebuild/amazonlinux-x86_64-standard:5.0" },
            "LogsConfig": { "CloudWatchLogs": { "Status": "ENABLED", "GroupName": { "Ref": "Log" } } },
        } },
    } });
    crate::create_stack(&aws.config, "project", &template).await;
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_tested_built_and_kept_and_a_second_build_of_its_tree_is_the_first() {
    let scene = Scene::start(Some(&buildspec("true"))).await;
    let input = scene.build("e1").await.unwrap();
    let artifact = scene.collect(&input).await.unwrap();
    assert_eq!((artifact.tests.passed, artifact.tests.skipped), (3, 1));
    let template: Value = serde_json::from_slice(&scene.read(&artifact.template).await).unwrap();
    let code = &artifact.objects[0];
    assert_eq!(
        template["Resources"]["Ask"]["Properties"]["CodeUri"]["Key"],
        code.sha256.key()
    );
    let mut code = zip::ZipArchive::new(Cursor::new(scene.read(&code.sha256).await)).unwrap();
    let bootstrap = std::io::read_to_string(code.by_name("bootstrap").unwrap()).unwrap();
    let push = &scene.request.push;
    assert_eq!(bootstrap.trim_end(), format!("{} {} app", push.commit, push.tree));
    assert_eq!(code.by_name("bootstrap").unwrap().unix_mode(), Some(0o100_755));
    assert_eq!(scene.read(&artifact.objects[1].sha256).await, b"{}");
    let provenance: Value = serde_json::from_slice(&scene.read(&artifact.provenance).await).unwrap();
    assert_eq!(
        provenance["predicate"]["runDetails"]["metadata"]["invocationId"],
        format!(
            "arn:aws:codebuild:us-east-1:000000000000:build/{}",
            input.build.build_id
        )
    );

    // The same execution has one build, and another one a build of its own, which makes the same bytes.
    assert_eq!(scene.build("e1").await.unwrap(), input);
    let other = scene.build("e2").await.unwrap();
    assert_ne!(other.build.build_id, input.build.build_id);
    assert_eq!(scene.collect(&other).await.unwrap(), artifact);
    let found = scene
        .evidence
        .find(&artifact.application, &artifact.tree)
        .await
        .unwrap();
    assert_eq!(found, Some(artifact));
}

#[tokio::test(flavor = "multi_thread")]
async fn red_tests_and_a_missing_buildspec_are_told_apart() {
    let scene = Scene::start(Some(&buildspec("exit 7"))).await;
    let error = scene.build("e1").await.unwrap_err();
    assert_eq!(error.code(), Code::TestsFailed, "{error}");
    assert!(error.to_string().contains("/aws/codebuild/project"), "{error}");
    let scene = Scene::start(None).await;
    let error = scene.build("e1").await.unwrap_err();
    assert_eq!(error.code(), Code::BuildspecMissing, "{error}");
}
