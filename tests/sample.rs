//! Builds and deploys the sample application, and breaks it in each way.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::process::Child;
use std::time::{Duration, Instant};

use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter};
use aws_sdk_codebuild::types::{
    ArtifactPackaging, ArtifactsType, Build, BuildPhaseType, ProjectArtifacts, SourceType, StatusType,
};
use local_aws::ministack::{Ministack, Settings};
use local_aws::tools::Tools;
use local_codebuild::CodeBuild;
use reqwest::Method;
use sample_application::{Broken, FUNCTION, SampleApplication, alarm};
use serde_json::{Value, json};
use shell::progress::Progress;
use strum::VariantArray as _;
use testkit::git;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::fixtures::aws::Caller;

/// The application's folder and its stack.
const APP: &str = "greeter";

/// How long a build may take.
const BUILD_TIME: Duration = Duration::from_secs(3);

struct Aws {
    administrator: Caller,
    s3: aws_sdk_s3::Client,
    stacks: aws_sdk_cloudformation::Client,
    builds: aws_sdk_codebuild::Client,
    folder: tempfile::TempDir,
    process: Child,
    _codebuild: CodeBuild,
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Aws {
    async fn start() -> Self {
        let tools = Tools::install(Progress::on_stderr()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let started = Ministack::start(&tools, &Settings::default(), folder.path(), true).await;
        let (ministack, process) = started.unwrap();
        let config = ministack.sdk_config();
        let settings =
            local_codebuild::Settings::new(config.clone(), "000000000000", folder.path().join("builds"));
        let codebuild = CodeBuild::start(settings).await.unwrap();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
        let endpoint = config.to_builder().endpoint_url(codebuild.endpoint()).build();
        let aws = Self {
            administrator: Caller::administrator(&ministack),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            stacks: aws_sdk_cloudformation::Client::new(&config),
            builds: aws_sdk_codebuild::Client::new(&endpoint),
            folder,
            process,
            _codebuild: codebuild,
        };
        aws.s3.create_bucket().bucket("bucket").send().await.unwrap();
        aws.create_project().await;
        aws
    }

    async fn create_project(&self) {
        let allow = |statement: Value| json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let trust = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "codebuild.amazonaws.com"}});
        let rights = json!({"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"});
        let (trust, rights) = (allow(trust), allow(rights));
        let version = ("Version", "2010-05-08");
        let create = [
            ("Action", "CreateRole"),
            version,
            ("RoleName", "build"),
            ("AssumeRolePolicyDocument", &trust),
        ];
        let put = [
            ("Action", "PutRolePolicy"),
            version,
            ("RoleName", "build"),
            ("PolicyName", "build"),
            ("PolicyDocument", &rights),
        ];
        assert_eq!(self.administrator.query("iam", &create).await.status, 200);
        assert_eq!(self.administrator.query("iam", &put).await.status, 200);
        let project = json!({
            "name": APP,
            "serviceRole": "arn:aws:iam::000000000000:role/build",
            "source": {"type": "NO_SOURCE"},
            "artifacts": {"type": "NO_ARTIFACTS"},
        });
        let target = "CodeBuild_20161006.CreateProject";
        self.administrator
            .json("codebuild", target, &project)
            .await
            .value();
    }

    /// Commits the application, and builds the commit. Returns the build and its output.
    async fn build(&self, application: &SampleApplication) -> (Build, Option<Vec<u8>>) {
        let repository = self.folder.path().join("repository");
        let commit = git::commit(&repository, &application.files(), "Another version");
        let archive = git::output(
            git::command(&repository).args(["archive", "--format=zip", &commit]),
            b"",
        );
        self.put("source.zip", archive).await;
        let artifacts = ProjectArtifacts::builder()
            .r#type(ArtifactsType::S3)
            .location("bucket")
            .path(&commit)
            .name("output.zip")
            .packaging(ArtifactPackaging::Zip);
        let begin = Instant::now();
        let start = self
            .builds
            .start_build()
            .project_name(APP)
            .source_type_override(SourceType::S3)
            .source_location_override("bucket/source.zip")
            .buildspec_override(format!("{APP}/buildspec.yml"))
            .artifacts_override(artifacts.build().unwrap());
        let id = start.send().await.unwrap().build_value.unwrap().id.unwrap();
        let build = loop {
            let got = self.builds.batch_get_builds().ids(&id).send().await.unwrap();
            let build = got.builds()[0].clone();
            if build.build_complete() {
                break build;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{build:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(begin.elapsed() < BUILD_TIME, "{:?}", begin.elapsed());
        let get = self
            .s3
            .get_object()
            .bucket("bucket")
            .key(format!("{commit}/output.zip"));
        let output = match get.send().await {
            Ok(object) => Some(object.body.collect().await.unwrap().to_vec()),
            Err(_) => None,
        };
        (build, output)
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let put = self.s3.put_object().bucket("bucket").key(key).body(bytes.into());
        put.send().await.unwrap();
    }

    /// Deploys an output as the deploy machine does, with what is live left so. Returns the stack's status, or the
    /// error's message.
    async fn deploy(&self, output: Vec<u8>, name: &str, live: &str) -> Result<String, String> {
        let mut output = ZipArchive::new(Cursor::new(output)).unwrap();
        let mut text = |path: &str| {
            let mut text = String::new();
            output.by_name(path).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("greet.py", SimpleFileOptions::default()).unwrap();
        zip.write_all(text("GreetFunction/greet.py").as_bytes()).unwrap();
        self.put(name, zip.finish().unwrap().into_inner()).await;
        let code = format!("CodeUri: s3://bucket/{name}");
        let template = text("template.yaml").replace("CodeUri: GreetFunction", &code);
        let kind = if live.is_empty() {
            ChangeSetType::Create
        } else {
            ChangeSetType::Update
        };
        let parameter = Parameter::builder()
            .parameter_key(format!("{FUNCTION}LiveVersion"))
            .parameter_value(live);
        let create = self
            .stacks
            .create_change_set()
            .stack_name(APP)
            .change_set_name(name)
            .change_set_type(kind)
            .template_body(template)
            .parameters(parameter.build())
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityAutoExpand);
        create.send().await.map_err(|error| format!("{error:?}"))?;
        let change_set = || {
            self.stacks
                .describe_change_set()
                .stack_name(APP)
                .change_set_name(name)
        };
        loop {
            let described = change_set().send().await.unwrap();
            match described.status().unwrap().as_str() {
                "CREATE_COMPLETE" => break,
                "FAILED" => return Err(format!("{described:?}")),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        let execute = self
            .stacks
            .execute_change_set()
            .stack_name(APP)
            .change_set_name(name);
        execute.send().await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let described = self
                .stacks
                .describe_stacks()
                .stack_name(APP)
                .send()
                .await
                .unwrap();
            let status = described.stacks()[0].stack_status().unwrap().as_str();
            if !status.ends_with("IN_PROGRESS") {
                return Ok(status.to_owned());
            }
            assert!(Instant::now() < deadline, "{status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Calls the function as its probe does, by an alias.
    async fn call(&self, alias: &str) -> Value {
        let described = self
            .stacks
            .describe_stacks()
            .stack_name(APP)
            .send()
            .await
            .unwrap();
        let mut outputs = described.stacks()[0].outputs().iter();
        let name = outputs
            .find(|output| output.output_key() == Some("FunctionName"))
            .unwrap();
        let path = format!(
            "/2015-03-31/functions/{}:{alias}/invocations",
            name.output_value().unwrap()
        );
        let functions: Value = serde_json::from_str(sample_application::FUNCTIONS).unwrap();
        let payload = functions[FUNCTION]["probe"]["payload"].to_string();
        let answer = self
            .administrator
            .rest("lambda", Method::POST, &path, payload)
            .await;
        answer.value()
    }

    async fn alarm_state(&self) -> String {
        let name = alarm(APP);
        let parameters = [
            ("Action", "DescribeAlarms"),
            ("Version", "2010-08-01"),
            ("AlarmNames.member.1", &name),
        ];
        let text = self.administrator.query("monitoring", &parameters).await.text;
        let (_, state) = text.split_once("<StateValue>").unwrap();
        state.split_once('<').unwrap().0.to_owned()
    }
}

fn exported(build: &Build) -> BTreeMap<&str, &str> {
    let variables = build.exported_environment_variables().iter();
    variables
        .map(|variable| (variable.name().unwrap(), variable.value().unwrap()))
        .collect()
}

/// Returns the first phase of a build that has not succeeded.
fn failed(build: &Build) -> Option<&str> {
    let mut phases = build.phases().iter();
    let failed = phases.find(|phase| {
        phase
            .phase_status()
            .is_some_and(|status| *status != StatusType::Succeeded)
    })?;
    failed.phase_type().map(BuildPhaseType::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_application_is_built_deployed_and_broken() {
    let aws = Aws::start().await;
    let sound = SampleApplication::new(APP, "Hello");
    let (build, output) = aws.build(&sound).await;
    assert_eq!(failed(&build), None);
    let tests = BTreeMap::from([("TESTS_PASSED", "2"), ("TESTS_SKIPPED", "1")]);
    assert_eq!(exported(&build), tests);
    assert_eq!(
        aws.deploy(output.unwrap(), "sound", "").await.unwrap(),
        "CREATE_COMPLETE"
    );
    let first = json!({"statusCode": 200, "greeting": "Hello, Ada!", "version": "1"});
    assert_eq!(aws.call("next").await, first);
    assert_eq!(aws.call("live").await, first);
    assert_ne!(aws.alarm_state().await, "ALARM");

    for broken in Broken::VARIANTS {
        let (build, output) = aws.build(&sound.clone().broken(*broken)).await;
        let output = match broken {
            Broken::Test | Broken::Build => {
                let phase = if *broken == Broken::Test {
                    "PRE_BUILD"
                } else {
                    "BUILD"
                };
                assert_eq!(failed(&build), Some(phase));
                continue;
            }
            Broken::NoTests => {
                assert_eq!(exported(&build)["TESTS_PASSED"], "0");
                continue;
            }
            _ => output.unwrap(),
        };
        assert_eq!(failed(&build), None, "{broken}");
        let name = broken.to_string();
        let deployed = aws.deploy(output, &name, "1").await;
        match broken {
            Broken::Template => {
                let refused = deployed.unwrap_err();
                assert!(refused.contains("AWS::Lambda::Nickname"), "{refused}");
                continue;
            }
            Broken::Update => assert_eq!(deployed.unwrap(), "UPDATE_ROLLBACK_COMPLETE"),
            _ => assert_eq!(deployed.unwrap(), "UPDATE_COMPLETE"),
        }
        let answer = aws.call("next").await;
        if *broken == Broken::Update {
            assert_eq!(answer, first);
            continue;
        }
        assert_eq!(
            answer["statusCode"],
            if *broken == Broken::Probe { 500 } else { 200 }
        );
        assert_ne!(answer["version"], first["version"]);
        assert_eq!(
            aws.alarm_state().await == "ALARM",
            *broken == Broken::Alarm,
            "{broken}"
        );
        assert_eq!(aws.call("live").await, first);
    }
}
