//! A local AWS with a project, and the local CodeBuild beside it.

use std::io::{Cursor, Write};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::operation::start_build::builders::StartBuildFluentBuilder;
use aws_sdk_codebuild::types::{
    ArtifactPackaging, ArtifactsType, Build, BuildPhase, BuildPhaseType, ProjectArtifacts, SourceType,
    StatusType,
};
use aws_sdk_s3::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use local_aws::ministack::{self, Ministack};
use local_aws::tools::Tools;
use local_codebuild::{CodeBuild, LogLine, Settings};
use serde_json::Value;
use shell::progress::Progress;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The project.
pub const PROJECT: &str = "app";

pub struct Scene {
    pub aws: SdkConfig,
    pub s3: aws_sdk_s3::Client,
    pub codebuild: CodeBuild,
    pub client: Client,
    pub lines: UnboundedReceiver<LogLine>,
    pub folder: tempfile::TempDir,
    process: Child,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Scene {
    /// Starts the local AWS with the project, and CodeBuild with settings that `change` has changed.
    pub async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let tools = Tools::install(Progress::on_stderr()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = ministack::Settings::default();
        let started = Ministack::start(&tools, &settings, folder.path(), true);
        let (ministack, process) = started.await.unwrap();
        let aws = ministack.sdk_config();
        deploy(&aws).await;
        let mut settings = Settings::new(aws.clone(), "000000000000", folder.path().join("the builds"));
        let (sender, lines) = unbounded_channel();
        settings.lines = Some(sender);
        change(&mut settings);
        let codebuild = CodeBuild::start(settings).await.unwrap();
        let s3 = aws_sdk_s3::config::Builder::from(&aws).force_path_style(true);
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            client: client_at(&aws, codebuild.endpoint()),
            aws,
            codebuild,
            lines,
            folder,
            process,
        }
    }

    /// Puts a zip with these files to `app/source.zip`, and returns its version.
    pub async fn put(&self, files: &[(&str, &str)]) -> String {
        self.put_bytes("app/source.zip", zip(files)).await
    }

    /// Puts an object into the bucket of the zips, and returns its version.
    pub async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> String {
        let put = self.s3.put_object().bucket("zips").key(key).body(bytes.into());
        put.send().await.unwrap().version_id.unwrap()
    }

    /// Returns the request to build a version of `app/source.zip`.
    pub fn build_of(&self, version: &str) -> StartBuildFluentBuilder {
        self.client
            .start_build()
            .project_name(PROJECT)
            .source_type_override(SourceType::S3)
            .source_location_override("zips/app/source.zip")
            .source_version(version)
            .buildspec_override("buildspec.yml")
    }

    /// Starts a build of a source that has only this buildspec.
    pub async fn start_build(&self, buildspec: &str) -> Build {
        let version = self.put(&[("buildspec.yml", buildspec)]).await;
        self.build_of(&version).send().await.unwrap().build_value.unwrap()
    }

    /// Builds a source that has only this buildspec.
    pub async fn build(&self, buildspec: &str) -> Build {
        let started = self.start_build(buildspec).await;
        self.completed(started.id()).await
    }

    /// Returns a build as it is now.
    pub async fn get(&self, id: Option<&str>) -> Build {
        let get = self.client.batch_get_builds().ids(id.unwrap());
        get.send().await.unwrap().builds.unwrap().remove(0)
    }

    /// Waits until a build is complete.
    pub async fn completed(&self, id: Option<&str>) -> Build {
        self.wait_for(id, Build::build_complete).await
    }

    /// Waits until a build is as `wanted`.
    pub async fn wait_for(&self, id: Option<&str>, wanted: impl Fn(&Build) -> bool) -> Build {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let build = self.get(id).await;
            if wanted(&build) {
                return build;
            }
            assert!(Instant::now() < deadline, "{build:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the lines of a build's log.
    pub async fn log(&self, build: &Build) -> String {
        let logs = build.logs().unwrap();
        let body = serde_json::json!({
            "logGroupName": logs.group_name().unwrap(),
            "logStreamName": logs.stream_name().unwrap(),
            "startFromHead": true,
        });
        let events = self.get_log_events(body.to_string()).await;
        let lines = events["events"].as_array().unwrap().iter();
        let lines = lines.map(|event| event["message"].as_str().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Calls CloudWatch Logs, for which the workspace has no SDK crate.
    async fn get_log_events(&self, body: String) -> Value {
        let credentials = self.aws.credentials_provider().unwrap();
        let identity = credentials.provide_credentials().await.unwrap().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("logs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let url = format!("{}/", self.aws.endpoint_url().unwrap());
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", &url, std::iter::empty(), signable).unwrap();
        let (instructions, _) = sign(signable, &parameters.into()).unwrap().into_parts();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client
            .post(&url)
            .header("x-amz-target", "Logs_20140328.GetLogEvents");
        for header in &instructions.into_parts().0 {
            request = request.header(header.name(), header.value());
        }
        let answer = request
            .header("content-type", "application/x-amz-json-1.1")
            .body(body);
        let text = answer.send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Reads what a build writes until one line is `text`.
    pub async fn line(&mut self, text: &str) {
        loop {
            let line = tokio::time::timeout(Duration::from_secs(60), self.lines.recv()).await;
            if line.unwrap().unwrap().text == text {
                return;
            }
        }
    }
}

/// Returns a client of the CodeBuild at `endpoint`.
pub fn client_at(aws: &SdkConfig, endpoint: &str) -> Client {
    Client::new(&aws.to_builder().endpoint_url(endpoint).build())
}

/// Returns artifacts as one zip at `built/{path}/output.zip`.
pub fn output_at(path: &str) -> ProjectArtifacts {
    let artifacts = ProjectArtifacts::builder()
        .r#type(ArtifactsType::S3)
        .location("built")
        .path(path)
        .name("output.zip")
        .packaging(ArtifactPackaging::Zip);
    artifacts.build().unwrap()
}

/// Returns the names of a build's phases, with `!` for those that have failed.
pub fn phases(build: &Build) -> String {
    let phases = build.phases().iter();
    let names = phases
        .map(|phase| {
            let failed = phase
                .phase_status()
                .is_some_and(|status| *status != StatusType::Succeeded);
            let mark = if failed { "!" } else { "" };
            format!("{}{mark}", phase.phase_type().unwrap().as_str())
        })
        .collect::<Vec<_>>();
    names.join(" ")
}

/// Returns a phase of a build.
pub fn phase<'a>(build: &'a Build, wanted: &BuildPhaseType) -> &'a BuildPhase {
    let mut phases = build.phases().iter();
    phases.find(|phase| phase.phase_type() == Some(wanted)).unwrap()
}

/// Returns the status code and the message of the phase that has not succeeded.
pub fn failure(build: &Build) -> (String, String) {
    let mut phases = build.phases().iter();
    let failed = phases
        .find(|phase| {
            phase
                .phase_status()
                .is_some_and(|status| *status != StatusType::Succeeded)
        })
        .unwrap_or_else(|| unreachable!("no phase of {build:#?} has failed"));
    let context = &failed.contexts()[0];
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (text(context.status_code()), text(context.message()))
}

/// Returns a zip with these files.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default().unix_permissions(mode);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

async fn deploy(aws: &SdkConfig) {
    let client = aws_sdk_cloudformation::Client::new(aws);
    let create = client
        .create_stack()
        .stack_name("app")
        .template_body(include_str!("template.json"))
        .capabilities(aws_sdk_cloudformation::types::Capability::CapabilityIam);
    create.send().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stacks = client.describe_stacks().stack_name("app").send().await.unwrap();
        let stack = &stacks.stacks()[0];
        match stack.stack_status().unwrap().as_str() {
            "CREATE_COMPLETE" => return,
            "CREATE_IN_PROGRESS" => assert!(Instant::now() < deadline),
            _ => unreachable!("{stack:#?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
